"""What goes wrong outside ec2tasks: said in a line, with what to type, and nothing hangs or is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.background import hit_at_step_argv, start
from support.local_ec2 import faults
from support.project import CommandResult, ScratchProject
from support.waiting import until

from ec2tasks.local.layout import Layout


@pytest.fixture
def faulty(local_project: ScratchProject) -> ScratchProject:
    """A project on a local EC2 that runs, for faults to be set; they are taken back with it."""
    assert local_project.ec2tasks("local.up").code == 0
    return local_project


def lines(said: CommandResult) -> list[str]:
    assert "Traceback" not in said.err
    return said.err.splitlines()


def test_no_credentials_names_both_ways_on(project: ScratchProject) -> None:
    said = project.ec2tasks("run", "true")
    assert said.code == 125
    assert lines(said)[0] == "ec2tasks: no AWS credentials found"
    assert "aws configure" in lines(said)[1]
    assert "--local" in lines(said)[1]


@pytest.mark.parametrize("tool", ["rsync", "ssh"])
def test_a_missing_tool_is_named_with_its_package(
    tool: str, local_project: ScratchProject, tmp_path: Path
) -> None:
    assert local_project.ec2tasks("local.up").code == 0
    # Everything that is on the PATH, but for this one.
    few = tmp_path / "few"
    few.mkdir()
    for folder in local_project.environ["PATH"].split(os.pathsep):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else []:
            if program.name != tool and not (few / program.name).exists():
                (few / program.name).symlink_to(program)
    said = local_project.call("ec2tasks", "run", "true", environ={"PATH": str(few)})
    assert said.code == 125
    assert f"`{tool}`" in said.err
    assert "apt-get install" in said.err
    assert "Traceback" not in said.err


def test_nothing_of_the_user_s_aws_is_looked_at_on_the_local_ec2(local_project: ScratchProject) -> None:
    said = local_project.ec2tasks(
        "up",
        AWS_PROFILE="no-such-profile",
        HTTP_PROXY="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
    )
    assert said.code == 0, said.err


@pytest.mark.slow
def test_an_unreachable_api_is_said(project: ScratchProject) -> None:
    said = project.ec2tasks(
        "status",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="x",
        AWS_SECRET_ACCESS_KEY="x",
        AWS_MAX_ATTEMPTS="1",
    )
    assert said.code == 125
    assert "can't be reached" in lines(said)[0]


def test_without_capacity_for_one_type_the_next_is_taken(faulty: ScratchProject) -> None:
    faults(faulty, capacity=["g4dn.xlarge", "g6.xlarge@eu-central-1a"])
    said = faulty.ec2tasks("up")
    assert said.code == 0, said.err
    found = faulty.status()
    assert found
    assert (found["type"], found["zone"]) == ("g6.xlarge", "eu-central-1b")
    assert "InsufficientInstanceCapacity" in said.err


def test_without_capacity_for_any_type_each_refusal_is_told(faulty: ScratchProject) -> None:
    faults(faulty, capacity=["g4dn.xlarge"])
    said = faulty.ec2tasks("run", "--type", "g4dn.xlarge", "true")
    assert said.code == 125
    assert "grants no instance" in said.err
    assert "eu-central-1c" in said.err
    assert "hint:" in said.err
    assert faulty.status() is None


def test_what_was_granted_and_taken_back_is_launched_elsewhere(faulty: ScratchProject) -> None:
    faults(faulty, capacity_lost=["g4dn.xlarge@eu-central-1a", "g4dn.xlarge@eu-central-1b"])
    said = faulty.ec2tasks("up", "--type", "g4dn.xlarge")
    assert said.code == 0, said.err
    assert said.err.count("AWS has taken it back: Server.InsufficientInstanceCapacity") == 2
    found = faulty.status()
    assert found
    assert found["zone"] == "eu-central-1c"


def test_a_quota_of_nothing_says_how_to_ask_for_more(faulty: ScratchProject) -> None:
    faults(faulty, errors={"RunInstances": "VcpuLimitExceeded"})
    said = faulty.ec2tasks("run", "true")
    assert said.code == 125
    # One quota serves all three types in all zones: asked once, said once and summed up once.
    assert said.err.count("Running On-Demand G and VT instances") == 2
    assert "--quota-code L-DB2E81BA --desired-value 8 --region eu-central-1" in said.err


def test_throttling_is_waited_out(faulty: ScratchProject) -> None:
    faults(faulty, throttle=2)
    assert faulty.ec2tasks("status").code == 0


def test_what_a_first_run_makes_may_not_show_for_a_while(faulty: ScratchProject) -> None:
    """Security group, key pair, instance and tags: AWS is asked again, and nothing is launched twice."""
    faults(faulty, lag=3)
    result = faulty.ec2tasks("run", "--leave", "echo here")
    assert (result.code, result.out) == (0, "here\n"), result.err
    assert "everywhere yet: asking again" in result.err
    assert result.err.count("ec2: launched ") == 1
    faults(faulty)
    assert faulty.ec2tasks("down", "--no-rsync").code == 0


def test_a_slow_boot_is_waited_for(faulty: ScratchProject) -> None:
    faults(faulty, boot_seconds=4)
    assert faulty.ec2tasks("run", "true").code == 0


def test_a_connection_that_drops_is_no_exit_code_of_the_command(
    faulty: ScratchProject, local_folder: Path
) -> None:
    wait = "until [ -e ~/go-on ]; do sleep 0.05; done"
    process = start(faulty, "ec2tasks", "run", f"echo here; {wait}; echo there > result; exit 4")
    assert process.line() == "here"
    disk = Layout(root=local_folder).instances / (faulty.status() or {})["id"]
    faults(faulty, drop_ssh=True)
    until(lambda: process.says("connected again"), "connected again")
    (disk / "home" / "go-on").touch()
    said = process.end()
    assert (said.code, said.out) == (4, "here\n"), said.err
    assert faulty.read("result") == "there\n"
    # The end of life was decided with a session, and is the one that was asked for.
    assert faulty.status() is None


def test_a_local_ec2_that_dies_in_the_middle_of_a_run_hangs_nothing(
    project: ScratchProject, new_local_folder: Path
) -> None:
    project.environ |= {"EC2_LOCAL": "1", "EC2_LOCAL_DIR": str(new_local_folder)}
    # Without the pauses between boto3's attempts and ours, which take most of a minute.
    process = start(project, *hit_at_step_argv("hurry", "1", "run", "echo here; sleep 600"))
    assert process.line() == "here"
    pid = json.loads(project.ec2tasks("local.status", "--json").out)["pid"]
    os.kill(pid, signal.SIGKILL)
    said = process.end()
    assert said.code == 125
    assert "Traceback" not in said.err
    assert "hint:" in said.err


def test_another_machine_at_the_instance_s_address_is_not_trusted(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("up").code == 0
    state = Path(local_project.environ["HOME"]) / ".local/state/ec2tasks"
    # Another key than the instance's stands pinned, as if someone stood in between.
    other = subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(state / "other")], check=True
    )
    assert other.returncode == 0
    key = (state / "other.pub").read_text().split()[:2]
    pinned = (state / "known_hosts").read_text().split()[0]
    (state / "known_hosts").write_text(f"{pinned} {' '.join(key)}\n")
    # The control connection that stands was checked; a new one is checked again.
    close = "import os,glob,signal; [os.remove(one) for one in glob.glob(os.path.expanduser('{}/s/*'))]"
    local_project.call(sys.executable, "-c", close.format(state))
    for socket in Path("/tmp").glob(f"ec2tasks-{os.getuid()}-*/*{pinned[-6:]}"):
        socket.unlink()
    said = local_project.ec2tasks("run", "--leave", "true")
    assert said.code == 125
    assert "does not show the host key pinned" in said.err


def test_a_busy_port_is_said_before_anything_is_launched(local_project: ScratchProject) -> None:
    import socket

    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        said = local_project.ec2tasks("run", "-L", f"{port}:localhost:80", "true")
    assert said.code == 2
    assert f"port {port}" in said.err
    assert local_project.status() is None


def test_a_home_is_no_project(local_project: ScratchProject) -> None:
    said = local_project.call("ec2tasks", "run", "true", cwd=Path(local_project.environ["HOME"]))
    assert said.code == 2
    assert "whole home" in said.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("run", "--leave", "--stop", "true"), 2, "--leave and --stop contradict"),
        (("run", "--quiet", "-v", "true"), 2, "contradict"),
        (("run",), 2, "command"),
        (("run", ""), 2, "nothing to run"),
        (("run", "--leav", "true"), 2, "--leav"),
        (("frobnicate",), 2, "frobnicate"),
        (("run", "--type", "p3.2xlarge", "true"), 2, "no region any more"),
        (("run", "--type", "p5.48xlarge", "--region", "eu-west-3", "true"), 2, "is not offered in eu-west-3"),
        (("run", "--image", "Nobody's Image*", "true"), 2, "no image"),
        (("run", "--image", "ami-00000000000000000", "true"), 2, "no image"),
        (("run", "-i", "/nowhere", "true"), 2, "/nowhere"),
        (("run", "-L", "x:y", "true"), 2, "x:y"),
        (("run", "--spot", "--stop", "true"), 2, "can't be stopped"),
        (("sync",), 125, "no instance"),
    ],
)
def test_a_mistake_costs_nothing(
    words: tuple[str, ...], code: int, says: str, local_project: ScratchProject
) -> None:
    said = local_project.ec2tasks(*words)
    assert (said.code, says in said.err) == (code, True), said.err
    assert "Traceback" not in said.err
    assert local_project.status() is None


def test_a_key_file_that_others_can_read_is_refused(local_project: ScratchProject) -> None:
    key = local_project.write("key.pem", "secret")
    key.chmod(0o644)
    said = local_project.ec2tasks("run", "-i", str(key), "true")
    assert said.code == 2
    assert f"chmod 600 {key}" in said.err


def test_credentials_that_end_under_a_run_cost_neither_results_nor_exit_code(faulty: ScratchProject) -> None:
    """EC2 says of a session that has ended what it says of a wrong clock."""
    ended = {"code": "RequestExpired", "message": "Request has expired.", "status": 400}
    faults(faulty, errors={"TerminateInstances": ended, "StopInstances": ended})
    said = faulty.ec2tasks("run", "--terminate", "echo here; echo result > result; exit 3")
    assert (said.code, said.out, faulty.read("result")) == (3, "here\n", "result\n"), said.err
    assert "left running, because your AWS credentials have ended (AWS refuses TerminateInstances" in said.err
    assert "its guard ends it, 30 min after the last one has left it (idle_stop)" in said.err
    assert "with new credentials, `ec2tasks down` ends it at once" in said.err
    assert faulty.ec2tasks("down", "--no-rsync").code == 125
    faults(faulty)
    assert faulty.ec2tasks("down", "--no-rsync").code == 0
