"""Starting and ending the local EC2, also when several do at once and when it was killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.local_ec2 import LocalEc2
from support.waiting import until

from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.local import control
from ec2tasks.local.layout import this_layout

UP = "from ec2tasks.local import control; print(control.up().api_url)"


def children(pid: int) -> list[int]:
    said = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in said.stdout.split()]


def launch_some(local_ec2: LocalEc2, count: int) -> None:
    asked = {"ImageId": local_ec2.image(), "InstanceType": "t3.micro", "MinCount": count, "MaxCount": count}
    for instance in local_ec2.client("ec2").run_instances(**asked)["Instances"]:
        local_ec2.wait_for(instance["InstanceId"], "running")


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_importing_it_is_light() -> None:
    heavy = "('moto', 'boto3', 'werkzeug')"
    code = f"import sys, ec2tasks.local.control; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_nothing_runs_until_it_is_started(new_local_folder: Path) -> None:
    assert control.status() is None
    assert control.down() is False


def test_several_starting_it_at_once_get_one_server(new_local_folder: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", UP], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    urls = {process.communicate(timeout=120)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0] * 4
    assert len(urls) == 1
    status = control.status()
    assert status is not None
    assert {status.url} == urls
    assert control.up().api_url == status.url
    assert control.down() is True
    assert control.status() is None
    until(lambda: ended(status.pid), "the server's end")


def test_the_port_is_the_one_asked_for_and_this_machines_alone(new_local_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Failure, match=f"port {port}: Address already in use"):
            control.up(port=port)
    endpoint = control.up(port=port)
    assert endpoint.api_url == f"http://127.0.0.1:{port}"
    with pytest.raises(Failure, match=f"runs already, on port `{port}`"):
        control.up(port=port + 1)
    listening = Path("/proc/net/tcp").read_text().splitlines()
    assert [line.split()[1] for line in listening if f":{port:04X} 00000000:0000 0A" in line] == [
        f"0100007F:{port:04X}"
    ]


def test_a_killed_server_leaves_nothing_running(new_local_folder: Path, tmp_path: Path) -> None:
    local_ec2 = LocalEc2(endpoint=control.up(), key=tmp_path / "none", root=new_local_folder)
    launch_some(local_ec2, 2)
    status = control.status()
    assert status is not None
    assert len(status.instances) == 2
    hosts = [pid for child in children(status.pid) for pid in (child, *children(child))]
    assert len(hosts) >= 4
    os.kill(status.pid, signal.SIGKILL)
    until(lambda: all(ended(pid) for pid in hosts), "the hosts' end")
    assert control.status() is None
    control.up()
    again = control.status()
    assert again is not None
    assert again.instances == ()
    assert list((new_local_folder / "instances").iterdir()) == []
    os.kill(again.pid, signal.SIGKILL)
    # Its threads, and with them the lock, may outlive its first one for a moment.
    until(lambda: control._server_pid(this_layout()) is None, "the server's end")
    assert control.down() is False


def test_down_ends_instances_and_deletes_their_disks(new_local_folder: Path, tmp_path: Path) -> None:
    local_ec2 = LocalEc2(endpoint=control.up(), key=tmp_path / "none", root=new_local_folder)
    launch_some(local_ec2, 1)
    status = control.status()
    assert status is not None
    pids = [status.pid, *children(status.pid)]
    assert control.down() is True
    until(lambda: all(ended(pid) for pid in pids), "all processes' end")
    assert not (new_local_folder / "instances").exists()
    assert (new_local_folder / "cache").exists()


def test_a_folder_that_instances_can_not_enter_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root hands instances to another user")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("EC2_LOCAL_DIR", str(closed / "state"))
    with pytest.raises(Failure, match="can't reach the folder"):
        control.up()


def test_a_server_that_dies_is_reported_with_its_log(
    new_local_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('the reason')"]
    monkeypatch.setattr(control, "server_argv", lambda *_: argv)
    with pytest.raises(Failure, match="the reason"):
        control.up()


def test_faults_are_kept_for_a_server_to_come_and_ended_with_it(new_local_folder: Path) -> None:
    with pytest.raises(UsageError):
        control.set_faults({"latency": 1})
    assert control.current_faults() == {}
    control.set_faults({"latency_ms": 1})
    assert (
        json.loads((new_local_folder / "faults.json").read_text())
        == {"latency_ms": 1}
        == control.current_faults()
    )
    control.set_faults(None)
    assert control.current_faults() == {}


def test_the_users_aws_settings_do_not_reach_the_server() -> None:
    kept = control.server_environment(
        {"AWS_PROFILE": "broken", "PATH": "/bin", "INITIAL_NO_AUTH_ACTION_COUNT": "1"}
    )
    assert kept == {
        "PATH": "/bin",
        "INITIAL_NO_AUTH_ACTION_COUNT": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
