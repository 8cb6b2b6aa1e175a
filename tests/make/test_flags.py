"""From MAKEFLAGS, as the real make writes it, to the call of make on the instance."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.makes import ENVIRON, MAKES, cases

from ec2tasks.base.errors import UsageError
from ec2tasks.make.flags import make_argv, parse_makeflags


@pytest.mark.parametrize("case", cases("makeflags.yaml"))
def test_makeflags(case: dict[str, Any]) -> None:
    argv = make_argv("train", makeflags=case["makeflags"], jobs=7)
    assert argv == ["make", *case["argv"], "train"]


def test_an_untold_number_of_jobs_is_that_of_the_cores() -> None:
    argv = make_argv("train", makeflags="k --jobserver-fds=3,4 -j")
    assert argv == ["make", "-k", f"-j{os.cpu_count()}", "train"]


@pytest.mark.parametrize(
    ("targets", "argv"),
    [
        ("train", ["train"]),
        ("train eval", ["train", "eval"]),
        ("", []),
        ("train EPOCHS=3 -k -j 4", ["train", "EPOCHS=3", "-k", "-j", "4"]),
        ("train 'NAME=a b' \"it's\"", ["train", "NAME=a b", "it's"]),
        ("--file=other.mk train", ["--file=other.mk", "train"]),
    ],
)
def test_targets_stay_as_they_are(targets: str, argv: list[str]) -> None:
    assert make_argv(targets) == ["make", *argv]


def test_targets_that_no_shell_could_split() -> None:
    with pytest.raises(UsageError, match="`it's`: No closing quotation"):
        make_argv("it's")


values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
names = st.from_regex(r"[A-Z][A-Z0-9_.]{0,8}", fullmatch=True).map(lambda name: f"V{name}")


@pytest.mark.parametrize("make", MAKES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(variables=st.dictionaries(names, values, max_size=4), flags=st.sets(st.sampled_from("kisBr")))
@example(variables={"V": "a b\t\\ \\\\ $$x $(y) ' \" # % = : \\"}, flags={"k"})
@example(variables={"V": "-k", "W": "-- A=b", "X": ""}, flags=set())
@example(variables={"V": "line\nline\n"}, flags=set())
def test_the_real_make_s_variables_come_through(
    make: str, variables: dict[str, str], flags: set[str], tmp_path: Path
) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"x:\n\t@{shlex.quote(sys.executable)} -c '{PRINT_MAKEFLAGS}'\n")
    words = [f"{name}={value}" for name, value in variables.items()]
    argv = [make, "-C", str(tmp_path), "-s", *(f"-{flag}" for flag in sorted(flags)), "x", *words]
    ran = subprocess.run(argv, capture_output=True, check=True, env={**ENVIRON, "PYTHONUTF8": "1"})
    parsed_flags, parsed = parse_makeflags(ran.stdout.decode(errors="surrogateescape"), jobs=1)
    assert set(parsed_flags) >= {f"-{flag}" for flag in flags}
    # make itself drops blanks at the start of a value.
    assert sorted(parsed) == sorted(f"{name}={value.lstrip(BLANKS)}" for name, value in variables.items())


BLANKS = " \t\n\v\f\r"
PRINT_MAKEFLAGS = 'import os; os.write(1, os.environb[b"MAKEFLAGS"])'
