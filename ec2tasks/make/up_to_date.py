"""Whether make has nothing to do for its targets here, so that no instance is needed. Runs no recipe."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ec2tasks.make.flags import make_argv
from ec2tasks.make.reading import Reading, ask_make, make_program

# `make -q` still runs lines with `+` or $(MAKE), and the rules of included makefiles. Their shell is this,
# which runs none and leaves a mark: make says nothing of lines whose end does not count.
NO_SHELL = """\
#!/bin/sh
: >"$0.asked"
exit 1
"""
# `MAKEFLAGS += -j$(shell nproc)` would ask that shell, for it is expanded only now.
KEEP_FLAGS = """\
ifneq (,$(findstring shell,$(value MAKEFLAGS)))
MAKEFLAGS := $(MAKEFLAGS)
endif
"""
# A target with a shell of its own would run its lines in that one.
SHELL_OF_A_TARGET = re.compile(r"^(?:# |[^#\s][^\n]*: ?)(?:override )?SHELL ?[:+?!]*=", re.MULTILINE)


def up_to_date(
    targets: str, reading: Reading, *, directory: Path, environ: Mapping[str, str] = os.environ
) -> str | None:
    """Make's own words where it has nothing to do for these targets; None where it has, or that is not known.

    It is asked with the flags and variables that the make there would get. Its warnings are left out: whoever
    reads the makefiles says them anyway.
    """
    if not reading.database or SHELL_OF_A_TARGET.search(reading.database):
        return None
    argv = question_argv(targets, reading, environ)
    with tempfile.TemporaryDirectory(prefix="ec2tasks-") as folder:
        shell = Path(folder, "no-shell")
        shell.write_text(NO_SHELL, encoding="utf-8")
        shell.chmod(0o700)
        last = f"{KEEP_FLAGS}override SHELL := {shell}\noverride .SHELLFLAGS := -c\n"
        mark = Path(f"{shell}.asked")
        asked = ask_make([*argv[:1], "-q", *argv[1:]], last, environ=environ, cwd=directory)
        if asked is None or asked.returncode or mark.exists():
            return None
        said = ask_make(argv, last, environ=environ, cwd=directory)
        return None if said is None or said.returncode or mark.exists() else said.stdout


def question_argv(targets: str, reading: Reading, environ: Mapping[str, str]) -> list[str]:
    """The call of make for these targets, its input read after all other makefiles."""
    words = make_argv(targets, makeflags=environ.get("MAKEFLAGS", ""))[1:]
    named = () if reading.arguments.makefiles else reading.makefiles
    files = [f"--file={name}" for name in (*named, "-")]
    flags_end = words.index("--") if "--" in words else len(words)
    return [*make_program(environ), *words[:flags_end], *files, *words[flags_end:]]
