from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.project import ScratchProject
from support.repository import REPO

from ec2tasks.cli import completion
from ec2tasks.cli.program import program
from ec2tasks.cli.typed_words import flags
from ec2tasks.records import ledger
from ec2tasks.remote.job_name import forms

MAKEFILE = "train:\n\t@true\neval:\n\t@true\n$(shell touch owned):\n"
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")


def meant(*words: str) -> list[str]:
    """What is offered for the last of these words."""
    one = program()
    assert one.namespace is not None
    core = flags([*one.core_args(), *one.task_args()])
    return completion.meant(words, one.namespace, core)


JOBS = ("20261101-120000-001aaaa", "20261102-120000-002bbbb")
SHORT = [forms(job)[2] for job in reversed(JOBS)]  # of one time of day: the day is needed


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("ss",), "ssh-config"),
        (("local.d",), "local.down"),
        (("nothing",), ""),
        (("--dr",), "--dry"),
        (("--echo", "ss"), "ssh-config"),
        (("run", "--typ"), "--type"),
        (("sync", "--pu"), "--push --pull"),
        (("run", "--type", ""), "g4dn.xlarge g6.xlarge g5.xlarge"),
        (("run", "--type", "g6.xl"), "g6.xlarge"),
        (("run", "--type=g6.xl",), "--type=g6.xlarge"),
        (("run", "--type", "=", "g6.xl"), "g6.xlarge"),
        (("run", "--multi", "="), "tmux screen none"),
        (("run", "--type", "g4dn.xlarge,g6.xl"), "g4dn.xlarge,g6.xlarge"),
        (("ls", "--region", "eu-central-"), "eu-central-1 eu-central-2"),
        (("make", ""), "eval train"),
        (("make", "--type", "g6.xlarge", "tr"), "train"),
        (("make", "train", ""), ""),
        (("run", "tr"), ""),
        (("logs", ""), " ".join(SHORT)),
        (("cancel", SHORT[0]), SHORT[0]),
        (("attach", "--job", "20261101"), "20261101-120000-001aaaa"),
        (("logs", "-f", "20261102"), "20261102-120000-002bbbb"),
        (("--print-completion-script", ""), "bash zsh fish"),
    ],
)  # fmt: skip
def test_each_word_is_offered_what_may_be_meant(
    words: tuple[str, ...], offered: str, project: ScratchProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    project.write("Makefile", MAKEFILE)
    for job in JOBS:
        ledger.append(project.root, {"job": job, "state": "ended"})
    assert " ".join(meant(*words)) == offered
    assert not (project.root / "owned").exists()


def test_all_tasks_are_offered_and_shown_each_in_one_group(project: ScratchProject) -> None:
    found = program().namespace
    assert found is not None
    assert sorted(meant("")) == sorted(found.task_names)
    said = project.ec2tasks("--help").out
    head, _, core = said.partition("Invoke's own options")
    shown = [line.split()[0] for line in head.splitlines() if line[:2] == "  " and line[2] != " "]
    assert sorted(shown) == sorted(found.task_names)
    assert "--print-completion-script" in core
    assert head.splitlines()[2] == "Run:"


def test_what_goes_wrong_offers_nothing_and_says_nothing(project: ScratchProject) -> None:
    (project.root / "Makefile").mkdir()
    (project.root / ".ec2tasks").symlink_to("/nowhere")
    for words in (("make", ""), ("logs", ""), ("nothing", "x", "")):
        said = project.call("ec2tasks", "--complete", "--", "ec2tasks", *words)
        assert (said.code, said.out, said.err) == (0, "", ""), words


def test_another_shell_is_told_which_there_are(project: ScratchProject) -> None:
    said = project.ec2tasks("--print-completion-script", "tcsh")
    assert said.code == 2
    assert said.err.splitlines()[-1] == "hint: it is there for bash, zsh, fish"


def test_completing_imports_nothing_that_connects() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--complete', '--', 'ec2tasks', 'run', '--region', 'eu-']\n"
        "import atexit; from ec2tasks.cli.program import main\n"
        "slow = {'boto3', 'botocore', 'fabric', 'paramiko', 'rich'}\n"
        "atexit.register(lambda: print(*slow & set(sys.modules)))\n"
        "main()"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=False)
    assert said.stdout.splitlines()[0] == "eu-central-1"
    assert said.stdout.splitlines()[-1] == ""


IN_BASH = """\
[ -z "$1" ] || . "$1"
eval "$(ec2tasks --print-completion-script bash)"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9
function=$(complete -p "$1") function=${function##*-F }
${function%% *} "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
echo "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("beside", "words", "offered"),
    [
        ("", ("ec2tasks", "make", ""), "eval train"),
        ("", ("ec2tasks", "run", "--type", "=", "g6.xl"), "g6.xlarge"),
        (str(BASH_COMPLETION), ("make", "on-ec2-"), "on-ec2-eval on-ec2-train on-ec2-notebook"),
        (str(BASH_COMPLETION), ("make", "on-each-ec2-e"), "on-each-ec2-eval"),
        (str(BASH_COMPLETION), ("make", "ev"), "eval"),
    ],
)
def test_in_bash(beside: str, words: tuple[str, ...], offered: str, project: ScratchProject) -> None:
    if beside and not BASH_COMPLETION.exists():
        pytest.skip("no bash-completion here")
    project.write("Makefile", MAKEFILE.replace("$(shell touch owned):\n", "'$(touch owned)': z\n"))
    said = project.call("bash", "--norc", "-c", IN_BASH, "bash", beside, *words)
    assert (said.out, said.err) == (f"{offered}\n", "")
    assert not (project.root / "owned").exists()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_in_zsh(project: ScratchProject) -> None:
    project.write("Makefile", MAKEFILE)
    code = """\
compdef() { :; }; compadd() { print -r -- "${(P)2}"; }; _files() { print files; }
eval "$(ec2tasks --print-completion-script zsh)"
words=(ec2tasks make ''); CURRENT=3; _ec2tasks
words=(ec2tasks run --type=g6.xl); CURRENT=3; _ec2tasks
words=(ec2tasks run x); CURRENT=3; _ec2tasks
"""
    said = project.call("zsh", "-f", "-c", code)
    assert said.out == "eval train\n--type=g6.xlarge\nfiles\n", said.err


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
def test_in_fish(project: ScratchProject) -> None:
    project.write("Makefile", MAKEFILE)
    code = """\
ec2tasks --print-completion-script fish | source
complete -C 'ec2tasks make '
complete -C 'ec2tasks run --type=g6.xl'
complete -C 'ec2tasks run ./Mak'
"""
    said = project.call("fish", "--no-config", "-c", code)
    assert said.out == "eval\ntrain\n--type=g6.xlarge\n./Makefile\n", said.err
