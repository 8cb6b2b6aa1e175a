"""A whole life of an instance, from its users' side: what the host does when the API is asked."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from support.local_ec2 import LocalEc2
from support.waiting import until


def console(local_ec2: LocalEc2, instance_id: str) -> str:
    return local_ec2.ec2.get_console_output(InstanceId=instance_id, Latest=True)["Output"]


def host_key(local_ec2: LocalEc2, instance_id: str) -> str:
    inside = console(local_ec2, instance_id).rpartition("-----BEGIN SSH HOST KEY KEYS-----\n")[2]
    return " ".join(inside.partition("\n-----END")[0].split()[:2])


def scanned_key(local_ec2: LocalEc2, instance_id: str) -> str:
    address, port = local_ec2.describe(instance_id)["PublicIpAddress"], str(local_ec2.endpoint.ssh_port)
    argv = ["ssh-keyscan", "-t", "ed25519", "-p", port, address]
    return " ".join(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[1:])


def test_boots_as_the_login_user_on_a_host_of_its_own(local_ec2: LocalEc2, shared_instance: str) -> None:
    private = local_ec2.describe(shared_instance)["PrivateIpAddress"]
    said = local_ec2.output(shared_instance, "id -un; uname -n; pwd; id -u; cat /etc/hostname")
    hostname = f"ip-{private.replace('.', '-')}"
    assert said.split() == ["ubuntu", hostname, "/home/ubuntu", "1000", hostname]


def test_user_data_ran_once_and_said_so(local_ec2: LocalEc2, shared_instance: str) -> None:
    local_ec2.output(shared_instance, "cloud-init status --wait")
    assert "first boot" in local_ec2.output(shared_instance, "cat /var/log/cloud-init-output.log")
    assert "first boot" in console(local_ec2, shared_instance)


def test_the_console_shows_the_host_key_that_answers(local_ec2: LocalEc2, shared_instance: str) -> None:
    assert host_key(local_ec2, shared_instance).startswith("ssh-ed25519 ")
    assert host_key(local_ec2, shared_instance) == scanned_key(local_ec2, shared_instance)


def test_other_users_and_keys_stay_outside(local_ec2: LocalEc2, shared_instance: str) -> None:
    assert local_ec2.ssh(shared_instance, "true", login="root").returncode == 255
    assert local_ec2.ssh(shared_instance, "true", login="ec2-user").returncode == 255


def test_environment_is_the_same_in_commands_and_login_shells(
    local_ec2: LocalEc2, shared_instance: str
) -> None:
    ask = 'echo "$PATH $AWS_REGION $AWS_DEFAULT_REGION $AWS_ENDPOINT_URL"'
    plain = local_ec2.output(shared_instance, ask)
    assert plain == local_ec2.output(shared_instance, f"bash -lc '{ask}'")
    assert "eu-central-1 eu-central-1 http://169.254.169.254:4566" in plain


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("sudo -n id -un", "ubuntu"),
        ("sudo -E -H -u root -- echo a b", "a b"),
        ("sudo NAME=value sh -c 'echo $NAME'", "value"),
        ("sudo -n true && echo yes", "yes"),
        ("sudo -v; echo $?", "0"),
        ("sudo -n false; echo $?", "1"),
        ("sudo shutdown -h +60 >/dev/null && sudo shutdown -c && echo $?", "0"),
        ("shutdown soon 2>/dev/null; echo $?", "1"),
        ("systemctl status ssh 2>/dev/null; echo $?", "1"),
        ("tmux new -d 'echo from tmux > t; tmux wait -S done' \\; wait done; cat t", "from tmux"),
    ],
)
def test_commands_of_a_usual_machine(
    local_ec2: LocalEc2, shared_instance: str, command: str, expected: str
) -> None:
    assert local_ec2.output(shared_instance, command).strip() == expected


def test_a_terminal_and_sftp_work(local_ec2: LocalEc2, shared_instance: str) -> None:
    argv = local_ec2.ssh_argv(shared_instance, "tty")
    terminal = [argv[0], "-tt", *argv[1:]]
    said = subprocess.run(terminal, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert said.stdout.startswith("/dev/pts/")
    swapped = ["-P" if word == "-p" else word for word in argv[1:-1]]
    sftp = ["sftp", "-b", "-", *swapped]
    listed = subprocess.run(sftp, input="pwd\n", capture_output=True, text=True, check=True)
    assert "/home/ubuntu" in listed.stdout


def test_many_connections_at_once(local_ec2: LocalEc2, shared_instance: str) -> None:
    # More than the sockets made beforehand, so that new ones must be fetched from the instance's network.
    argv = local_ec2.ssh_argv(shared_instance, "echo here")
    started = [subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) for _ in range(40)]
    assert [process.communicate()[0] for process in started] == [b"here\n"] * 40


def test_an_amazon_linux_instance_has_its_own_user(local_ec2: LocalEc2) -> None:
    path = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
    image = local_ec2.client("ssm").get_parameter(Name=path)["Parameter"]["Value"]
    instance_id = local_ec2.launch(ImageId=image)
    assert local_ec2.output(instance_id, "whoami", login="ec2-user").strip() == "ec2-user"
    assert local_ec2.describe(instance_id)["RootDeviceName"] == "/dev/xvda"


def test_stop_keeps_the_disk_and_start_gives_a_new_address(local_ec2: LocalEc2) -> None:
    instance_id = local_ec2.launch(UserData="#!/bin/sh\necho ran >> $HOME/ran\n")
    local_ec2.output(instance_id, "cloud-init status --wait; echo kept > file")
    before, key = local_ec2.describe(instance_id), host_key(local_ec2, instance_id)
    answer = local_ec2.ec2.stop_instances(InstanceIds=[instance_id])["StoppingInstances"][0]
    assert answer["CurrentState"]["Name"] == "stopping"
    stopped = local_ec2.wait_for(instance_id, "stopped")
    assert "PublicIpAddress" not in stopped
    assert stopped["StateTransitionReason"].startswith("User initiated (")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((before["PublicIpAddress"], local_ec2.endpoint.ssh_port), timeout=5)
    answer = local_ec2.ec2.start_instances(InstanceIds=[instance_id])["StartingInstances"][0]
    assert answer["CurrentState"]["Name"] == "pending"
    started = local_ec2.wait_for(instance_id, "running")
    assert started["PublicIpAddress"] != before["PublicIpAddress"]
    assert started["PrivateIpAddress"] == before["PrivateIpAddress"]
    assert started["LaunchTime"] >= before["LaunchTime"]
    assert local_ec2.output(instance_id, "cat file ran").split() == ["kept", "ran"]
    assert host_key(local_ec2, instance_id) == key == scanned_key(local_ec2, instance_id)


def test_terminate_deletes_the_disk_and_stays_visible(local_ec2: LocalEc2) -> None:
    instance_id = local_ec2.launch()
    disk = local_ec2.root / "instances" / instance_id
    local_ec2.output(instance_id, "mkdir -p a/b && touch a/b/c && chmod 000 a/b a")
    assert disk.exists()
    answer = local_ec2.ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"][0]
    assert answer["CurrentState"]["Name"] == "shutting-down"
    ended = local_ec2.wait_for(instance_id, "terminated")
    assert ended["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert "PublicIpAddress" not in ended
    assert not disk.exists()
    for change in (
        local_ec2.ec2.start_instances,
        local_ec2.ec2.stop_instances,
        local_ec2.ec2.reboot_instances,
    ):
        with pytest.raises(ClientError, match="IncorrectInstanceState"):
            change(InstanceIds=[instance_id])


@pytest.mark.parametrize(
    ("behavior", "command", "state"),
    [
        ("stop", "sudo -n shutdown -h now", "stopped"),
        ("terminate", "sudo systemctl poweroff", "terminated"),
    ],
)
def test_shutdown_from_inside_does_what_the_instance_is_set_to(
    local_ec2: LocalEc2, behavior: str, command: str, state: str
) -> None:
    instance_id = local_ec2.launch(InstanceInitiatedShutdownBehavior=behavior)
    local_ec2.ssh(instance_id, command)
    ended = local_ec2.wait_for(instance_id, state)
    assert ended["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert (local_ec2.root / "instances" / instance_id).exists() == (state == "stopped")


def test_the_shutdown_behaviour_can_be_changed(local_ec2: LocalEc2) -> None:
    instance_id = local_ec2.launch()
    local_ec2.ec2.modify_instance_attribute(
        InstanceId=instance_id, InstanceInitiatedShutdownBehavior={"Value": "terminate"}
    )
    local_ec2.ssh(instance_id, "poweroff")
    local_ec2.wait_for(instance_id, "terminated")


@pytest.mark.parametrize("way", ["api", "inside"])
def test_reboot_keeps_disk_address_and_key(local_ec2: LocalEc2, way: str) -> None:
    instance_id = local_ec2.launch()
    boot = "cat /proc/1/stat | cut -d' ' -f22; cat file"
    first = local_ec2.output(instance_id, f"echo kept > file; {boot}")
    address, key = local_ec2.describe(instance_id)["PublicIpAddress"], scanned_key(local_ec2, instance_id)
    if way == "api":
        local_ec2.ec2.reboot_instances(InstanceIds=[instance_id])
    else:
        local_ec2.ssh(instance_id, "sudo reboot")

    def booted_again() -> bool:
        said = local_ec2.ssh(instance_id, boot)
        return said.returncode == 0 and said.stdout != first

    until(booted_again, "the reboot")
    assert local_ec2.state(instance_id) == "running"
    assert local_ec2.describe(instance_id)["PublicIpAddress"] == address
    assert scanned_key(local_ec2, instance_id) == key
    assert local_ec2.output(instance_id, "cat file").strip() == "kept"


def test_a_host_that_dies_counts_as_shut_down(local_ec2: LocalEc2) -> None:
    instance_id = local_ec2.launch()
    local_ec2.ssh(instance_id, "kill -9 2")
    local_ec2.wait_for(instance_id, "stopped")


def test_stopping_lets_programs_say_goodbye(local_ec2: LocalEc2) -> None:
    instance_id = local_ec2.launch()
    script = "trap 'echo bye > bye; exit' TERM; touch ready; while :; do sleep 0.1; done"
    local_ec2.output(instance_id, f'setsid sh -c "{script}" >/dev/null 2>&1 </dev/null &')
    until(lambda: local_ec2.ssh(instance_id, "test -e ready").returncode == 0, "the program")
    local_ec2.ec2.stop_instances(InstanceIds=[instance_id])
    local_ec2.wait_for(instance_id, "stopped")
    local_ec2.ec2.start_instances(InstanceIds=[instance_id])
    local_ec2.wait_for(instance_id, "running")
    assert local_ec2.output(instance_id, "cat bye").strip() == "bye"


def test_instances_of_all_regions_boot(local_ec2: LocalEc2) -> None:
    ec2 = local_ec2.client("ec2", "us-east-1")
    image = local_ec2.image("us-east-1")
    launched = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=2, MaxCount=2)["Instances"]
    ids = [instance["InstanceId"] for instance in launched]

    def states() -> set[str]:
        found = ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"]
        return {instance["State"]["Name"] for instance in found}

    until(lambda: states() == {"running"}, "two instances")
    ec2.terminate_instances(InstanceIds=ids)
    until(lambda: states() == {"terminated"}, "their end")


def test_an_instance_without_a_public_address_has_none(local_ec2: LocalEc2) -> None:
    subnet = local_ec2.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    nic = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": False}
    instance_id = local_ec2.launch(NetworkInterfaces=[nic])
    assert "PublicIpAddress" not in local_ec2.describe(instance_id)


def test_binary_user_data_that_is_no_script_is_only_kept(local_ec2: LocalEc2) -> None:
    instance_id = local_ec2.launch(UserData=b"\xff\xfe")
    local_ec2.output(instance_id, "cloud-init status --wait")
    said = local_ec2.output(instance_id, "base64 /var/lib/cloud/instance/user-data.txt")
    assert base64.b64decode(said) == b"\xff\xfe"


def test_the_hosts_processes_belong_to_nobody_of_this_machine(
    local_ec2: LocalEc2, shared_instance: str
) -> None:
    seconds = f"{os.getpid()}.5"
    local_ec2.output(shared_instance, f"setsid sleep {seconds} >/dev/null 2>&1 </dev/null &")
    pids = subprocess.check_output(["pgrep", "-f", f"^sleep {seconds}$"], text=True).split()
    assert 0 not in {Path(f"/proc/{pid}").stat().st_uid for pid in pids}
    local_ec2.output(shared_instance, "pkill sleep")
