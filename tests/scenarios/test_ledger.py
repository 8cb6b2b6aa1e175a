"""Every way through a run writes or completes its line in the ledger."""

from __future__ import annotations

import json
import signal
from typing import Any

from support.background import start
from support.project import ScratchProject
from support.waiting import until

WAITS = "echo here; until [ -e ~/go-on ]; do sleep 0.1; done; rm ~/go-on; echo gone; exit 3"


def runs(project: ScratchProject) -> list[dict[str, Any]]:
    """The runs of the project that are not the test's own."""
    said = project.ec2tasks("runs", "--json")
    assert said.code == 0, said.err
    commands = ((run, run["command"] or "") for run in json.loads(said.out))  # a shell has none
    return [run for run, command in commands if "go-on" not in command or "until" in command]


def go_on(project: ScratchProject) -> None:
    assert project.ec2tasks("run", "--leave", "--no-rsync", "touch ~/go-on").code == 0


def test_a_run_that_fails_and_one_that_is_interrupted(warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", "exit 7").code == 7
    run = runs(warm)[0]
    assert (run["state"], run["code"], run["command"], run["released"]) == ("ended", 7, "exit 7", "leave")
    assert set(run["phases"]) >= {"found", "synced", "ran", "fetched"}
    assert run["instance"] == (warm.status() or {})["id"]
    assert (run["type"], run["endpoint"], run["cost"] > 0) == ("g4dn.xlarge", "local", True)
    process = start(warm, "ec2tasks", "run", "echo here; sleep 60")
    assert process.line().strip() == "here"
    process.signal(signal.SIGINT)
    assert process.end().code == 130
    assert [runs(warm)[0][name] for name in ("state", "code")] == ["ended", 130]


def test_a_detached_run_is_completed_by_finish(warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", "--detach", WAITS).code == 0
    run = runs(warm)[0]
    assert (run["state"], run["code"]) == ("left", None)
    go_on(warm)
    assert warm.ec2tasks("finish", "--leave").code == 3
    ended = next(each for each in runs(warm) if each["job"] == run["job"])
    assert (ended["state"], ended["code"], ended["began"]) == ("ended", 3, run["began"])
    assert ended["phases"]["synced"] == run["phases"]["synced"]
    assert ended["phases"]["ran"] > 0
    assert ended["cost"] > 0


def test_a_killed_client_leaves_a_line_that_attach_completes(warm: ScratchProject) -> None:
    process = start(warm, "ec2tasks", "run", WAITS)
    assert process.line().strip() == "here"
    until(lambda: runs(warm)[0]["command"] == WAITS, "its line")
    process.signal(signal.SIGKILL)
    process.end()
    run = runs(warm)[0]
    assert (run["state"], run["code"]) == ("begun", None)
    go_on(warm)
    assert warm.ec2tasks("attach", run["job"]).code == 3
    ended = next(each for each in runs(warm) if each["job"] == run["job"])
    assert (ended["state"], ended["code"]) == ("ended", 3)
