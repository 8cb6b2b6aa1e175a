"""The guard on a machine that really boots, through cloud-init and systemd: `make test-vm`, some minutes."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.values import JOB, settings

from ec2tasks.aws import user_data as guard
from ec2tasks.environment.request import EnvironmentRequest
from ec2tasks.remote.job import job_files
from ec2tasks.remote.protocol import bash_argv
from ec2tasks.ssh.host_keys import Shown, console_host_keys
from vm.machine import Machine, image_folder, metadata, metadata_service

KEYS_END = "-----END SSH HOST KEY KEYS-----"
UNIT = "ec2tasks-guard.service"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("vm")
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{key}"], check=True)
    text = guard.user_data(settings(user_data="#!/bin/sh\necho own >>/root/own\n", idle_stop="1 h"))
    leaves = metadata(text, key.with_suffix(".pub").read_text())
    with metadata_service(leaves) as port:
        found = Machine(image_folder(), folder, port, key)
        try:
            print(f"first boot: SSH after {found.boot():.0f} s")
            yield found
        finally:
            found.cut_power()


def armed(machine: Machine) -> dict[str, str]:
    """What the guard says, seen to go on saying it."""
    first = machine.state()
    machine.until(lambda: machine.state()["now"] != first["now"], "the guard")
    return machine.state()


def limit(machine: Machine, **seconds: int) -> None:
    """Hand over limits as a client does."""
    lines = "".join(f"{name} {number}\\n" for name, number in seconds.items())
    machine.said(f"mkdir -p .ec2tasks && printf '{lines}' >.ec2tasks/limits")


def microseconds(machine: Machine, unit: str) -> int:
    return int(machine.said(f"systemctl show -P ExecMainStartTimestampMonotonic {unit}"))


def test_it_is_armed_at_the_first_boot_before_anyone_gets_in(machine: Machine) -> None:
    found = armed(machine)
    assert found["idle_stop"] == "3600"
    assert microseconds(machine, UNIT) < microseconds(machine, "ssh.service")
    assert float(found["armed"]) <= microseconds(machine, "ssh.service") / 1e6
    assert machine.said(f"systemctl is-enabled {UNIT}") == "enabled"
    assert machine.said(f"systemd-analyze verify {UNIT} 2>&1") == ""
    machine.until(lambda: machine.ssh("sudo cat /root/own").stdout == "own\n", "the user's own script")
    assert "clientaliveinterval 15" in machine.said("sudo sshd -T")


def test_it_prints_the_host_keys_that_cloud_init_made_before_the_user_s_own_script_ends(
    machine: Machine,
) -> None:
    keys = {
        " ".join(line.split()[:2]) for line in machine.said("cat /etc/ssh/ssh_host_*_key.pub").splitlines()
    }
    shown, _, _ = machine.console.read_text(errors="replace").partition(KEYS_END)
    assert "running 'modules:final'" not in shown
    assert console_host_keys(shown + KEYS_END) == Shown(keys=tuple(sorted(keys)), whole=True)


def test_a_login_keeps_it_and_a_kept_connection_does_not(machine: Machine) -> None:
    assert "ubuntu@notty is logged in" in machine.said("sleep 8; cat /run/ec2tasks-guard/state")
    last = machine.said("sleep 8; grep -h last_active /run/ec2tasks-guard/state")
    with machine.kept_connection():
        # Each look is a login, but a short one: it seldom meets the guard's own.
        time.sleep(14)
        state = machine.state()
    assert int(state["now"]) - int(state["last_active"]) >= 5, (last, state)


def test_killed_it_comes_back_and_goes_on_where_it_was(machine: Machine) -> None:
    before = machine.state()
    machine.said(f"sudo systemctl kill -s KILL {UNIT}; sleep 8; systemctl is-active {UNIT}")
    assert armed(machine)["armed"] == before["armed"]


def test_a_command_outlives_its_connection_where_logind_kills_what_a_session_leaves(machine: Machine) -> None:
    kills = "[Login]\\nKillUserProcesses=yes\\nUserStopDelaySec=0\\n"
    folder = "/etc/systemd/logind.conf.d"
    machine.said(f"sudo mkdir -p {folder}; printf '{kills}' | sudo tee {folder}/kills.conf")
    machine.said("sudo systemctl restart systemd-logind")
    machine.ssh("setsid sleep 600 </dev/null >/dev/null 2>&1 &")
    machine.until(lambda: machine.ssh("pgrep -fx 'sleep 600'").returncode == 1, "logind to kill it")
    job = replace(
        JOB, command="echo began; sleep 60; echo ended", environment=EnvironmentRequest(wanted="none")
    )
    writes = [f"printf %s {shlex.quote(text)} >{name}" for name, text in job_files(job).items()]
    machine.said(f"mkdir -p shop .ec2tasks/runs/r; cd .ec2tasks/runs/r; {'; '.join(writes)}")
    machine.said(shlex.join(bash_argv("follow.sh", "begin", job="r")))
    machine.until(lambda: "ended" in machine.said("cat .ec2tasks/runs/r/out"), "the command's end")
    assert machine.said("loginctl show-user ubuntu --property=Linger --value") == "yes"
    machine.said(f"sudo rm {folder}/kills.conf; sudo systemctl restart systemd-logind")


def test_memory_that_runs_out_does_not_end_it(machine: Machine) -> None:
    pid = machine.said(f"systemctl show -P MainPID {UNIT}")
    kills = "grep oom_kill /proc/vmstat | cut -d ' ' -f 2"
    before = int(machine.said(kills))
    machine.ssh("tail /dev/zero")
    # Without pam_systemd the killed process belonged to sshd's own unit, which systemd starts anew.
    machine.wait_for_ssh()
    assert int(machine.said(kills)) > before
    assert machine.said(f"systemctl show -P MainPID {UNIT}") == pid


def test_it_survives_a_reboot_on_a_full_disk(machine: Machine) -> None:
    limit(machine, idle_stop=0, max_seconds=90000)
    machine.until(lambda: machine.state()["because"] == "max_hours", "the limit")
    machine.ssh("sudo sh -c 'cat /dev/zero >/fill; sync'")
    assert machine.said("df --output=avail / | tail -n 1") == "0"
    before = machine.state()
    machine.reboot()
    # A reboot gives no more time: what was used before still counts.
    assert int(armed(machine)["ends_in"]) < int(before["ends_in"])
    machine.said("sudo rm /fill")


def test_it_survives_a_power_cut(machine: Machine) -> None:
    limit(machine, idle_stop=3600, max_seconds=90000)
    machine.said("sync")
    machine.cut_power()
    print(f"after a power cut: SSH after {machine.boot():.0f} s")
    assert armed(machine)["max_seconds"] == "90000"


def test_it_stays_while_a_job_runs_and_goes_off_when_idle(machine: Machine) -> None:
    hold = "flock --shared .ec2tasks/sessions.lock sleep 45"
    limit(machine, idle_stop=3600)
    machine.said(f"touch .ec2tasks/sessions.lock; setsid {hold} </dev/null >/dev/null 2>&1 &")
    began = time.monotonic()
    limit(machine, idle_stop=20)
    machine.until(lambda: not machine.alive(), "off", limit=200)
    took = time.monotonic() - began
    print(f"off {took:.0f} s after a job of 45 s began, idle_stop 20 s")
    assert took > 60
    assert "ec2tasks-guard" in machine.console.read_text(errors="replace")


def test_started_again_after_that_it_has_all_its_time(machine: Machine) -> None:
    machine.boot()
    limit(machine, idle_stop=3600, max_seconds=90000)
    armed(machine)
    assert int(machine.said("cut -d ' ' -f 1 /var/lib/ec2tasks-guard/spent")) < 300
    assert Path(machine.console).exists()
