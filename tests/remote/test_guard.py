"""The guard: what a launch carries, and what becomes of an instance that nobody ends."""

from __future__ import annotations

import email
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.project import ScratchProject
from support.values import settings

from ec2tasks.aws import user_data as guard
from ec2tasks.aws.client import Aws
from ec2tasks.base.errors import UsageError
from ec2tasks.local.layout import Layout
from ec2tasks.local.userdata import runnable_parts

LINES = st.text(st.characters(codec="utf-8"), max_size=300)
BEGINNINGS = st.sampled_from(["#!/bin/sh\n", "#cloud-config\n", "From me\n", "#include\nhttps://x/\n", ""])


def parts(text: str) -> list[tuple[str, bytes]]:
    found = [one for one in email.message_from_string(text).walk() if not one.is_multipart()]
    return [(one.get_content_type(), bytes(one.get_payload(decode=True))) for one in found]


@given(BEGINNINGS, LINES)
def test_the_user_s_own_user_data_arrives_as_it_is_after_the_guard(begin: str, rest: str) -> None:
    text = begin + rest
    hook, *own = parts(
        guard.multipart([guard._part("#!/bin/bash\n", "text/cloud-boothook"), guard.own_part(text)])
    )
    assert hook == ("text/cloud-boothook", b"#!/bin/bash\n")
    assert [content for _, content in own] == [text.encode()]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("#!/bin/sh\n", "text/x-shellscript"),
        ("#cloud-config\nx: 1\n", "text/cloud-config"),
        ("#cloud-config-archive\n- x\n", "text/cloud-config-archive"),
        ("## template: jinja\n#cloud-config\n", "text/jinja2"),
        ("what is this\n", "text/plain"),
    ],
)
def test_it_is_what_its_first_line_says(text: str, kind: str) -> None:
    assert parts(guard.user_data(settings(user_data=text)))[1] == (kind, text.encode())


def test_user_data_in_parts_keeps_its_parts() -> None:
    text = guard.multipart([guard.own_part("#!/bin/sh\n"), guard.own_part("#cloud-config\n")])
    own = parts(guard.user_data(settings(user_data=text)))[1:]
    assert own == [("text/x-shellscript", b"#!/bin/sh\n"), ("text/cloud-config", b"#cloud-config\n")]


def test_the_local_instances_run_the_guard_at_each_boot_and_the_script_at_the_first() -> None:
    text = guard.user_data(settings(user_data="#!/bin/sh\necho é\n"))
    (hooks, hook), own = runnable_parts(text.encode())
    assert (hooks, hook[:11]) == ("boothooks", b"#!/bin/bash")
    assert own == ("scripts", "#!/bin/sh\necho é\n".encode())
    assert runnable_parts(b"#!/bin/sh\n") == [("scripts", b"#!/bin/sh\n")]
    assert runnable_parts(b"#cloud-config\n") == runnable_parts(b"\xff\xfe") == runnable_parts(b"") == []


def test_what_is_too_long_together_is_refused_with_both_sizes() -> None:
    with pytest.raises(
        UsageError, match=r"user_data holds 15010 bytes and the guard of ec2tasks \d+;.*16384"
    ):
        guard.user_data(settings(user_data="#!/bin/sh\n" + "x" * 15000))


def test_the_guard_leaves_room_for_the_user_and_knows_the_limits() -> None:
    text = guard.user_data(settings(idle_stop="90 s", max_hours="2", spot=True))
    assert len(text) < 11_500
    assert "\nidle_stop 90\nmax_seconds 7200\ncost_seconds 0\nstalled_stop 0\nspot 1\n" in text
    text = guard.user_data(settings(max_cost="$2.50", stalled_stop="2 h"), 1.25)
    assert "\ncost_seconds 7200\nstalled_stop 7200\n" in text


# On the local EC2: seconds in place of minutes.


def seen(project: ScratchProject) -> dict[str, object]:
    """What `status` says of the instance."""
    found = json.loads(project.ec2tasks("status", "--json").out)
    assert isinstance(found, dict)
    return found


def until(question: Callable[[], bool], limit: float = 60) -> None:
    deadline = time.monotonic() + limit
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def stopped(project: ScratchProject) -> None:
    until(lambda: seen(project)["state"] == "stopped")


def run(project: ScratchProject, command: str, *words: str) -> str:
    done = project.ec2tasks("run", "--leave", *words, command)
    assert done.code == 0, done.err
    return done.out


GUARD = "bash /[^ ]*/guard.sh"


def test_idle_it_stops_itself_whoever_kills_the_guard_and_its_disk_stays(
    local_project: ScratchProject,
) -> None:
    project = local_project
    # The command takes longer than the instance may be idle.
    kill = f"pkill -9 -f '{GUARD}'; sleep 5; pgrep -fc '{GUARD}' | tee there"
    assert run(project, kill, "--idle-stop", "3 s").strip() == "1"
    stopped(project)
    assert any("stopped itself: powering off" in line for line in seen(project)["outlook"])  # type: ignore[attr-defined]
    # Started anew it is armed again, and its files are there.
    assert run(project, "cat there; cut -d ' ' -f 1 /run/ec2tasks-guard/state").split()[:2] == ["1", "armed"]


def armed(project: ScratchProject) -> str:
    """When the guard was armed, as uptime; empty while it can't be asked."""
    look = ("run", "--leave", "--no-rsync", "grep armed /run/ec2tasks-guard/state")
    return project.ec2tasks(*look).out


def test_a_reboot_does_not_disarm_it_nor_give_it_more_time(local_project: ScratchProject, aws: Aws) -> None:
    project = local_project
    run(project, "sleep 5", "--max-hours", "600 s")
    first = armed(project)
    before = seen(project)["guard"]["ends_in"]  # type: ignore[index]
    aws.ec2.reboot_instances(InstanceIds=[str(seen(project)["id"])])
    until(lambda: armed(project) not in ("", first))
    after = seen(project)["guard"]["ends_in"]  # type: ignore[index]
    assert after < before
    # Another limit than before counts from now on, whatever runs.
    assert project.ec2tasks("run", "--max-hours", "6 s", "--leave", "sleep 100").code != 0
    stopped(project)


@contextmanager
def full_disk(project: ScratchProject) -> Iterator[None]:
    project.ec2tasks("local.faults", "--set", "disk_full_mb: 4")
    try:
        yield
    finally:
        project.ec2tasks("local.faults", "--clear")


def test_a_full_disk_does_not_disarm_it(local_project: ScratchProject) -> None:
    with full_disk(local_project):
        # It ends with 0 only where the disk is full in the end.
        run(local_project, "! dd if=/dev/zero of=$HOME/fill bs=1M 2>/dev/null", "--idle-stop", "4 s")
    stopped(local_project)


def test_a_spot_instance_ends_when_what_is_on_it_was_fetched_and_not_before(
    local_project: ScratchProject, local_folder: Path
) -> None:
    project = local_project
    # What a command leaves behind keeps the instance for as long as it works.
    busy = "{ until [ -e ~/over ]; do :; done } >/dev/null 2>&1 & touch result"
    run(project, busy, "--no-rsync", "--spot", "--idle-stop", "2 s")
    until(lambda: "left behind" in str(seen(project)["outlook"]))
    (Layout(root=local_folder).instances / str(seen(project)["id"]) / "home" / "over").touch()
    until(lambda: "can't be stopped" in str(seen(project)["outlook"]))
    assert seen(project)["state"] == "running"
    run(project, "true")
    assert (project.root / "result").exists()
    until(lambda: project.ec2tasks("status", "--json").out.strip() == "null")


def test_what_a_command_left_on_purpose_is_left_to_the_guard(
    local_project: ScratchProject, local_folder: Path
) -> None:
    project = local_project
    # It works, so that the guard leaves it the time that this machine may take to say that it is over.
    wait = "until [ -e ~/over ]; do :; done; touch made"
    left = f'nohup sh -c "{wait}" >/dev/null 2>&1 &'
    done = project.ec2tasks("run", "--terminate", "--idle-stop", "5 s", left)
    assert done.code == 0
    assert "left running, because `sh`, which a command left there, goes on" in done.err
    home = Layout(root=local_folder).instances / str(seen(project)["id"]) / "home"
    (home / "over").touch()
    until((home / "shop" / "made").exists)
    stopped(project)
    assert project.ec2tasks("down").code == 0
    assert (project.root / "made").exists()


def test_what_is_left_in_the_background_by_chance_keeps_nothing(local_project: ScratchProject) -> None:
    done = local_project.ec2tasks("run", "--terminate", "sleep 300 >/dev/null 2>&1 &")
    assert done.code == 0
    assert local_project.ec2tasks("status", "--json").out.strip() == "null", done.err
