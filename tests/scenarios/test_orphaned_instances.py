"""No orphan: whatever cuts a launch short, `ls`, `reap` and the next run find what it left.

`WALK=all pytest --timeout 1800 -s -k any_step tests/scenarios/test_orphaned_instances.py` kills a client at
every step of a run, and tells how many there were; without it, it is killed at two of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.background import hit_at_step_argv, start
from support.keys import make_key
from support.local_ec2 import faults, until_state
from support.project import ScratchProject, other_machine
from support.waiting import until

from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import ALIVE, FETCHED_TAG, GONE, list_instances

REQUEST = "before RunInstances"
GRANTED = "after RunInstances"
FULL = {"code": "InsufficientInstanceCapacity", "status": 500}
EVERY_STEP = os.environ.get("WALK") == "all"  # takes minutes


def until_step(step: str, deed: str = "kill", log: str = "/dev/null") -> list[str]:
    """The command `ec2tasks run true` to which this is done at that step."""
    return hit_at_step_argv(deed, step, "run", "true", log=log)


def has_taken(log: Path, step: str) -> bool:
    """Whether the step stands in the log, whole: the start of ssh-keygen is not that of ssh."""
    return log.is_file() and step in log.read_text().splitlines()


def steps_to_die_at(project: ScratchProject, log: Path) -> list[str]:
    """The request, and the first file that moves; every step, by its number, where that is asked for."""
    if not EVERY_STEP:
        return [REQUEST, "before start of rsync"]
    assert project.call(*until_step("none", log=str(log))).code == 0
    return [str(number) for number, _ in enumerate(log.read_text().splitlines(), start=1)]


def alive(aws: Aws, user: str) -> list[str]:
    return [one.id for one in list_instances(aws, owner=user)]


def ever(aws: Aws, user: str) -> list[str]:
    return [one.id for one in list_instances(aws, owner=user, states=(*ALIVE, *GONE))]


def begun(project: ScratchProject) -> list[Path]:
    """What stands in this home's journal, beside drafts of clients that died while they wrote."""
    folder = Path(project.environ["HOME"]) / ".local/state/ec2tasks/launches"
    return [one for one in folder.iterdir() if not one.name.startswith(".")]


def test_a_client_killed_at_any_step_leaves_nothing_unfound(
    local_project: ScratchProject, aws: Aws, tmp_path: Path
) -> None:
    user = local_project.environ["USER"]
    make_key(Path(local_project.environ["HOME"]) / ".ssh" / "ec2tasks")

    def die_at(step: str) -> int:
        name, mine = f"{user}-{step.split()[-1]}", tmp_path / f"died at {step}"
        died = local_project.call(*until_step(step, log=str(mine)), environ={"USER": name})
        taken = mine.read_text().splitlines()
        where = f"killed at {step}: {taken[-1]}"
        assert died.code == -signal.SIGKILL, where
        left = alive(aws, name)
        again = local_project.ec2tasks("run", "--terminate", "true", USER=name)
        assert again.code == 0, f"{where}: {again.err}"
        # The next run goes on with what was left, so that there was never another beside it.
        assert all(one in again.err for one in left), where
        assert len(ever(aws, name)) == (2 if "after TerminateInstances" in taken else 1), where
        assert alive(aws, name) == [], where
        return len(left)

    steps = steps_to_die_at(local_project, tmp_path / "steps")
    with ThreadPoolExecutor(max_workers=2) as pool:
        left = list(pool.map(die_at, steps))
    sys.stderr.write(f"died at {len(steps)} steps: {sum(left)} left an instance, 0 orphans, 0 doubles\n")
    assert begun(local_project) == []


def test_what_a_killed_launch_left_is_shown_and_reaped(local_project: ScratchProject, aws: Aws) -> None:
    user = local_project.environ["USER"]
    local_project.call(*until_step(GRANTED))
    (left,) = alive(aws, user)
    until_state(local_project, "running")
    assert left in local_project.ec2tasks("ls").out
    shown = local_project.ec2tasks("reap")
    assert (shown.code, left in shown.out) == (0, True), shown.err
    assert "nobody was ever on it" in shown.out
    assert "reap --yes" in shown.err
    assert alive(aws, user) == [left]
    done = local_project.ec2tasks("reap", "--yes")
    assert done.code == 0, done.err
    assert (alive(aws, user), begun(local_project)) == ([], [])


def test_an_instance_that_somebody_connected_to_is_not_reaped(
    local_project: ScratchProject, aws: Aws, tmp_path: Path
) -> None:
    """The journal here says that nobody did; the instance itself knows better."""
    user = local_project.environ["USER"]
    local_project.call(*until_step(GRANTED))
    (left,) = alive(aws, user)
    desktop = other_machine(local_project, tmp_path)
    assert desktop.ec2tasks("up").code == 0
    assert len(begun(local_project)) == 1
    said = local_project.ec2tasks("reap", "--yes", "--force")
    assert (said.code, alive(aws, user)) == (0, [left]), said.err
    assert "nothing forgotten" in said.err


def test_two_machines_that_launch_at_once_get_one_instance(
    local_project: ScratchProject, aws: Aws, tmp_path: Path
) -> None:
    user, go = local_project.environ["USER"], tmp_path / "go"
    assert local_project.ec2tasks("run", "true").code == 0  # makes key and group
    before = ever(aws, user)
    environ = {**local_project.environ, "AWS_FINAL_STATE": "leave"}
    laptop = replace(local_project, environ=environ)
    logs = [tmp_path / "laptop", tmp_path / "desktop's"]
    both = [
        start(project, *until_step(REQUEST, f"hold={go}", str(log)))
        for project, log in zip((laptop, other_machine(laptop, tmp_path)), logs, strict=True)
    ]
    until(lambda: all(has_taken(log, REQUEST) for log in logs), "both about to launch")
    go.touch()
    ended = [one.end() for one in both]
    assert [one.code for one in ended] == [0, 0], ended
    (kept,) = alive(aws, user)
    assert len(set(ever(aws, user)) - set(before)) == 2
    assert all(f"{kept}, g4dn.xlarge, eu-central-1a): left running" in one.err for one in ended)
    assert sum("another client launched one at the same moment" in one.err for one in ended) == 1


@pytest.mark.parametrize("machine", ["the same machine", "another machine"])
def test_a_client_that_gives_up_its_launch_ends_nothing_under_another(
    machine: str, local_project: ScratchProject, aws: Aws, tmp_path: Path
) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    launcher = start(local_project, *until_step("before start of ssh", f"hold={go}", str(log)))
    until(lambda: has_taken(log, "before start of ssh"), "launched")
    project = local_project if machine == "the same machine" else other_machine(local_project, tmp_path)
    other = start(project, "ec2tasks", "run", "echo here; while [ ! -e done ]; do sleep 0.1; done")
    assert other.line() == "here"
    launcher.signal_all(signal.SIGINT)
    said = launcher.end()
    assert said.code == 130, said.err
    assert "left running, because another client has got on it" in said.err
    until_state(local_project, "running")
    assert project.ec2tasks("run", "--leave", "touch done").code == 0
    assert other.end().code == 0


def test_a_network_gone_after_the_request_leaves_nothing_unfound(
    local_project: ScratchProject, aws: Aws
) -> None:
    said = local_project.call(*until_step(GRANTED, "cut"))
    assert said.code == 125
    assert "Traceback" not in said.err
    assert "may still cost money" in said.err
    user = local_project.environ["USER"]
    (left,) = alive(aws, user)
    assert left in local_project.ec2tasks("ls").out
    # Ended by somebody else, its token is no longer good for anything.
    aws.ec2.terminate_instances(InstanceIds=[left])
    again = local_project.ec2tasks("run", "true")
    assert again.code == 0, again.err
    assert len(ever(aws, user)) == 2


def test_an_answer_that_was_lost_launches_nothing_twice(
    local_project: ScratchProject, aws: Aws, local_folder: Path
) -> None:
    lost = {"code": "drop", "times": 1, "after": True}
    busy = {"RunInstances": 1, "DescribeInstances": 1}
    faults(local_folder, errors={"RunInstances": lost}, throttle=busy)
    said = local_project.ec2tasks("run", "true")
    assert said.code == 0, said.err
    assert len(ever(aws, local_project.environ["USER"])) == 1


def test_a_stopped_instance_is_reaped_once_its_results_are_here(
    local_project: ScratchProject, aws: Aws
) -> None:
    user = local_project.environ["USER"]
    local_project.write("ec2.yaml", "reap_after: 1 s\n")
    local_project.trust()
    assert local_project.ec2tasks("run", "--stop", "true").code == 0
    until_state(local_project, "stopped")
    (kept,) = alive(aws, user)
    untagged = [{"Key": FETCHED_TAG, "Value": "long ago"}]
    tags = aws.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [kept]}])["Tags"]
    aws.ec2.create_tags(Resources=[kept], Tags=untagged)  # type: ignore[arg-type]
    said = local_project.ec2tasks("reap", "--yes")
    assert (said.code, alive(aws, user)) == (0, [kept]), said.err
    assert "may hold results that were not fetched" in said.out
    assert "`ec2tasks down` in the project's folder" in said.err
    before = [{"Key": one["Key"], "Value": one["Value"]} for one in tags if one["Key"] == FETCHED_TAG]
    aws.ec2.create_tags(Resources=[kept], Tags=before)  # type: ignore[arg-type]
    done = local_project.ec2tasks("reap", "--yes", "--json")
    assert (done.code, alive(aws, user)) == (0, []), done.err
    assert '"ends": true' in done.out


def test_no_capacity_to_start_a_stopped_instance_loses_nothing(
    local_project: ScratchProject, aws: Aws, local_folder: Path
) -> None:
    assert local_project.ec2tasks("run", "--stop", "true").code == 0
    until_state(local_project, "stopped")
    faults(local_folder, errors={"StartInstances": FULL})
    said = local_project.ec2tasks("run", "true")
    assert said.code == 125
    assert "can't start" in said.err
    # Granted, and taken back before it runs.
    faults(local_folder, capacity_lost=["g4dn.xlarge"])
    said = local_project.ec2tasks("run", "true")
    assert said.code == 125
    assert said.err.count("stopped: starting it") == 1
    assert "AWS can't start" in said.err
    assert "nothing on its disk is lost" in said.err
    assert "`ec2tasks down` ends it" in said.err
    assert "left running" not in said.err
    until_state(local_project, "stopped")


def test_a_key_in_a_full_agent_is_found(local_project: ScratchProject, aws: Aws, tmp_path: Path) -> None:
    """It is the last of eight, and nowhere else; sshd lets nobody try more than six."""
    agent = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL) as server:
        until(agent.exists, "an agent")
        for number in range(8):
            key = tmp_path / f"key{number}"
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
            subprocess.run(["ssh-add", "-q", str(key)], check=True, env={"SSH_AUTH_SOCK": str(agent)})
        public = (tmp_path / "key7.pub").read_bytes()
        aws.ec2.import_key_pair(KeyName=local_project.environ["USER"], PublicKeyMaterial=public)
        said = local_project.ec2tasks("run", "true", SSH_AUTH_SOCK=str(agent))
        server.terminate()
    assert said.code == 0, said.err
