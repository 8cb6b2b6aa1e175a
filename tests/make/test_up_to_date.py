"""Whether make has nothing to do here, by the real make; asking runs no recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.makes import ENVIRON, MAKES, cases
from support.project import ScratchProject

from ec2tasks.make.reading import read_makefile
from ec2tasks.make.up_to_date import up_to_date


def ask(targets: str, folder: Path, environ: dict[str, str]) -> str | None:
    reading = read_makefile(targets, directory=folder, environ=environ)
    return up_to_date(targets, reading, directory=folder, environ=environ)


def write_with_times(folder: Path, files: dict[str, int]) -> None:
    """Empty files, each as old as its number of seconds after 2020 says."""
    for name, seconds in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1_577_836_800 + seconds, 1_577_836_800 + seconds))


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("case", cases("up_to_date.yaml"))
def test_up_to_date(case: dict[str, Any], make: str, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(case["makefile"])
    write_with_times(tmp_path, case.get("files", {"in": 1, "out": 2}))
    before = sorted(tmp_path.rglob("*"))
    environ = {**ENVIRON, "MAKE": make, "MAKEFLAGS": case.get("makeflags", "")}
    for targets in case.get("done", []):
        assert ask(targets, tmp_path, environ) is not None, targets
    for targets in case.get("to_do", []):
        assert ask(targets, tmp_path, environ) is None, targets
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("make", MAKES)
def test_the_words_are_make_s_own(make: str, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("out: in ; touch TRAP\nall: out\n")
    write_with_times(tmp_path, {"in": 1, "out": 2})
    words = ask("out all", tmp_path, {**ENVIRON, "MAKE": make, "MAKEFLAGS": "w", "MAKELEVEL": "1"})
    assert words
    name = Path(make).name
    assert words.replace("`", "'") == f"{name}: 'out' is up to date.\n{name}: Nothing to be done for 'all'.\n"


def test_a_target_that_is_up_to_date_needs_no_aws(project: ScratchProject) -> None:
    project.write("Makefile", "out/done.txt: in.txt ; touch TRAP\n")
    write_with_times(project.root, {"in.txt": 1, "out/done.txt": 2})
    # What stands here can't be reached, and would not be asked: there are no credentials either.
    said = project.ec2tasks("make", "out/done.txt", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert (said.code, said.err) == (0, "")
    assert said.out.replace("`", "'") == "make: 'out/done.txt' is up to date.\n"


def test_an_end_that_was_asked_for_is_told(project: ScratchProject) -> None:
    project.write("Makefile", "out: in ; touch TRAP\n")
    write_with_times(project.root, {"in": 1, "out": 2})
    said = project.ec2tasks("make", "--terminate", "out")
    assert said.code == 0
    assert said.err == "hint: no instance was needed; `ec2tasks down` ends one that still runs\n"
