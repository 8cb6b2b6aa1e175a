"""Nothing in an instance can write to, signal, see or power off this machine: each test really tries."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.local_ec2 import LocalEc2
from support.waiting import until


@pytest.fixture
def service() -> Iterator[int]:
    """A service on this machine's loopback: its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    "path",
    ["/usr/x", "/etc/x", "/x", "/etc/passwd", "/etc/ssh/sshd_config", "/opt/ec2-local/init", "/root/x"],
)
def test_system_files_can_not_be_written(local_ec2: LocalEc2, shared_instance: str, path: str) -> None:
    said = local_ec2.ssh(shared_instance, f"echo broken >> {path}")
    assert said.returncode != 0
    assert "broken" not in local_ec2.ssh(shared_instance, f"cat {path}").stdout


@pytest.mark.parametrize(
    "command",
    [
        "mount -o remount,rw /usr",
        "mount -o remount,rw /",
        "mount -t tmpfs none /mnt",
        "umount /etc/passwd",
        "chmod 777 /usr",
        "chown ubuntu /usr",
        "mknod /tmp/disk b 254 0",
        "echo b > /proc/sysrq-trigger",
        "echo 0 > /proc/sys/kernel/panic",
        "echo 1 > /proc/sys/vm/drop_caches",
        "hostname other",
        "date -s 2001-01-01",
        "chroot / true",
        "nsenter -t 1 -m true",
        "dmesg -C",
        "python3 -c 'import ctypes; c = ctypes.CDLL(None, use_errno=True); "
        "raise SystemExit(c.reboot(0x1234567) and ctypes.get_errno())'",
    ],
)
def test_what_takes_root_is_refused(local_ec2: LocalEc2, shared_instance: str, command: str) -> None:
    assert local_ec2.ssh(shared_instance, command).returncode != 0


@pytest.mark.parametrize(
    "command",
    [
        "mount -o remount,rw /usr && touch /usr/x",
        "mount -o remount,bind,rw /usr /usr && touch /usr/x",
        "umount -l /usr && touch /usr/x",
        "umount /etc/passwd && echo x > /etc/passwd",
        "mount -t proc proc /tmp && echo b > /tmp/sysrq-trigger",
        "mount -t sysfs sysfs /tmp && ls /tmp/power",
        "mount -t devtmpfs dev /tmp && ls /tmp",
        "mount -t cgroup2 none /tmp && mkdir /tmp/x",
        "mount -t ext4 /dev/vda /tmp",
        "kill -9 1",
    ],
)
def test_a_user_namespace_of_its_own_opens_nothing(
    local_ec2: LocalEc2, shared_instance: str, command: str
) -> None:
    said = local_ec2.ssh(
        shared_instance, f"unshare --user --map-root-user --mount --pid --fork sh -c '{command}'"
    )
    inside_only = command == "kill -9 1"  # its own process 1, which may ignore it
    assert said.returncode != 0 or inside_only
    assert local_ec2.ssh(shared_instance, "test ! -e /usr/x").returncode == 0


def test_this_machines_files_are_not_there(local_ec2: LocalEc2, shared_instance: str) -> None:
    listing = set(local_ec2.output(shared_instance, "ls -A /").split())
    usual = "bin dev etc home lib lib32 lib64 libx32 opt proc root run sbin sys tmp usr var"
    assert listing <= set(usual.split())
    assert local_ec2.output(shared_instance, "ls -A /home /opt /root").split() == [
        "/home:", "ubuntu", "/opt:", "ec2-local", "/root:",
    ]  # fmt: skip
    assert local_ec2.ssh(shared_instance, "cat /etc/shadow /etc/sudoers /etc/machine-id").stdout == ""
    assert not list(Path("/etc/ssh").glob("ssh_host_*")) or "root@ip-" in local_ec2.output(
        shared_instance, "cat /etc/ssh/*.pub"
    )


def test_this_machines_paths_are_not_told(local_ec2: LocalEc2, shared_instance: str) -> None:
    processes = "cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' ' '"
    said = local_ec2.output(shared_instance, f"ps -ef; env; {processes}")
    assert str(local_ec2.root) not in said
    assert str(Path(__file__).parent) not in said


def test_this_machines_processes_are_neither_seen_nor_signalled(
    local_ec2: LocalEc2, shared_instance: str
) -> None:
    with subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL) as process:
        try:
            pids = {
                int(pid) for pid in local_ec2.output(shared_instance, "ls /proc").split() if pid.isdigit()
            }
            assert len(pids) < 60
            assert max(pids) < 100_000
            commands = local_ec2.output(shared_instance, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
            assert "sleep 600" not in commands
            if process.pid not in pids:
                assert local_ec2.ssh(shared_instance, f"kill -9 {process.pid}").returncode != 0
            assert process.poll() is None
        finally:
            process.kill()


def test_killing_all_it_sees_ends_only_itself(local_ec2: LocalEc2) -> None:
    instance_id = local_ec2.launch()
    local_ec2.ssh(instance_id, "kill -9 -1; kill -9 1 2")
    assert os.getpid() > 0
    local_ec2.ec2.terminate_instances(InstanceIds=[instance_id])
    local_ec2.wait_for(instance_id, "terminated")


@pytest.mark.parametrize("host", ["127.0.0.1", "198.18.0.2", "localhost"])
def test_services_of_this_machines_loopback_are_out_of_reach(
    local_ec2: LocalEc2, shared_instance: str, service: int, host: str
) -> None:
    said = local_ec2.ssh(shared_instance, f"timeout 3 bash -c 'echo > /dev/tcp/{host}/{service}'")
    assert said.returncode != 0


def test_ports_are_its_own(local_ec2: LocalEc2, shared_instance: str, service: int) -> None:
    # Taken here, free there; and what serves there is not reached here.
    serve = f"setsid python3 -m http.server {service} >/dev/null 2>&1 </dev/null &"
    local_ec2.output(shared_instance, serve)
    check = f"curl -s -o /dev/null http://127.0.0.1:{service}/ && echo served"
    until(lambda: local_ec2.ssh(shared_instance, check).stdout == "served\n", "the instance's service")
    local_ec2.ssh(shared_instance, "pkill -f http.server")


def test_abstract_sockets_of_this_machine_are_out_of_reach(local_ec2: LocalEc2, shared_instance: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0ec2-local-test-{os.getpid()}")
        server.listen()
        name = f"chr(0) + 'ec2-local-test-{os.getpid()}'"
        connect = f"import socket; socket.socket(socket.AF_UNIX).connect({name})"
        assert local_ec2.ssh(shared_instance, f'python3 -c "{connect}"').returncode != 0


def test_instances_do_not_see_each_other(local_ec2: LocalEc2, shared_instance: str) -> None:
    other = local_ec2.launch()
    local_ec2.output(other, "echo secret > /tmp/secret; echo secret > ~/secret")
    assert local_ec2.ssh(shared_instance, "cat /tmp/secret ~/secret /home/*/secret").stdout == ""
    address = local_ec2.describe(other)["PublicIpAddress"]
    reach = f"timeout 1 bash -c 'echo > /dev/tcp/{address}/{local_ec2.endpoint.ssh_port}'"
    assert local_ec2.ssh(shared_instance, reach).returncode != 0


def test_a_fork_in_the_instance_ends_with_it(local_ec2: LocalEc2) -> None:
    instance_id = local_ec2.launch()
    marker = f"{600 + threading.get_native_id() % 100}.25"
    local_ec2.output(instance_id, f"setsid nohup sleep {marker} >/dev/null 2>&1 </dev/null &")
    local_ec2.ec2.terminate_instances(InstanceIds=[instance_id])
    local_ec2.wait_for(instance_id, "terminated")
    found = subprocess.run(["pgrep", "-f", f"^sleep {marker}$"], capture_output=True, text=True, check=False)
    assert found.stdout == ""
