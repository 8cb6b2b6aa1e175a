"""`templates/Makefile.inc` in scratch projects, by the real make, with an ec2tasks that only takes notes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.makes import MAKES
from support.repository import REPO

from ec2tasks.make.flags import make_argv

TEMPLATE = REPO / "templates/Makefile.inc"
SYSTEM_PATH = "/usr/bin:/bin"

NOTE_TAKER = f"""#!{sys.executable}
import json, os, sys
note = {{"argv": sys.argv[1:], "environ": dict(os.environ)}}
with open(os.environ["NOTES"], "a") as notes:
    notes.write(json.dumps(note) + "\\n")
print("ec2tasks was here", flush=True)
sys.exit(int(os.environ.get("CODE", "0")))
"""

LEAVE = ("--default-end", "leave")  # how the rule says its default, below what ec2.yaml says


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A project with Makefile.inc, and beside it an ec2tasks that writes down how it was called."""

    make: str
    folder: Path
    tools: Path

    @property
    def notes(self) -> list[dict[str, Any]]:
        path = self.tools / "notes"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def calls(self) -> list[list[str]]:
        return [note["argv"] for note in self.notes]

    def write(self, makefile: str, name: str = "Makefile") -> None:
        (self.folder / name).write_text(makefile)

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.tools}:{SYSTEM_PATH}"
        return subprocess.run(
            [self.make, *words],
            cwd=self.folder,
            env={"PATH": path, "NOTES": str(self.tools / "notes"), **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def called(self, *words: str, **environ: str) -> list[str]:
        """How ec2tasks was called, once, without a word from make."""
        before = len(self.calls)
        ran = self.run(*words, **environ)
        assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", "ec2tasks was here\n")
        (call,) = self.calls[before:]
        return call


@pytest.fixture(params=MAKES)
def scratch(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scratch]:
    folder, tools = tmp_path / "project", tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    shutil.copy(TEMPLATE, folder)
    (tools / "ec2tasks").write_text(NOTE_TAKER)
    (tools / "ec2tasks").chmod(0o755)
    make = shutil.which(request.param)
    assert make, request.param
    found = Scratch(make=make, folder=folder, tools=tools)
    found.write("train:\n\ttouch TRAP\n\ninclude Makefile.inc\n")
    yield found
    assert not (folder / "TRAP").exists()


# What is called


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (["on-ec2-train"], ["make", *LEAVE, "train"]),
        (["on-ec2-notebook"], ["notebook", "--default-end", "stop"]),
        (["on-ec2-train", "EC2_FINAL_STATE=terminate"], ["make", "--terminate", "train"]),
        (["on-ec2-train", "EC2_FINAL_STATE=stop"], ["make", "--stop", "train"]),
        (["on-ec2-notebook", "EC2_FINAL_STATE=leave"], ["notebook", "--leave"]),
        (["on-ec2-train", "EC2_FINAL_STATE="], ["make", *LEAVE, "train"]),
        (
            ["on-ec2-train", "EC2_TYPE=g5.xlarge"],
            ["make", *LEAVE, "--type", "g5.xlarge", "train"],
        ),
        (["on-ec2-train", "EC2_TYPE=a b'c"], ["make", *LEAVE, "--type", "a b'c", "train"]),
        (["on-ec2-train", "EC2_ENV=ml"], ["make", *LEAVE, "--env", "ml", "train"]),
        (
            ["on-ec2-a", "EC2_PORTS=8888 6006"],
            ["make", *LEAVE, "-L", "8888", "-L", "6006", "a"],
        ),
        (
            ["on-ec2-a", 'EC2_PORTS="8888 6006"'],
            ["make", *LEAVE, "-L", "8888", "-L", "6006", "a"],
        ),
        (
            ["on-ec2-a", "EC2_FLAGS=--spot --name 'x y'"],
            ["make", *LEAVE, "--spot", "--name", "x y", "a"],
        ),
        (["on-ec2-a", "EC2_MACHINES=4"], ["make", *LEAVE, "--machines", "4", "a"]),
        (["on-each-ec2-sweep"], ["make", "--each", "--default-end", "terminate", "sweep"]),
        (["on-each-ec2-sub/a"], ["make", "--each", "--default-end", "terminate", "sub/a"]),
        (
            ["on-each-ec2-sweep", "EC2_MACHINES=4", "EC2_FINAL_STATE=stop"],
            ["make", "--each", "--stop", "--machines", "4", "sweep"],
        ),
        (["on-ec2-models/a.bin"], ["make", *LEAVE, "models/a.bin"]),
        (["on-ec2-sub/train"], ["make", *LEAVE, "sub/train"]),
        (["on-ec2-it's"], ["make", *LEAVE, "it's"]),
        (["on-ec2-on-ec2-x"], ["make", *LEAVE, "on-ec2-x"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_call(scratch: Scratch, words: list[str], call: list[str]) -> None:
    assert scratch.called("--warn-undefined-variables", *words) == call


def test_variables_from_the_environment(scratch: Scratch) -> None:
    call = scratch.called("on-ec2-a", EC2_TYPE="g5.xlarge", EC2_FINAL_STATE="stop")
    assert call == ["make", "--stop", "--type", "g5.xlarge", "a"]


@pytest.mark.parametrize("first", [True, False])
def test_variables_from_the_makefile(scratch: Scratch, *, first: bool) -> None:
    include, rest = "include Makefile.inc\n", "EC2_TYPE ?= g5.xlarge\non-ec2-b: EC2_TYPE = g6.xlarge\n"
    scratch.write(include + rest if first else rest + include)
    assert scratch.called("on-ec2-a") == ["make", *LEAVE, "--type", "g5.xlarge", "--reuse", "a"]
    assert scratch.called("on-ec2-b") == ["make", *LEAVE, "--type", "g6.xlarge", "--reuse", "b"]


@pytest.mark.parametrize(
    ("environ", "options"),
    [
        ({"CONDA_DEFAULT_ENV": "ml"}, ["--env", "ml?"]),
        ({"CONDA_DEFAULT_ENV": "base"}, []),
        ({"CONDA_DEFAULT_ENV": "ml", "EC2_ENV": "other"}, ["--env", "other"]),
        ({"CONDA_DEFAULT_ENV": "ml", "EC2_ENV": ""}, []),
    ],
)
def test_the_active_conda_environment(scratch: Scratch, environ: dict[str, str], options: list[str]) -> None:
    assert scratch.called("on-ec2-a", **environ) == ["make", *LEAVE, *options, "a"]


def test_an_unknown_final_state_is_refused(scratch: Scratch) -> None:
    for flags in ([], ["-n"]):
        ran = scratch.run("on-ec2-a", "EC2_FINAL_STATE=destroy", *flags)
        assert ran.returncode == 2
        assert "EC2_FINAL_STATE is `destroy`: use leave, stop or terminate" in ran.stderr
    assert scratch.calls == []


def test_another_way_to_call_ec2tasks(scratch: Scratch) -> None:
    assert scratch.called("on-ec2-a", f"EC2TASKS={sys.executable} {scratch.tools}/ec2tasks") == [
        *("make", *LEAVE, "a")
    ]


def test_flags_and_variables_are_in_the_environment(scratch: Scratch) -> None:
    scratch.run("on-ec2-a", "EPOCHS=3 4", "-j4", "-k")
    (note,) = scratch.notes
    flags, _, variables = note["environ"]["MAKEFLAGS"].partition(" -- ")
    assert flags.startswith("k ")
    assert variables == "EPOCHS=3\\ 4"


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (["-f", "other.mk"], "x --file=other.mk"),
        (["-f", "{folder}/other.mk"], "x --file=other.mk"),
        (["-f", "Makefile"], "x"),
    ],
)
def test_another_makefile(scratch: Scratch, words: list[str], target: str) -> None:
    scratch.write("include Makefile.inc\n", "other.mk")
    words = [word.format(folder=scratch.folder) for word in words]
    assert scratch.called(*words, "on-ec2-x") == ["make", *LEAVE, target]


def test_the_exit_code_is_said(scratch: Scratch) -> None:
    ran = scratch.run("on-ec2-a", CODE="7")
    assert ran.returncode == 2
    assert "on-ec2-a] Error 7" in ran.stderr


def test_without_ec2tasks(scratch: Scratch) -> None:
    (scratch.tools / "ec2tasks").unlink()
    ran = scratch.run("on-ec2-a")
    first, second = ran.stderr.splitlines()
    assert ran.returncode == 2
    assert first.startswith("ec2tasks is not installed: pip install ec2tasks")
    assert "Error 127" in second


# Under -n


def test_dry_run_shows_the_call_alone(scratch: Scratch) -> None:
    for flags in (["-n"], ["--dry-run", "--no-print-directory"], ["--just-print"]):
        ran = scratch.run(*flags, "on-ec2-train", "on-ec2-a/b", "EC2_TYPE=g5.xlarge")
        assert ran.returncode == 0
        assert ran.stdout.splitlines() == [
            "ec2tasks make --default-end leave --type 'g5.xlarge' 'train'",
            "ec2tasks make --default-end leave --type 'g5.xlarge' 'a/b'",
        ]
    assert scratch.calls == []


def test_the_line_shown_can_be_typed_and_asks_for_the_same(scratch: Scratch) -> None:
    words = ["-k", "EPOCHS=2", "X=a  b", 'Y=it\'s "q" \\ n', "EC2_FLAGS=--name 'x y'", "on-ec2-train"]
    shown = scratch.run("-n", *words).stdout
    assert scratch.calls == []
    scratch.run(*words)
    subprocess.run(
        ["sh", "-c", shown],
        env={"PATH": f"{scratch.tools}:{SYSTEM_PATH}", "NOTES": str(scratch.tools / "notes")},
        cwd=scratch.folder,
        check=True,
    )
    real, typed = scratch.notes
    assert typed["argv"][:-1] == real["argv"][:-1]
    before = make_argv(real["argv"][-1], makeflags=real["environ"]["MAKEFLAGS"])
    assert sorted(make_argv(typed["argv"][-1])) == sorted(before)


@pytest.mark.parametrize("makefile", ["", "MAKEOVERRIDES =\n"])
@pytest.mark.parametrize("flags", [[], ["-e"]])
def test_no_variable_is_lost_on_the_way(scratch: Scratch, makefile: str, flags: list[str]) -> None:
    scratch.write(f"{makefile}include Makefile.inc\n")
    words = ["EC2_BUCKET=mine", "EC2_TYPES=a b", "EC2TASKS_X=y", "EC2_TYPE=g5.xlarge", "EC2_FLAGS=--spot"]
    assert scratch.run(*flags, *words, "on-ec2-train").returncode == 0
    (note,) = scratch.notes
    argv = make_argv(note["argv"][-1], makeflags=note["environ"]["MAKEFLAGS"])
    assert sorted(argv) == sorted(["make", *flags, *words[:3], "train"])


@pytest.mark.parametrize("words", [["-t"], ["--touch"], ["-kt"], ["-t", "-j2"]])
def test_touching_touches_nothing(scratch: Scratch, words: list[str]) -> None:
    scratch.write("include Makefile.inc\nall: on-ec2-b\n")
    before = sorted(scratch.folder.rglob("*"))
    for goal in ("on-ec2-train", "on-ec2-a/b", "all"):
        ran = scratch.run(*words, goal)
        assert ran.returncode == 2
        assert "make -t touches files here, none on EC2" in ran.stderr
    assert sorted(scratch.folder.rglob("*")) == before
    assert scratch.calls == []


def test_a_question_runs_nothing(scratch: Scratch) -> None:
    assert scratch.run("-q", "on-ec2-train").returncode == 1
    assert scratch.calls == []


def test_a_prefix_without_a_name_is_refused(scratch: Scratch) -> None:
    ran = scratch.run("on-ec2-")
    assert ran.returncode == 2
    assert "on-ec2-TARGET" in ran.stderr
    assert scratch.calls == []


@pytest.mark.parametrize(
    "word", ["n=n", "--no-print-directory", "-k", "VERSION=n", "--warn-undefined-variables"]
)
def test_other_words_with_an_n_are_no_dry_run(scratch: Scratch, word: str) -> None:
    assert scratch.called(word, "on-ec2-train") == ["make", *LEAVE, "train"]


@pytest.mark.parametrize(
    ("makeflags", "dry"),
    [("n", "n"), ("kn -- A=b", "n"), ("k", ""), ("EPOCHS=n", ""), ("n=1", ""), ("--no-print-directory", "")],
)
def test_dry_run_as_3_81_would_tell_it(scratch: Scratch, makeflags: str, dry: str) -> None:
    """As its source says: neither a blank first nor `--` where there are only variables."""
    first = f"on-ec2-x: ec2tasks.first = $(firstword -{makeflags})\n"
    scratch.write(f"include Makefile.inc\n{first}on-ec2-x: ; @echo '[$(ec2tasks.dry)]'\n")
    assert f"[{dry}]" in scratch.run("on-ec2-x").stdout


# In any project

SETTINGS = {
    "a Python shell": "SHELL := /usr/bin/python3",
    "a Python shell with flags": "SHELL := /usr/bin/python3\n.SHELLFLAGS := -Ec",
    "a shell that always fails": "SHELL := /bin/false",
    "strict bash": "SHELL := /bin/bash\n.SHELLFLAGS := -eu -o pipefail -c",
    "one shell": ".ONESHELL:",
    "one Python shell": ".ONESHELL:\nSHELL := /usr/bin/python3",
    "silent": ".SILENT:",
    "posix": ".POSIX:",
    "second expansion": ".SECONDEXPANSION:",
    "secondary": ".SECONDARY:",
    "delete on error": ".DELETE_ON_ERROR:",
    "no suffixes": ".SUFFIXES:",
    "not parallel": ".NOTPARALLEL:",
    "flags": "MAKEFLAGS += -rR --no-print-directory --warn-undefined-variables",
    "exports": "export",
    "a rule for anything": "%: ; touch TRAP",
    "a terminal rule for anything": "%:: ; touch TRAP\nMakefile: ;\nMakefile.inc: ;",
    "a default rule": ".DEFAULT: ; touch TRAP",
    "no default goal": ".DEFAULT_GOAL :=",
    "included twice": "include Makefile.inc",
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_settings(scratch: Scratch, setting: str, *, first: bool) -> None:
    include = "include Makefile.inc\n"
    scratch.write(f"{include}{setting}\n" if first else f"{setting}\n{include}")
    assert scratch.called("on-ec2-train") == ["make", *LEAVE, "train"]
    assert scratch.called("on-ec2-a/b.bin") == ["make", *LEAVE, "a/b.bin"]


def test_a_shell_from_the_command_line(scratch: Scratch) -> None:
    assert scratch.called("SHELL=/usr/bin/python3", "on-ec2-train") == [
        "make",
        "--default-end",
        "leave",
        "train",
    ]


def test_files_of_that_name(scratch: Scratch) -> None:
    (scratch.folder / "on-ec2-train").touch()
    (scratch.folder / "on-ec2-a").mkdir()
    (scratch.folder / "on-ec2-a/b").touch()
    assert scratch.called("on-ec2-train") == ["make", *LEAVE, "train"]
    assert scratch.called("on-ec2-a") == ["make", *LEAVE, "a"]
    assert scratch.called("on-ec2-a/b") == ["make", *LEAVE, "a/b"]


def test_as_a_prerequisite(scratch: Scratch) -> None:
    scratch.write("include Makefile.inc\nall: on-ec2-train\n\t@echo all\n")
    (scratch.folder / "on-ec2-train").touch()
    ran = scratch.run()
    assert ran.stdout == "ec2tasks was here\nall\n"
    assert scratch.calls == [["make", *LEAVE, "train"]]


def test_with_a_prerequisite_of_the_project_s_in_its_shell(scratch: Scratch) -> None:
    scratch.write(
        "SHELL := /usr/bin/python3\ninclude Makefile.inc\n"
        "on-ec2-train: data\ndata:\n\t@print('data')\nother: on-ec2-train\n\t@print('other')\n"
    )
    ran = scratch.run("other")
    assert (ran.stdout, ran.stderr) == ("data\nec2tasks was here\nother\n", "")


@pytest.mark.parametrize("first", [True, False])
def test_the_project_s_own_rule_wins_in_its_shell(scratch: Scratch, *, first: bool) -> None:
    include, own = "include Makefile.inc\n", "on-ec2-train on-ec2-notebook:\n\t@print('own')\n"
    scratch.write("SHELL := /usr/bin/python3\n" + (include + own if first else own + include))
    ran = scratch.run("on-ec2-train", "on-ec2-notebook")
    assert (ran.stdout, ran.stderr) == ("own\nown\n", "")
    assert scratch.calls == []


def test_two_at_once(scratch: Scratch) -> None:
    ran = scratch.run("-j2", "on-ec2-a", "on-ec2-b")
    assert ran.returncode == 0
    assert sorted(call[-1] for call in scratch.calls) == ["a", "b"]


def test_from_another_folder_and_from_a_make_above(scratch: Scratch) -> None:
    scratch.write("up:\n\t@$(MAKE) --no-print-directory on-ec2-x\n", "up.mk")
    assert scratch.run("-C", str(scratch.folder), "on-ec2-train").returncode == 0
    assert scratch.run("-f", "up.mk", "up").returncode == 0
    assert scratch.calls == [
        ["make", *LEAVE, "train"],
        ["make", *LEAVE, "x"],
    ]


def test_files_whose_name_only_looks_so_are_left_alone(scratch: Scratch) -> None:
    scratch.write("include on-ec2-more.mk\ninclude Makefile.inc\nall: docs/on-ec2-guide.md\n\t@echo $<\n")
    scratch.write("MORE = 1\n", "on-ec2-more.mk")
    (scratch.folder / "docs").mkdir()
    (scratch.folder / "docs/on-ec2-guide.md").touch()
    ran = scratch.run("all")
    assert (ran.stdout, ran.stderr) == ("docs/on-ec2-guide.md\n", "")
    assert scratch.run("docs/on-ec2-missing.md").returncode == 2
    assert scratch.calls == []


# Nothing of the project changes


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("goal", ["", ".DEFAULT_GOAL := second\n"])
def test_the_default_goal_stays(scratch: Scratch, goal: str, *, first: bool) -> None:
    include, rest = "include Makefile.inc\n", f"{goal}first:\n\t@echo $@\nsecond:\n\t@echo $@\n"
    scratch.write(include + rest if first else rest + include)
    assert scratch.run("--warn-undefined-variables").stdout == ("second\n" if goal else "first\n")
    assert scratch.run("first", "on-ec2-a/b").stdout == "first\nec2tasks was here\n"


def test_the_default_goal_s_name_stays_beside_a_goal_with_a_slash(scratch: Scratch) -> None:
    scratch.write("include Makefile.inc\nfirst:\n\t@echo $(.DEFAULT_GOAL)\n")
    assert scratch.run("first", "on-ec2-a/b").stdout == "first\nec2tasks was here\n"


def test_alone_it_has_no_default_goal(scratch: Scratch) -> None:
    scratch.write("include Makefile.inc\n")
    assert "No targets" in scratch.run().stderr


def test_nothing_is_exported(scratch: Scratch) -> None:
    scratch.write("export\ninclude Makefile.inc\n")
    scratch.run("on-ec2-a")
    (note,) = scratch.notes
    assert [name for name in note["environ"] if "ec2" in name.lower()] == []


def test_no_text_for_help() -> None:
    assert "##" not in TEMPLATE.read_text()


def test_the_example_s_copy_is_the_same() -> None:
    assert (REPO / "examples/project/Makefile.inc").read_text() == TEMPLATE.read_text()


def test_the_example_s_help(scratch: Scratch) -> None:
    shutil.copy(REPO / "examples/project/Makefile", scratch.folder)
    listed = [line.split()[0] for line in scratch.run("help").stdout.splitlines()]
    assert listed == ["help", "requirements", "train", "eval", "notebook", "clean"]


def test_the_example_s_recipes_can_run_there(scratch: Scratch) -> None:
    shutil.copy(REPO / "examples/project/Makefile", scratch.folder)
    assert scratch.called("on-ec2-train", "EC2_FINAL_STATE=terminate") == ["make", "--terminate", "train"]
