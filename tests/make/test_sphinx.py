"""The makefile of a real Sphinx, with `Makefile.inc` included and without; `make test-engines` has Sphinx."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.repository import REPO

PROGRAM = Path(sys.executable).with_name("sphinx-quickstart")
CALLS = ("", "help", "-n html", "html", "html", "-B html", "clean", "-j2 dirhtml", "text", "clean")
TIMES = re.compile(r"\d{2}:\d{2}:\d{2}|\d+\.\d+ s")


def behaviour(folder: Path) -> list[tuple[str, int, str, str]]:
    """What each call says and ends with, in an environment that finds this Sphinx."""
    environ = {"PATH": f"{PROGRAM.parent}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": f"{folder}"}
    seen = []
    for words in CALLS:
        ran = subprocess.run(
            ["make", *words.split()], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
        seen.append((words, ran.returncode, TIMES.sub("", ran.stdout), TIMES.sub("", ran.stderr)))
    return seen


@pytest.mark.skipif(not PROGRAM.exists(), reason="Sphinx is not installed")
@pytest.mark.parametrize("first", [True, False], ids=["included first", "included last"])
def test_a_sphinx_project_behaves_as_before(tmp_path: Path, first: bool) -> None:
    folder = tmp_path / "docs"
    words = ["--quiet", "--project", "x", "--author", "y", "--no-batchfile", "--makefile", f"{folder}"]
    subprocess.run(
        [PROGRAM, *words], check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    before = behaviour(folder)
    assert any(code == 0 and "build succeeded" in out for _, code, out, _ in before)
    makefile = folder / "Makefile"
    text = makefile.read_text()
    shutil.copy(REPO / "templates/Makefile.inc", folder)
    line = "include Makefile.inc\n"
    makefile.write_text(line + text if first else text + line)
    assert behaviour(folder) == before
