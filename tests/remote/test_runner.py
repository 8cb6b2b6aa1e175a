"""The scripts that keep a command on an instance, run here as it would run them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.instance_scripts import instance_script_argv
from support.values import JOB
from support.waiting import until

from ec2tasks.environment.request import EnvironmentRequest
from ec2tasks.remote.job import Job, JobStatus, LostJobError, exit_code, job_files, read_status
from ec2tasks.remote.protocol import Value, read_message
from ec2tasks.remote.stream import Output


class Keeper:
    """A home with runs in it."""

    def __init__(self, home: Path) -> None:
        self.home, self.runs = home, home / ".ec2tasks" / "runs"
        self.begun: list[str] = []

    def begin(self, job: Job, **changes: str) -> None:
        """Start a job, with these words of its scripts changed."""
        (self.home / job.remote_dir).mkdir(exist_ok=True)
        folder = self.runs / job.job_id
        folder.mkdir(parents=True)
        for name, text in job_files(job).items():
            for old, new in changes.items():
                text = text.replace(old, new) if name in ("runner.sh", "sampler.sh") else text
            (folder / name).write_text(text)
        self.begun.append(job.job_id)
        assert self.ask("begin", job.job_id).returncode == 0

    def program(self, name: str, text: str) -> None:
        """A program of that name, in place of the machine's own."""
        path = self.home / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def ask(self, verb: str, job: str = "", **fields: Value) -> subprocess.CompletedProcess[str]:
        script = "end_job.sh" if verb in ("signal", "cancel") else "follow.sh"
        argv = instance_script_argv(script, verb, job=job, **fields)
        environ = {"HOME": str(self.home), "PATH": f"{self.home}/bin:/usr/bin:/bin", "TERM": "dumb"}
        return subprocess.run(
            argv, env=environ, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )

    def state(self, job_id: str = "") -> JobStatus:
        message = read_message(self.ask("state", job_id).stdout.strip(), "job")
        assert message
        return read_status(message)

    def wait(self, job_id: str) -> JobStatus:
        until(lambda: self.state(job_id).over, "over")
        return self.state(job_id)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    found = Keeper(tmp_path)
    yield found
    for job_id in found.begun:
        if not found.state(job_id).over:
            found.ask("signal", job_id, name="KILL")


PLAIN = replace(JOB, ports=(), environment=EnvironmentRequest(wanted="none"))


def test_a_command_killed_for_want_of_memory_is_said_so(keeper: Keeper, tmp_path: Path) -> None:
    """No test can let a machine run out of memory: the kernel's counter is a file here."""
    counter = tmp_path / "vmstat"
    counter.write_text("nr_free_pages 1\noom_kill 3\nx 1\n")
    killed = f"sed -i s/3/4/ {counter}; kill -9 $$"
    keeper.begin(replace(PLAIN, command=killed), **{"/proc/vmstat": str(counter)})
    assert keeper.wait("r").code == 137
    assert (keeper.runs / "r" / "memory").exists()
    assert "ran out of memory" in (keeper.runs / "r" / "err").read_text()


def test_ctrl_c_that_comes_before_the_command_is_not_lost(keeper: Keeper) -> None:
    """The user's own settings take their time there."""
    settings = "touch ~/reading; until [ -e ~/go-on ]; do sleep 0.05; done"
    (keeper.home / ".profile").write_text(f"{settings}\n")
    keeper.begin(replace(PLAIN, command="echo began"))
    until((keeper.home / "reading").exists, "its settings")
    assert keeper.ask("signal", "r", name="INT").returncode == 0
    (keeper.home / "go-on").touch()
    assert keeper.wait("r").code == 130
    assert (keeper.runs / "r" / "out").read_text() == ""


def test_make_is_told_of_ctrl_c_before_its_recipe_ends_and_says_so(keeper: Keeper) -> None:
    """Told at once with its recipe, one make in twenty says `wait: No child processes` and ends with 2."""
    makefile = keeper.home / "shop" / "Makefile"
    makefile.parent.mkdir()
    makefile.write_text("train:\n\t@echo begun; sleep 600; echo done\n")
    for number in range(8):
        job_id = str(number)
        keeper.begin(replace(PLAIN, job_id=job_id, command="make train"))
        out, err = (keeper.runs / job_id / name for name in ("out", "err"))
        until(lambda: out.read_text() == "begun\n", "begun")  # noqa: B023  # called at once
        assert keeper.ask("signal", job_id, name="INT").returncode == 0
        assert keeper.wait(job_id).code == 130
        assert "Interrupt" in err.read_text()


def test_ctrl_c_ends_a_loop_of_short_commands_as_on_a_terminal(keeper: Keeper) -> None:
    """A shell that hears of it before its command does, which then ends well, goes on with the next one."""
    for number in range(4):
        job_id = str(number)
        keeper.begin(
            replace(PLAIN, job_id=job_id, command="echo begun; while sleep 0.02; do :; done; echo on")
        )
        out = keeper.runs / job_id / "out"
        until(lambda: out.read_text() == "begun\n", "begun")  # noqa: B023  # called at once
        assert keeper.ask("signal", job_id, name="INT").returncode == 0
        assert keeper.wait(job_id).code == 130
        assert out.read_text() == "begun\n"


def test_a_failure_with_memory_left_says_nothing_of_it(keeper: Keeper) -> None:
    keeper.begin(replace(PLAIN, command="exit 137"))
    assert keeper.wait("r").code == 137
    assert (keeper.runs / "r" / "err").read_text() == ""


def test_however_often_it_is_asked_for_it_starts_once(keeper: Keeper) -> None:
    keeper.begin(replace(PLAIN, command="echo once; sleep 0.3"))
    for _ in range(3):
        assert keeper.ask("begin", "r").returncode == 0
    keeper.wait("r")
    assert keeper.ask("begin", "r").returncode == 0
    assert (keeper.runs / "r" / "out").read_text() == "once\n"


def test_what_neither_runs_nor_ended_was_lost(keeper: Keeper) -> None:
    keeper.begin(replace(PLAIN, command="sleep 600"))
    assert keeper.state().state == "running"
    holders = subprocess.run(
        ["pgrep", "-f", f"{keeper.runs}/r/runner.sh hold"], capture_output=True, text=True
    ).stdout.split()
    subprocess.run(["kill", "-9", *holders], check=True)
    until(lambda: keeper.state().lost, "lost")
    with pytest.raises(LostJobError, match="with the process that kept it there"):
        exit_code(keeper.state())
    (keeper.runs / "r" / "boot").write_text("another boot\n")
    with pytest.raises(LostJobError, match="in a restart of the instance"):
        exit_code(keeper.state())
    keeper.ask("signal", "r", name="KILL")


def test_the_one_to_come_back_to(keeper: Keeper) -> None:
    keeper.begin(replace(PLAIN, job_id="1", command="sleep 600"))
    for job_id in ("2", "3"):
        keeper.begin(replace(PLAIN, job_id=job_id, command="true"))
        keeper.wait(job_id)
    assert keeper.state().job_id == "1"  # it runs
    keeper.ask("signal", "1", name="KILL")
    keeper.wait("1")
    (keeper.runs / "3" / "told").touch()
    assert keeper.state().job_id == "2"  # nobody has been told
    for job_id in "12":
        (keeper.runs / job_id / "told").touch()
    assert keeper.state().job_id == "3"
    assert len(keeper.ask("jobs").stdout.splitlines()) == 3


def test_a_shell_that_was_left_at_its_prompt_ends_and_one_at_work_does_not(keeper: Keeper) -> None:
    quick = {"TICK=5": "TICK=0.1", "IDLE_SHELL_TICKS=120": "IDLE_SHELL_TICKS=5"}
    shell = replace(PLAIN, command=None, terminal=True, fed=True)
    keeper.begin(replace(shell, job_id="idle"), **quick)
    keeper.begin(replace(shell, job_id="busy"), **quick)
    with (keeper.runs / "busy" / "in").open("w") as keys:
        keys.write("sleep 600\n")
    assert keeper.wait("idle").code is not None
    assert keeper.state("busy").state == "running"


RUNS_IN_SCOPE = """
echo "$*" >>~/scopes
until [ "$1" = -- ]; do shift; done
exec "${@:2}"
"""


@pytest.mark.parametrize(
    ("kills", "systemd_run", "scopes"),
    [("yes", RUNS_IN_SCOPE, 1), ("no", RUNS_IN_SCOPE, 0), ("yes", "exit 1", 0), ("", "exit 1", 0)],
)
@pytest.mark.parametrize("multi", ["none", "tmux", "screen"])
def test_where_logind_kills_what_a_session_leaves_a_command_is_not_part_of_one(
    keeper: Keeper, kills: str, systemd_run: str, scopes: int, multi: str
) -> None:
    keeper.program("loginctl", f'[ "$1" != show-session ] || echo {kills}')
    keeper.program("systemd-run", systemd_run)
    keeper.begin(replace(PLAIN, command="echo began; exit 3", multi=multi))
    assert keeper.ask("release", "r").returncode == 0
    assert keeper.wait("r").code == 3
    assert "began" in (keeper.runs / "r" / "out").read_text()
    asked = keeper.home / "scopes"
    lines = asked.read_text().splitlines() if asked.exists() else []
    wanted = [line for line in lines if not line.endswith("-- true")]
    assert len(wanted) == scopes
    assert all(line.startswith("--user --scope ") and "Delegate=yes" in line for line in wanted)


def test_old_runs_go_but_for_those_that_still_run(keeper: Keeper) -> None:
    keeper.begin(replace(PLAIN, job_id="0", command="sleep 600"))
    for number in range(1, 60):
        (keeper.runs / f"1{number:03}").mkdir()
    keeper.begin(replace(PLAIN, job_id="2", command="sleep 1"), **{"TICK=5": "TICK=0.1"})
    until(lambda: not (keeper.runs / "1001").exists(), "tidied")
    assert (keeper.runs / "0").exists()
    assert len(list(keeper.runs.iterdir())) == 51


def test_of_more_output_than_is_kept_the_last_stays(keeper: Keeper) -> None:
    command = "seq 1000000; until [ -e go-on ]; do sleep 0.05; done; echo last"
    keeper.begin(replace(PLAIN, command=command, log_mb=1), **{"TICK=5": "TICK=0.2"})
    out = keeper.runs / "r" / "out"
    whole = "".join(f"{n}\n" for n in range(1, 1000001))
    until(lambda: out.stat().st_blocks * 512 < 1_200_000 and out.stat().st_size == len(whole), "bounded")
    (keeper.home / "shop" / "go-on").touch()
    keeper.wait("r")
    view = Output()
    view.reopen("w")
    shown = view.take(keeper.ask("follow", "r", marker="w", dump=True).stdout.encode()).decode()
    assert (whole + "last\n").endswith(shown)
    assert len(shown) >= 1 << 20
    assert view.missing == len(whole) + len("last\n") - len(shown)


def test_the_sampler_ends_with_its_job(keeper: Keeper, tmp_path: Path) -> None:
    keeper.begin(
        replace(PLAIN, command="until [ -e ~/over ]; do sleep 0.1; done"),
        **{"TICK=5": "TICK=0.2", "EVERY=10": "EVERY=0.2"},
    )
    sampler = ["pgrep", "-f", f"{keeper.runs}/r/sampler.sh r "]
    until(lambda: subprocess.run(sampler, capture_output=True).returncode == 0, "a sampler")
    (tmp_path / "over").touch()
    keeper.wait("r")
    until(lambda: subprocess.run(sampler, capture_output=True).returncode == 1, "no sampler")


def cancelled(keeper: Keeper, job_id: str = "r") -> str:
    """What ended a job that is cancelled with little patience."""
    answer = keeper.ask("cancel", job_id, grace="0.4", hard="0.4")
    message = read_message(answer.stdout.strip(), "cancelled")
    assert message, answer
    return message.get("by", str, "")


@pytest.mark.parametrize(
    ("command", "by", "code"),
    [
        ("echo begun; sleep 600", "INT", 130),
        ("trap 'exit 3' INT; echo begun; sleep 600", "INT", 3),
        ("trap '' INT; echo begun; sleep 600", "TERM", 143),
        ("trap '' INT TERM; echo begun; sleep 600 & wait", "KILL", 137),
        ("echo begun; exit 4", "", 4),
    ],
)
def test_a_command_is_ended_politely_then_hard(command: str, by: str, code: int, keeper: Keeper) -> None:
    keeper.begin(replace(PLAIN, command=command))
    until(lambda: (keeper.runs / "r" / "out").read_text() == "begun\n", "begun")
    if not by:
        keeper.wait("r")
    assert cancelled(keeper) == by
    assert keeper.wait("r").code == code
    until(lambda: not processes_in(keeper.home), "nothing of it left")


def processes_in(home: Path) -> list[str]:
    """The processes that a job with this home has started."""
    found = subprocess.run(
        ["grep", "-lsaz", f"^HOME={home}$", *map(str, Path("/proc").glob("[0-9]*/environ"))],
        capture_output=True,
        text=True,
    )
    return [path for path in found.stdout.split() if "EC2TASKS_RUN=" in environment(path)]


def environment(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""  # it has ended meanwhile


def test_what_a_command_does_on_its_way_out_is_disturbed_by_no_second_cancel(keeper: Keeper) -> None:
    saving = "trap 'echo told; sleep 0.3 & wait $!; echo saved; exit 3' INT; echo begun; sleep 600 & wait"
    keeper.begin(replace(PLAIN, command=saving))
    out = keeper.runs / "r" / "out"
    until(lambda: out.read_text() == "begun\n", "begun")
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: keeper.ask("cancel", "r", grace=20, hard=20).stdout, range(2)))
    assert sorted("by=INT" in answer for answer in answers) == [False, True]
    assert keeper.state("r").code == 3
    assert out.read_text() == "begun\ntold\nsaved\n"
