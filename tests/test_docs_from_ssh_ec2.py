"""The page for users of ssh-ec2: the program knows each name in it, and none of theirs is missing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

import pytest
from invoke.parser import Parser
from support.project import ScratchProject
from support.repository import REPO

from ec2tasks.cli.program import program
from ec2tasks.config.schema import ENVIRONMENT_NAMES, KEYS_BY_NAME

PAGE = (REPO / "docs" / "from-ssh-ec2.md").read_text(encoding="utf-8")
THEIR_OPTIONS = (
    *("-l", "--leave", "-s", "--stop", "-t", "--terminate", "-d", "--detach", "--attach", "--multi"),
    *("--no-rsync", "--quiet", "--no-quiet", "-i", "-I", "-L", "-R", "--help"),
)
THEIR_VARIABLES = (
    *("AWS_REGION", "AWS_INSTANCE_TYPE", "AWS_IMAGE_NAME", "AWS_IMAGE_ID", "AWS_INSTANCE_USER"),
    *("AWS_KEY_NAME", "TRIGRAM", "USER", "AWS_PEM", "AWS_IAM_INSTANCE_PROFILE", "AWS_SECURITY_GROUP"),
    *("CREATE_SECURITY_GROUP", "AWS_NAME_INSTANCE", "AWS_RSYNC_DIR", "AWS_FINAL_STATE", "AWS_USER_DATA"),
    *("MULTIPLEX", "CONDA_ENV"),
)
THEIR_OTHER_NAMES = (
    *(".rsyncignore", ".env", "./ssh-ec2", "on-ec2-%", "on-ec2-notebook", "SshEc2Access.policy", "SshEc2"),
    *("SshEc2Access", "SshEC2", "EC2ReadOnlyAccessToS3", "EC2FullAccessToS3", "EC2ReadOnlyAccess"),
    *("eu-central-1", "p2.xlarge", "Deep Learning AMI (Ubuntu)*", "tmux"),
    *("Name", "User", "Hostname", "Trigram"),
)
THEIR_LINES = (
    "ssh-ec2",
    "ssh-ec2 who am i",
    'ssh-ec2 --terminate "source activate cntk_p36 ; make train"',
    'ssh-ec2 --detach "while sleep 1; do echo thinking; done"',
    "ssh-ec2 --attach",
    'ssh-ec2 --stop -L 8888:localhost:8888 "jupyter notebook --NotebookApp.open_browser=False"',
    'ssh-ec2 --stop -I my_key.pem "who am i"',
    "ssh-ec2 --help",
)
MAKEFILE = """\
train:
	@echo "training '$(WHO)'" | tee trained

## ------------ ON EC2
on-ec2-%: ## call make recipe on EC2
	MULTIPLEX="" ec2tasks run --leave "source activate cntk_p36 ; make $(*:on-ec2-%=%)"
"""


def spans(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def section(title: str) -> list[list[str]]:
    """The rows of the table under this heading, without its two first lines."""
    body = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in body.splitlines() if line.startswith("|")]
    return rows[2:]


def parsed(words: Sequence[str]) -> list[str]:
    """The tasks of a command line, by the program's parser. Raises ParseError for what it doesn't know."""
    found = program()
    assert found.namespace is not None
    found.normalize_argv(list(words))
    if found.argv[1] == "--help":
        return [name for name in found.argv[2:] if name in found.namespace.task_names]
    parser = Parser(initial=found.initial_context, contexts=found.namespace.to_contexts())
    return [context.name for context in parser.parse_argv(found.argv[1:]) if context.name]


def known_options() -> set[str]:
    found = program()
    assert found.namespace is not None
    return {flag for context in found.namespace.to_contexts() for flag in context.flags} | {
        alias for context in found.namespace.to_contexts() for alias in context.flags.aliases
    }


LINES = sorted({one for one in spans(PAGE) if one.startswith("ec2tasks ") and "COMMAND" not in one})


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_of_the_page_is_understood(line: str) -> None:
    words = shlex.split(line)
    assert parsed(words)


def test_every_option_of_the_page_is_one_of_the_program_s() -> None:
    ours = [cell for row in section("Options") for cell in row[1:]]
    ours += [cell for row in section("Variables") for cell in row[1:]]
    ours += [cell for row in section("Defaults") for cell in row[2:]]
    given = {one.split()[0] for cell in ours for one in spans(cell) if one.startswith("-")}
    assert given
    assert given <= known_options()


def test_every_variable_of_the_page_is_read() -> None:
    named = {one for one in spans(PAGE) if re.fullmatch(r"[A-Z][A-Z_]{3,}", one)}
    assert named - ENVIRONMENT_NAMES - {"USER"} == set()


def test_every_variable_has_the_setting_that_the_page_gives_it() -> None:
    for row in section("Variables"):
        names = [one for one in spans(row[0]) if one != "USER"]
        for name in names:
            assert name in KEYS_BY_NAME[spans(row[1])[0]].environment, name


def test_every_target_of_the_page_is_in_makefile_inc() -> None:
    template = (REPO / "templates" / "Makefile.inc").read_text(encoding="utf-8")
    targets = {one for one in spans(PAGE) if one.startswith("on-ec2-")}
    assert targets == {"on-ec2-%", "on-ec2-notebook"}
    assert all(target in template for target in targets)


@pytest.mark.parametrize("name", [*THEIR_OPTIONS, *THEIR_VARIABLES, *THEIR_OTHER_NAMES, *THEIR_LINES])
def test_nothing_of_theirs_is_missing(name: str) -> None:
    words = {word for one in spans(PAGE) for word in (one, one.split()[0])} | {
        word for one in spans(PAGE) for word in one.split() if word.startswith("-")
    }
    assert name in words


def test_the_user_s_login_name_is_read_too(project: ScratchProject) -> None:
    assert '"key_name": {\n    "value": "jo"' in project.ec2tasks("config", "--json", USER="jo").out


def test_their_make_rule_works_with_ec2tasks_in_its_place(warm: ScratchProject) -> None:
    warm.write("Makefile", MAKEFILE)
    try:
        said = warm.call("make", "on-ec2-train", environ={"WHO": "me"})
        assert said.code == 0, said.err
        assert "training ''" in said.out
        assert warm.read("trained") == "training ''\n"
    finally:
        (warm.root / "Makefile").unlink()
        warm.ec2tasks("run", "--leave", "rm -f trained Makefile")
