"""Commands that outlive their client: detached, attached to again, finished; in tmux, screen, neither."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from support.background import hit_at_step_argv, start
from support.local_ec2 import until_state
from support.project import ScratchProject, other_machine
from support.terminal import Terminal
from support.waiting import until

SLOW = (
    "echo here; until [ -e ~/go-on ]; do sleep 0.1; done; rm ~/go-on; echo gone;"
    " . ~/.ec2tasks/runs/$EC2TASKS_RUN/job; echo kept by $multi > result; exit 3"
)


def go_on(project: ScratchProject) -> None:
    assert project.ec2tasks("run", "--leave", "--no-rsync", "touch ~/go-on").code == 0


@pytest.mark.parametrize("multi", ["tmux", pytest.param("screen", marks=pytest.mark.long), "none"])
def test_a_detached_job_goes_on_and_finish_fetches_its_results(multi: str, warm: ScratchProject) -> None:
    detached = warm.ec2tasks("run", "--detach", "--multi", multi, SLOW)
    assert detached.code == 0, detached.err
    assert "`ec2tasks attach`" in detached.err
    # Another session does not end the instance under it.
    other = warm.ec2tasks("run", "--terminate", "true")
    assert "goes on" in other.err
    process = start(warm, "ec2tasks", "finish", "--leave")
    assert process.line().strip() == "here"
    go_on(warm)
    said = process.end()
    assert said.code == 3, said.err
    assert said.out.split() == ["here", "gone"]
    assert warm.read("result") == f"kept by {multi}\n"


def test_status_tells_what_runs_at_this_moment_not_at_the_guard_s_last_look(warm: ScratchProject) -> None:
    def outlook() -> str:
        return str((warm.status() or {})["outlook"])

    guards = "pkill -{} -f '^bash /[^ ]*/guard.sh'"
    idle = ("run", "--leave", "--no-rsync", "--idle-stop", "1h")
    assert warm.ec2tasks(*idle, "true").code == 0
    until(lambda: "nobody is on it" in outlook(), "idle")
    assert warm.ec2tasks(*idle, guards.format("STOP")).code == 0
    try:
        assert warm.ec2tasks("run", "--detach", "until [ -e ~/go-on ]; do sleep 0.1; done").code == 0
        assert "a session or a command of ec2tasks is on it" in outlook()
        go_on(warm)
        assert warm.ec2tasks("finish", "--leave").code == 0
        assert "nobody is on it" in outlook()
    finally:
        assert warm.ec2tasks(*idle, f"rm -f ~/go-on; {guards.format('CONT')}").code == 0


@pytest.mark.parametrize(
    "step", ["before start of ssh", pytest.param("before start of rsync", marks=pytest.mark.long)]
)
def test_finish_takes_no_earlier_job_for_one_that_never_began(
    step: str, warm: ScratchProject, tmp_path: Path
) -> None:
    assert warm.ec2tasks("run", "echo earlier").code == 0
    died = warm.call(*hit_at_step_argv("kill", step, "run", "echo never"))
    assert died.code == -signal.SIGKILL
    # The instance knows of it only once its client had got on it.
    on_it = [other_machine(warm, tmp_path)] if "rsync" in step else []
    for machine in (*on_it, warm):
        said = machine.ec2tasks("finish")
        assert (said.code, said.out) == (125, ""), said.err
        assert "the last one wanted here, never began" in said.err
    assert warm.ec2tasks("attach").code == 125
    assert warm.ec2tasks("run", "exit 4").code == 4
    assert warm.ec2tasks("finish").code == 4


def test_a_job_that_is_still_to_begin_is_not_ended_by_finish(warm: ScratchProject, tmp_path: Path) -> None:
    held = f"hold={tmp_path / 'go'}"
    client = start(warm, *hit_at_step_argv(held, "before start of rsync", "run", "echo late; exit 6"))
    until(lambda: "has not begun yet: its client is still at it" in warm.ec2tasks("finish").err, "coming")
    (tmp_path / "go").touch()
    assert client.end().code == 6


def test_finish_applies_the_final_state_asked_for_at_the_start(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("run", "--detach", "--stop", "true").code == 0
    said = local_project.ec2tasks("finish")
    assert said.code == 0, said.err
    until_state(local_project, "stopped")


def test_finish_applies_the_final_state_it_is_given(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("run", "--detach", "exit 5").code == 0
    assert local_project.ec2tasks("finish", "--terminate").code == 5
    assert local_project.status() is None


def test_a_detached_command_that_has_ended_leaves_the_instance(warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", "--detach", "true").code == 0
    said = warm.ec2tasks("attach")
    assert said.code == 0, said.err
    assert "has ended with 0" in said.err
    assert (warm.status() or {})["state"] == "running"


QUOTES = """printf '%s|' "it's" '$HOME' "a  b" 'back\\slash' '"'; echo\necho two 'lines
in quotes' # comment"""


@pytest.mark.parametrize("multi", ["tmux", pytest.param("screen", marks=pytest.mark.long), "none"])
def test_quotes_dollars_and_newlines_survive(multi: str, warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", "--detach", "--multi", multi, QUOTES).code == 0
    said = warm.ec2tasks("finish", "--leave")
    assert said.code == 0, said.err
    expected = "it's|$HOME|a  b|back\\slash|\"|\ntwo lines\nin quotes\n"
    assert said.out.replace("\r\n", "\n") == expected


def test_nothing_to_attach_to_is_said(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("up").code == 0
    for task in ("attach", "finish"):
        said = local_project.ec2tasks(task)
        assert said.code == 125
        assert "no command was left running" in said.err
    assert (local_project.status() or {})["state"] == "running"


def test_ctrl_c_while_finishing_reaches_the_command(warm: ScratchProject) -> None:
    command = "trap 'echo caught > caught; exit 4' INT; echo here; while :; do sleep 0.1; done"
    assert warm.ec2tasks("run", "--detach", command).code == 0
    process = start(warm, "ec2tasks", "finish", "--leave")
    assert process.line().strip() == "here"
    process.signal_all(signal.SIGINT)
    assert process.end().code == 130
    assert warm.read("caught") == "caught\n"


@pytest.mark.parametrize(
    ("multi", "keys"),
    [("tmux", ("C-b", "d")), pytest.param("screen", ("C-a", "d"), marks=pytest.mark.long)],
)
def test_the_detach_keys_leave_it_running(
    multi: str, keys: tuple[str, str], terminal: Terminal, warm: ScratchProject
) -> None:
    command = f"tty; read x; echo $x > got-{multi}; exit 6"
    terminal.type(f"ec2tasks run --multi {multi} '{command}'; echo code $?")
    terminal.wait_for(r"^/dev/pts/")
    for key in keys:
        terminal.key(key)
    terminal.wait_for(r"code 0")  # screen leaves the cursor where it was
    assert "ec2tasks attach" in terminal.screen()
    terminal.clear()
    terminal.type("ec2tasks attach; echo again $?")
    terminal.wait_for(r"^/dev/pts/")
    terminal.type("typed")
    terminal.wait_for(r"^again 6")
    assert warm.ec2tasks("finish", "--leave").code == 6
    assert warm.read(f"got-{multi}") == "typed\n"


def test_a_run_in_tmux_ends_like_any_other(terminal: Terminal, warm: ScratchProject) -> None:
    command = "echo inside; sleep 1; echo out > out-of-tmux; exit 7"
    terminal.type(f"MULTIPLEX=tmux ec2tasks run '{command}'; echo code $?")
    screen = terminal.wait_for(r"^code 7")
    assert "inside" in screen
    assert warm.read("out-of-tmux") == "out\n"


def test_a_shell_is_not_detached(project: ScratchProject) -> None:
    said = project.ec2tasks("shell", "--detach", "--local")
    assert said.code == 2
    assert "can't be detached" in said.err


def test_a_cancelled_command_is_ended_fetched_and_written_down_and_its_instance_stays(
    warm: ScratchProject,
) -> None:
    saving = "trap 'echo saved > saved; exit 3' INT; echo begun; sleep 300 & wait"
    assert warm.ec2tasks("run", "--detach", "--leave", saving).code == 0
    beside = warm.ec2tasks("run", "--leave", "true")
    assert "still runs on the instance, left by its client" in beside.err
    assert "hint: `ec2tasks cancel " in beside.err
    said = warm.ec2tasks("cancel", "wait")
    assert said.code == 0, said.err
    assert "has ended, as by Ctrl-C" in said.err
    assert "left running" in said.err
    assert warm.read("saved") == "saved\n"
    runs = json.loads(warm.ec2tasks("runs", "--json").out)
    ended = next(run for run in runs if run["command"] == saving)
    assert (ended["state"], ended["code"], ended["released"]) == ("ended", 3, "leave")
    again = warm.ec2tasks("cancel", "wait")
    assert (again.code, "has ended already, with 3" in again.err) == (0, True), again.err
    none = warm.ec2tasks("cancel")
    assert (none.code, none.err) == (0, "ec2: no command runs on the instance\n")
    # Nobody has seen what it printed yet.
    said = warm.ec2tasks("finish")
    assert (said.code, said.out) == (3, "begun\n"), said.err
