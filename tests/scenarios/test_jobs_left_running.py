"""What becomes of commands that were left running, and of the instances and folders that hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from support.project import ScratchProject
from support.waiting import until

from ec2tasks.aws.client import Aws

LOOP = "echo {}; until [ -e ~/{} ]; do sleep 0.1; done; exit {}"


def runs(project: ScratchProject) -> list[dict[str, object]]:
    found = json.loads(project.ec2tasks("jobs", "--json").out)
    assert isinstance(found, list)
    return found


def state(project: ScratchProject) -> str:
    return str((project.status() or {"state": "gone"})["state"])


def detached(project: ScratchProject, command: str, *words: str) -> str:
    """A run that was left there, by its id."""
    said = project.ec2tasks("run", "--detach", *words, command)
    assert said.code == 0, said.err
    return str(runs(project)[0]["job"])


def test_what_a_restart_ended_is_fetched_and_ended_by_finish(local_project: ScratchProject, aws: Aws) -> None:
    detached(local_project, "echo part > partial; sleep 300", "--terminate")
    aws.ec2.reboot_instances(InstanceIds=[str((local_project.status() or {})["id"])])
    until(lambda: "lost" in str(runs_or_none(local_project)), "back again")
    said = local_project.ec2tasks("finish")
    assert said.code == 125
    assert "was lost in a restart" in said.err
    assert local_project.read("partial") == "part\n"
    assert state(local_project) == "gone", said.err


def runs_or_none(project: ScratchProject) -> str:
    return project.ec2tasks("jobs", "--json").out


def test_attach_starts_no_stopped_instance(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("run", "--stop", "true").code == 0
    until(lambda: state(local_project) == "stopped", "stopped")
    said = local_project.ec2tasks("attach")
    assert said.code == 125
    assert "no command runs on it" in said.err
    assert "`ec2tasks finish` starts it" in said.err
    cancelled = local_project.ec2tasks("cancel")
    assert (cancelled.code, "is stopped: no command runs on it" in cancelled.err) == (125, True)
    assert state(local_project) == "stopped"


def test_attach_reaches_each_of_several_jobs_and_none_ends_unseen(local_project: ScratchProject) -> None:
    project = local_project
    first = detached(project, LOOP.format("one", "go1", 4), "--leave")
    second = detached(project, LOOP.format("two", "go2", 5), "--leave")
    let_go: Callable[[int], object] = lambda number: project.ec2tasks(  # noqa: E731
        "run", "--leave", "--no-rsync", f"touch ~/go{number}"
    )
    let_go(1)
    said = project.ec2tasks("attach", first)
    assert (said.code, said.out) == (4, "one\n"), said.err
    beside = project.ec2tasks("run", "--terminate", "true")
    assert f"left running, because job {second} goes on" in beside.err
    assert "`ec2tasks finish` waits for its end" in beside.err
    down = project.ec2tasks("down")
    assert (down.code, state(project)) == (125, "running")
    assert "`ec2tasks down --no-rsync` gives it up" in down.err
    let_go(2)
    until(lambda: {one["state"] for one in runs(project)} == {"ended"}, "both ended")
    last = project.ec2tasks("run", "--terminate", "true")
    assert (last.code, state(project)) == (0, "gone"), last.err
    assert f"job {second} (`echo two; until" in last.err
    assert "ended with 5 while nobody followed it" in last.err
    (kept,) = re.findall(r"what it printed is in (\S+)", last.err)
    assert project.read(kept) == "two\n"


def test_up_hands_the_guard_of_a_running_instance_its_new_limits(warm: ScratchProject) -> None:
    def limits() -> str:
        return warm.ec2tasks("run", "--leave", "--no-rsync", "cat ~/.ec2tasks/limits").out

    assert warm.ec2tasks("up", "--idle-stop", "5h", "--max-hours", "77").code == 0
    assert {"idle_stop 18000", "max_seconds 277200"} <= set(limits().splitlines())
    assert warm.ec2tasks("up").code == 0
    assert "idle_stop 18000" in limits()
    assert warm.ec2tasks("up", "--idle-stop", "30 min", "--max-hours", "never").code == 0
    assert "max_seconds 0" in limits()


def test_a_multiplexer_waits_for_nobody_where_there_is_no_terminal(warm: ScratchProject) -> None:
    said = warm.ec2tasks("run", "--leave", "--multi", "tmux", "ls ~/.ec2tasks/runs/$EC2TASKS_RUN/go")
    assert said.code == 0, said.err
    assert said.out.strip().endswith("/go")


def test_two_projects_on_one_instance_do_not_keep_it_for_ever(local_project: ScratchProject) -> None:
    project = local_project
    project.ec2tasks("run", "--leave", "--no-rsync", "--remote-dir", "one", "true")
    mixed = project.ec2tasks("run", "--terminate", "--remote-dir", "two", "true")
    assert "stopped, because nobody has fetched what is in `~/one` there" in mixed.err
    assert "`ec2tasks down --remote-dir one` in that project's folder" in mixed.err
    ended = project.ec2tasks("down", "--remote-dir", "one")
    assert (ended.code, state(project)) == (0, "gone"), ended.err


def test_a_command_whose_reader_has_gone_goes_on_to_its_end(warm: ScratchProject) -> None:
    command = "for i in {1..40}; do echo $i; sleep 0.1; done; echo made > read-by-nobody; exit 3"
    said = warm.call("bash", "-c", f"ec2tasks run --leave '{command}' | head -n 1; echo ${{PIPESTATUS[0]}}")
    assert said.out == "1\n3\n"
    assert said.err.count("nobody reads the output any more") == 1
    assert warm.read("read-by-nobody") == "made\n"
