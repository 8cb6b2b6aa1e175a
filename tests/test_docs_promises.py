"""What the pages promise, held against what keeps it: calls of AWS, numbers, the limits of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.session import get_session
from support.repository import REPO

from ec2tasks.commands import fetch
from ec2tasks.commands.first_push import WORTH_A_LOOK
from ec2tasks.commands.use import TOLD_FROM
from ec2tasks.config import schema
from ec2tasks.config.parsers import USER_DATA_LIMIT
from ec2tasks.lifecycle.ignored import WORTH_ASKING
from ec2tasks.lifecycle.pool import CLOSED
from ec2tasks.remote.end_job import GRACE, HARD
from ec2tasks.sync import apply as sync
from ec2tasks.sync import pull as incoming

PACKAGE = REPO / "ec2tasks"
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def page(name: str) -> str:
    """A page's text in one line."""
    return " ".join((REPO / "docs" / name).read_text(encoding="utf-8").split())


# What Identity Center has a call for too is a function of our own.
OURS = {"describe_instance"}


def calls() -> set[str]:
    """Every call of AWS that is named in the code of the stages, as an attribute or a word."""
    services = [
        get_session().get_service_model(name)
        for name in ("ec2", "iam", "ssm", "sts", "pricing", "service-quotas", "sso-admin")
    ]
    known = {xform_name(one): one for service in services for one in service.operation_names}
    nodes = [node for path, tree in TREES.items() if path.parent.name != "local" for node in ast.walk(tree)]
    named = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    named |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {known[one] for one in named if one in known and one not in OURS}


def test_the_page_of_changes_names_every_call_of_aws_and_no_other() -> None:
    said = set(re.findall(r"`(?:\w+:)?([A-Z]\w+)`", page("aws-changes.md")))
    verbs = {re.match("[A-Z][a-z]+", one)[0] for one in calls()}  # type: ignore[index]
    assert calls() - said == set()
    assert {one for one in said if re.match(f"(?:{'|'.join(verbs)})[A-Z]", one)} == calls()


def word(script: str, name: str) -> float:
    """The number that a script of the instance's gives this name."""
    found = re.search(rf"\b{name}=(\d+)", (PACKAGE / "remote" / script).read_text(encoding="utf-8"))
    assert found, name
    return int(found[1])


DEFAULTS = {key.name: key.default for key in schema.KEYS}
SHELL_SECONDS = word("runner.sh", "IDLE_SHELL_TICKS") * word("runner.sh", "TICK")
# The page, its words, the number in them, what is so.
NUMBERS = [
    ("sync.md", "for the last ten runs", 10, sync.KEPT_REPLACED),
    ("sync.md", "has stood still for two seconds", 2, incoming.STILL),
    ("sync.md", "one of up to 64 MB that", 64_000_000, incoming.LOG_LIMIT),
    ("sync.md", "by itself, tried six times", 6, len(fetch.PAUSES)),
    ("reliability.md", "is tried again (six times", 6, len(fetch.PAUSES)),
    ("reliability.md", "every `pull_every` (60 s)", 60, DEFAULTS["pull_every"]),
    ("user.md", "every `pull_every` (a minute)", 60, DEFAULTS["pull_every"]),
    ("user.md", "Over 100 MB that nobody", 100_000_000, WORTH_ASKING),
    ("user.md", "whose first push is over 200 MB", 200_000_000, WORTH_A_LOOK),
    ("user.md", "goes on for 30 s gets SIGTERM", 30, GRACE),
    ("user.md", "and 10 s later SIGKILL", 10, HARD),
    ("user.md", "`reap_after` (7 days)", 7 * 86400, DEFAULTS["reap_after"]),
    ("user.md", "no command runs for 30 minutes", 1800, DEFAULTS["idle_stop"]),
    ("user.md", "the last 50 jobs", 50, word("runner.sh", "KEPT_JOBS")),
    ("user.md", "ends by itself after ten minutes", 600, SHELL_SECONDS),
    ("guard.md", "`idle_stop: 30 min` (the default)", 1800, DEFAULTS["idle_stop"]),
    ("guard.md", "`max_hours: never` (the default)", 0, DEFAULTS["max_hours"]),
    ("guard.md", "`max_cost: never` (the default)", 0, DEFAULTS["max_cost"]),
    ("guard.md", "`warn_before: 2 min` (the default)", 120, DEFAULTS["warn_before"]),
    ("guard.md", "`stalled_stop: never` (the default)", 0, DEFAULTS["stalled_stop"]),
    ("guard.md", "in each minute the processors were", 60, word("sampler.sh", "WINDOW")),
    ("guard.md", "Looked at every 5 seconds", 5, word("guard.sh", "tick")),
    ("guard.md", "given less than 30 s to come", 30, word("guard.sh", "first_visit")),
    ("guard.md", "for 15 minutes at most", 900, word("guard.sh", "boot_limit")),
    ("guard.md", "a twentieth of a core during a minute", 60, word("guard.sh", "window")),
    ("guard.md", "on the machine for 8 hours", 8 * 3600, word("guard.sh", "login_limit")),
    ("guard.md", "longer than three minutes is forced", 180, word("guard.sh", "force_after")),
    ("guard.md", "a client that says nothing for a minute is gone", 60, word("follow.sh", "SILENCE")),
    ("make.md", "asked again after two minutes", 120, CLOSED),
    ("use.md", "on the instance, every 10 s", 10, word("sampler.sh", "EVERY")),
    ("use.md", "A run of over a minute", 60, TOLD_FROM),
    ("guard.md", "AWS takes 16 KiB for both", 16 * 1024, USER_DATA_LIMIT),
]


@pytest.mark.parametrize(("name", "words", "said", "kept"), NUMBERS, ids=[one[1] for one in NUMBERS])
def test_a_number_on_a_page_is_the_one_in_the_code(name: str, words: str, said: float, kept: float) -> None:
    assert words in page(name)
    assert said == kept


# One request, written down as AWS takes it.
LONGER = {"run_instances_request"}


def bodies(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Each function's name, and its lines without the head and the docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = node.body[min(ast.get_docstring(node) is not None, len(node.body) - 1)]
            yield node.name, (node.end_lineno or 0) - first.lineno + 1


@pytest.mark.parametrize("path", TREES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_and_modules_are_as_short_as_they_are_said_to_be(path: Path) -> None:
    assert "Functions of at most 30 lines" in (REPO / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert {name for name, lines in bodies(TREES[path]) if lines > 30} <= LONGER
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
