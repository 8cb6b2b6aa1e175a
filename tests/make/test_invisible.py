"""A host's own make, byte by byte with `Makefile.inc` included and without, by the real make."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.makes import MAKES, cases
from support.repository import REPO

TEMPLATE = REPO / "templates/Makefile.inc"
INCLUDE = "include Makefile.inc\n"
USUAL = ("", "-n", "-q", "-j2", "no-such-target")

JOBSERVER = re.compile(r"(?<=fifo:)\S+")  # its name is another each time


def lay(
    folder: Path, case: Mapping[str, Any], before: str, after: str, *, ours: str = "Makefile.inc"
) -> None:
    """The project of this case anew, with these lines around its makefile, and ours by this name."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in case.get("files", {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder.mkdir(exist_ok=True)
    (folder / ours).parent.mkdir(exist_ok=True)
    shutil.copy(TEMPLATE, folder / ours)
    (folder / case.get("file", "Makefile")).write_text(before + case["makefile"] + after)


def behaviour(make: str, folder: Path, case: Mapping[str, Any]) -> dict[str, tuple[int, str, str]]:
    """What each call of make says and ends with, one after the other, and the files that are left."""
    seen: dict[str, tuple[int, str, str]] = {}
    for number, words in enumerate([*case.get("make", []), *USUAL]):
        ran = subprocess.run(
            [make, *shlex.split(words)],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", **case.get("environ", {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        out, err = (JOBSERVER.sub("", stream) for stream in (ran.stdout, ran.stderr))
        if case.get("parallel") or "-j" in words:  # what ends first is chance
            out, err = ("\n".join(sorted(stream.splitlines())) for stream in (out, err))
        seen[f"{number}: make {words}"] = (ran.returncode, out, err)
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    return {**seen, "files": (0, "\n".join(left), "")}


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("case", cases("invisible.yaml"))
def test_make_behaves_as_without_it(case: dict[str, Any], make: str, tmp_path: Path) -> None:
    found = shutil.which(make)
    assert found
    folder = tmp_path / "project"
    # A line in the place of the other, for make names the lines of what fails.
    for before, after, without in ((INCLUDE, "", ("#\n", "")), ("", INCLUDE, ("", "#\n"))):
        lay(folder, case, *without)
        expected = behaviour(found, folder, case)
        lay(folder, case, before, after)
        assert behaviour(found, folder, case) == expected, "first" if before else "last"


WAYS = [
    ("include ./Makefile.inc", "Makefile.inc"),
    ("-include Makefile.inc", "Makefile.inc"),
    ("include $(CURDIR)/Makefile.inc", "Makefile.inc"),
    ("include $(wildcard *.inc) Makefile.inc", "Makefile.inc"),
    ("include build-tools/Makefile.inc", "build-tools/Makefile.inc"),
    ("include ec2.mk", "ec2.mk"),
    ("include build-tools/ec2.mk", "build-tools/ec2.mk"),
]
HOST = """\
$(info [$(MAKEFILE_LIST)] [$(.DEFAULT_GOAL)])
SET = $(sort $(foreach v,$(.VARIABLES),$(if $(filter file,$(origin $v)),$v)))
help: ; @grep -c . $(MAKEFILE_LIST); echo '$(SET)'
.PHONY: help Makefile
%: Makefile ; @echo anything $@ $?
"""


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize(("line", "name"), WAYS)
def test_in_whatever_way_it_is_included(line: str, name: str, make: str, tmp_path: Path) -> None:
    found = shutil.which(make)
    assert found
    case = {"makefile": HOST, "make": ["help", "html", "-n html", "-B html"]}
    # What include is told splits at blanks.
    folder = tmp_path / ("project" if "CURDIR" in line else "my project")
    for before, after, without in ((f"{line}\n", "", ("#\n", "")), ("", f"{line}\n", ("", "#\n"))):
        lay(folder, case, *without, ours=name)
        expected = behaviour(found, folder, case)
        lay(folder, case, before, after, ours=name)
        assert behaviour(found, folder, case) == expected, "first" if before else "last"
