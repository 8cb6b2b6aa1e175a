"""The network between instances as those see it: who reaches whom, by security groups and faults."""

from __future__ import annotations

import time

from support.local_ec2 import LocalEc2

from ec2tasks.local import control


def make_group(local_ec2: LocalEc2) -> str:
    """A security group whose members reach each other, and nobody else them."""
    network = local_ec2.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    made = local_ec2.ec2.create_security_group(
        GroupName=f"nodes-{time.time_ns()}", Description="nodes", VpcId=network
    )
    local_ec2.ec2.authorize_security_group_ingress(
        GroupId=made["GroupId"],
        IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": made["GroupId"]}]}],
    )
    return made["GroupId"]


def reaches(local_ec2: LocalEc2, one: str, other: str) -> bool:
    """Whether one instance gets the first line of the other's sshd, by its private address."""
    address = local_ec2.describe(other)["PrivateIpAddress"]
    said = local_ec2.ssh(one, f"timeout 1 bash -c 'exec 3<>/dev/tcp/{address}/22 && head -n 1 <&3'")
    return said.stdout.startswith("SSH-2.0")


def test_members_of_a_group_reach_each_other_until_a_fault(local_ec2: LocalEc2, shared_instance: str) -> None:
    group = make_group(local_ec2)
    one = local_ec2.run(SecurityGroupIds=[group])
    private = [{"DeviceIndex": 0, "Groups": [group], "AssociatePublicIpAddress": False}]
    other = local_ec2.launch(NetworkInterfaces=private)
    local_ec2.wait_for(one, "running")
    assert reaches(local_ec2, one, other)
    assert not reaches(local_ec2, shared_instance, other)
    control.set_faults({"partition": one})
    assert not reaches(local_ec2, one, other)
    control.set_faults(None)
    assert reaches(local_ec2, other, one)
    control.set_faults({"node_lost": other})
    lost = local_ec2.wait_for(other, "terminated")
    assert lost["StateReason"]["Code"] == "Server.InternalError"
    assert not reaches(local_ec2, one, other)


def test_an_instance_is_where_aws_says(local_ec2: LocalEc2, shared_instance: str) -> None:
    told = local_ec2.describe(shared_instance)
    address = told["PrivateIpAddress"]
    subnet = local_ec2.ec2.describe_subnets(SubnetIds=[told["SubnetId"]])["Subnets"][0]["CidrBlock"]
    assert address.startswith("172.31.")
    assert subnet.startswith("172.31.")
    name = f"ip-{address.replace('.', '-')}"
    assert told["PrivateDnsName"].startswith(f"{name}.")
    asked = f"hostname; hostname -i; getent hosts {told['PrivateDnsName']}; ip route get 172.31.255.254"
    hostname, by_name, looked_up, route = local_ec2.output(shared_instance, asked).splitlines()[:4]
    assert (hostname, by_name, looked_up.split()[0]) == (name, address, address)
    assert route.startswith(f"172.31.255.254 dev ens5 src {address} ")
    assert local_ec2.output(shared_instance, "ls /sys/class/net; cat /sys/class/net/ens5/mtu").split() == [
        "ens5", "lo", "65520",
    ]  # fmt: skip
