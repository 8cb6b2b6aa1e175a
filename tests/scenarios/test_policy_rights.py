"""A user who holds the policy and nothing else does everything with it, and is told what is missing of it.

IAM is enforced in a local EC2 of these tests' own. moto compares actions alone, its only resource being `*`,
so it is given the policy without resources and conditions; `support.authorization` evaluates the real one
beside it, with the rights that a call implies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from support.authorization import Demand, allowing, demands, denial
from support.local_ec2 import start_local_ec2, tell_moto
from support.project import CommandResult
from support.waiting import until

from ec2tasks.admin import setup as admin
from ec2tasks.admin.policy import Document, actions, parse_rights, policy_document, without_action
from ec2tasks.aws.client import Aws
from ec2tasks.aws.instances import OWNER_TAG
from ec2tasks.aws.networks import usable_subnets
from ec2tasks.aws.security_groups import own_group_name
from ec2tasks.aws.ssh_rules import rule_description, ssh_rule, this_host
from ec2tasks.base.endpoint import Endpoint
from ec2tasks.cli.program import program
from ec2tasks.local import control

REGION = "eu-central-1"
WHOLE = policy_document(parse_rights())
# Without these a run goes on with less: see the test that takes them away.
# No run needs them: asked for where an instance does not answer, and by `ls` and `reap`.
BESIDE = (
    *("ec2:DescribeRouteTables", "ec2:DescribeVolumes", "ec2:DescribeAddresses", "ec2:DeleteVolume"),
    *("ec2:DescribeSpotPriceHistory", "servicequotas:GetServiceQuota"),
)
# What the local EC2 answers beside moto, which enforces no policy there.
WITHOUT_MOTO = ("pricing", "service-quotas")
DISPENSABLE = (
    "ssm:GetParametersByPath",
    "iam:GetInstanceProfile",
    "ec2:GetConsoleOutput",
    "pricing:GetProducts",
)

# What the program leaves open ends with it; here it is one call of many in one process.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def projected(document: Mapping[str, Any]) -> Document:
    """The policy as moto can evaluate it: the actions alone."""
    statement = {"Effect": "Allow", "Action": actions(document), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@dataclass(kw_only=True)
class World:
    """A local EC2 that enforces IAM, with a worker who holds a policy and a chief who may do everything."""

    endpoint: Endpoint
    folder: Path
    chief: Aws
    keys: tuple[str, str]
    home: Path
    document: Document = field(default_factory=lambda: WHOLE)
    whole_rules: bool = True
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    seen: list[Demand] = field(default_factory=list)

    def hold(self, document: Document, *, whole_rules: bool) -> None:
        """Let the worker hold this policy; moto refuses the calls themselves, we what they imply or all."""
        self.document, self.whole_rules = document, whole_rules
        self.chief.iam.put_user_policy(
            UserName="worker", PolicyName="only", PolicyDocument=json.dumps(projected(document))
        )

    def guarded(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """What makes botocore's calls of the worker answer as AWS would."""

        def call(client: Any, operation: str, request: dict[str, Any]) -> Any:
            if client._request_signer._credentials.access_key != self.keys[0]:
                return real(client, operation, request)
            service = client.meta.service_model.service_name
            needed = demands(service, operation, request, self.tags)
            self.seen += needed
            for demand in needed:
                by_moto = demand.action == f"{service}:{operation}" and service not in WITHOUT_MOTO
                ours = self.whole_rules or not by_moto
                if ours and not allowing(self.document, demand):
                    raise denial(operation, demand)
            try:
                answer = real(client, operation, request)
            except ClientError as error:
                if "is not authorized to perform" not in str(error):
                    raise
                raise denial(operation, needed[0]) from None
            self._learn(request, answer)
            if operation == "DescribeRegions":
                # moto tells those of China and of the US government too, which know none of our users.
                own = [
                    one for one in answer["Regions"] if not one["RegionName"].startswith(("cn-", "us-gov-"))
                ]
                return {**answer, "Regions": own}
            return answer

        return call

    def _learn(self, request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        made = [instance["InstanceId"] for instance in answer.get("Instances", [])] or [answer.get("GroupId")]
        for tagged in request.get("TagSpecifications", []):
            if tagged["ResourceType"] in ("instance", "security-group"):
                self.tags |= {
                    str(name): {tag["Key"]: tag["Value"] for tag in tagged["Tags"]} for name in made
                }

    def instances(self, *states: str) -> list[str]:
        """The ids of the instances in these states."""
        filters: Any = [{"Name": "instance-state-name", "Values": list(states)}]
        reservations = self.chief.ec2.describe_instances(Filters=filters)["Reservations"]
        return [instance["InstanceId"] for many in reservations for instance in many["Instances"]]

    def until(self, *states: str) -> None:
        """Wait until all instances that have not ended are in one of these states."""
        alive = ("pending", "running", "stopping", "stopped", "shutting-down")
        until(lambda: set(self.instances(*alive)) == set(self.instances(*states)), " or ".join(states))


def enforce(endpoint: Endpoint) -> None:
    """Let moto check signatures and policies from the next call on.

    https://docs.getmoto.org/en/latest/docs/iam.html
    """
    tell_moto(endpoint, "/moto-api/reset-auth", b"0")


def key_of(aws: Aws, name: str, document: Document) -> tuple[str, str]:
    """A new IAM user who holds this policy alone, as the user's keys."""
    aws.iam.create_user(UserName=name)
    aws.iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=json.dumps(document))
    key = aws.iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


@pytest.fixture(scope="module")
def account(module_local_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The account, set up by its administrator with IAM enforced."""
    endpoint = start_local_ec2(module_local_folder)
    return _set_up(endpoint, module_local_folder, tmp_path_factory.mktemp("worker"))


def _set_up(endpoint: Endpoint, folder: Path, home: Path) -> World:
    root = Aws(endpoint=endpoint, region=REGION)
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    access, secret = key_of(root, "chief", everything)
    worker = key_of(root, "worker", projected(WHOLE))
    enforce(endpoint)
    chief = Aws(endpoint=replace(endpoint, access_key=access, secret_key=secret), region=REGION)
    admin.setup(chief, admin.desired_setup(chief, parse_rights()), dry=False)
    return World(endpoint=endpoint, folder=folder, chief=chief, keys=worker, home=home)


@dataclass(frozen=True, kw_only=True)
class Worker:
    """The user with that policy at the command line; everything runs in this process, to be looked at."""

    world: World
    capture: pytest.CaptureFixture[str]

    def types(self, *words: str) -> CommandResult:
        """Run `ec2tasks WORDS`."""
        code = 0
        try:
            program().run(["ec2tasks", *words])
        except SystemExit as end:
            code = int(end.code or 0)
        result = self.capture.readouterr()
        return CommandResult(code=code, out=result.out, err=result.err)

    def does(self, *words: str) -> str:
        """Run `ec2tasks WORDS`, which must succeed; what it said on stdout."""
        result = self.types(*words)
        assert result.code == 0, (words, result.err)
        return result.out


@pytest.fixture
def worker(
    account: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Worker]:
    """The worker in a project, with the whole policy to begin with."""
    project = account.home / "shop"
    project.mkdir(exist_ok=True)
    monkeypatch.chdir(project)
    given = {"HOME": str(account.home), "USER": "worker", "EC2_LOCAL_DIR": str(account.folder)}
    for name, value in {**given, "EC2_LOCAL": "1"}.items():
        monkeypatch.setenv(name, value)
    access, secret = account.keys
    own = replace(account.endpoint, access_key=access, secret_key=secret)
    monkeypatch.setattr(control, "endpoint", lambda _: own)
    monkeypatch.setattr(BaseClient, "_make_api_call", account.guarded(BaseClient._make_api_call))  # type: ignore[attr-defined]
    account.hold(WHOLE, whole_rules=True)
    yield Worker(world=account, capture=capfd)
    account.hold(WHOLE, whole_rules=True)


def address_before(world: World, owner: str) -> None:
    """Make the group of a user, with a rule for an address that this machine had earlier."""
    vpc, group = usable_subnets(world.chief)[0].vpc, own_group_name(owner)
    groups = world.chief.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [group]}])
    if groups["SecurityGroups"]:
        group_id = groups["SecurityGroups"][0]["GroupId"]
    else:
        made = world.chief.ec2.create_security_group(GroupName=group, Description="x", VpcId=vpc)
        group_id = made["GroupId"]
        world.tags[group_id] = {"ec2tasks": owner}
    rule = ssh_rule("203.0.113.7/32", world.endpoint.ssh_port, rule_description(this_host(), date.today()))
    world.chief.ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[rule])


def test_whoever_holds_the_policy_alone_does_everything_with_it(worker: Worker) -> None:
    worker.does("config")
    worker.does("check")
    worker.does("up")
    assert worker.does("run", "--leave", "echo here") == "here\n"
    assert "running" in worker.does("status")
    assert "worker-shop" in worker.does("ls", "--all-regions")
    worker.does("sync")
    worker.does("down", "--stop")
    worker.world.until("stopped")
    assert worker.does("run", "--stop", "echo again") == "again\n"
    worker.world.until("stopped")
    worker.does("down")
    address_before(worker.world, "worker")
    assert worker.does("run", "--spot", "echo cheap") == "cheap\n"
    worker.world.until()
    left_disk(worker.world)
    worker.does("reap", "--force", "--yes")
    used = {(sid, demand.action) for demand in worker.world.seen for sid in allowing(WHOLE, demand)}
    assert used == {
        (statement["Sid"], action) for statement in WHOLE["Statement"] for action in statement["Action"]
    }


def left_disk(world: World) -> str:
    """A disk of a launch of the worker's that outlived its instance."""
    tags: Any = [{"ResourceType": "volume", "Tags": [{"Key": OWNER_TAG, "Value": "worker"}]}]
    volume = world.chief.ec2.create_volume(Size=8, AvailabilityZone="eu-central-1a", TagSpecifications=tags)
    world.tags[volume["VolumeId"]] = {OWNER_TAG: "worker"}
    return volume["VolumeId"]


def test_what_is_left_behind_is_not_ended_without_the_right_to(worker: Worker) -> None:
    disk = left_disk(worker.world)
    try:
        worker.world.hold(without_action(WHOLE, "ec2:DeleteVolume"), whole_rules=False)
        result = worker.types("reap", "--force", "--yes")
        assert result.code == 125
        assert f"disk {disk} could not be deleted" in result.err
        assert "ask your administrator for `ec2:DeleteVolume`" in result.err
        unseeing = without_action(without_action(WHOLE, "ec2:DescribeVolumes"), "ec2:DescribeAddresses")
        worker.world.hold(unseeing, whole_rules=False)
        result = worker.types("ls")
        assert result.code == 0
        assert "disks left behind in eu-central-1 are not looked for" in result.err
        assert "addresses left behind in eu-central-1 are not looked for" in result.err
    finally:
        worker.world.chief.ec2.delete_volume(VolumeId=disk)


def launching(owner: str) -> tuple[str, ...]:
    """A launch by someone who has neither key pair nor group yet, refused before there is an instance."""
    return ("up", "--key-name", owner)


# What to type to need an action, and the state that the instance must have for it.
NEEDING: dict[str, tuple[str | None, tuple[str, ...]]] = {
    **{
        action: (None, launching(f"new-{action.split(':')[1].lower()}"))
        for action in (
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInstanceTypeOfferings",
            "ec2:DescribeImages",
            "ec2:DescribeSubnets",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeKeyPairs",
            "ec2:ImportKeyPair",
            "ec2:CreateSecurityGroup",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupIngress",
            "ec2:RunInstances",
            "ec2:CreateTags",
            "iam:PassRole",
        )
    },
    "ec2:DescribeInstances": (None, ("status",)),
    "ec2:DescribeRegions": (None, ("ls", "--all-regions")),
    "ec2:TerminateInstances": ("running", ("down", "--no-rsync")),
    "ec2:StopInstances": ("running", ("down", "--stop", "--no-rsync")),
    "ec2:StartInstances": ("stopped", ("up",)),
}


def test_each_action_is_taken_away_below() -> None:
    assert set(NEEDING) | set(DISPENSABLE) | set(BESIDE) == set(actions(WHOLE))


def bring(worker: Worker, state: str | None) -> None:
    """The instance in this state, without the worker's doing."""
    if state == "running":
        worker.does("up")
    elif state == "stopped":
        worker.does("up")
        worker.world.chief.ec2.stop_instances(InstanceIds=worker.world.instances("running"))
        worker.world.until("stopped")


@pytest.mark.parametrize("action", sorted(NEEDING))
def test_an_action_taken_away_is_named(action: str, worker: Worker) -> None:
    state, words = NEEDING[action]
    bring(worker, state)
    if action == "ec2:RevokeSecurityGroupIngress":
        address_before(worker.world, words[-1])
    before = worker.world.instances("pending", "running", "stopped", "stopping")
    worker.world.hold(without_action(WHOLE, action), whole_rules=False)
    result = worker.types(*words)
    assert result.code == 125
    assert "Traceback" not in result.err
    assert f"worker is not authorized to perform: {action}" in result.err
    assert f"hint: ask your administrator for `{action}`; `ec2tasks admin.policy`" in result.err
    assert worker.world.instances("pending", "running", "stopped", "stopping") == before


def test_an_optional_right_that_is_missing_stops_nothing(worker: Worker) -> None:
    """The image is found by its name, the host key taken at first sight, and the instance gets no role.

    Its price is that of the list that comes along.
    """
    worker.does("down", "--no-rsync")
    for kept in (worker.world.home / ".local/state/ec2tasks/seen").glob("prices-*"):
        kept.unlink()
    document = WHOLE
    for action in DISPENSABLE:
        document = without_action(document, action)
    worker.world.hold(document, whole_rules=False)
    worker.world.seen.clear()
    result = worker.types("run", "echo here")
    assert (result.code, result.out) == (0, "here\n"), result.err
    assert [
        action for action in DISPENSABLE if f"ask your administrator for `{action}`" not in result.err
    ] == []
    assert "iam:PassRole" not in {demand.action for demand in worker.world.seen}


def test_what_check_may_not_look_at_is_said_and_a_missing_right_to_launch_is_to_mend(worker: Worker) -> None:
    document = without_action(without_action(WHOLE, "servicequotas:GetServiceQuota"), "ec2:RunInstances")
    worker.world.hold(document, whole_rules=False)
    result = worker.types("check")
    assert result.code == 1, result.err
    levels = {line[8:24].strip(): line.split()[0] for line in result.out.splitlines()}
    assert (levels["quota"], levels["rights"]) == ("warning", "mend")
    for action in ("servicequotas:GetServiceQuota", "ec2:RunInstances"):
        assert f"ask your administrator for `{action}`" in result.out


def test_a_stop_that_can_t_be_marked_has_stopped_all_the_same(worker: Worker) -> None:
    unmarked = [statement for statement in WHOLE["Statement"] if statement["Sid"] != "MarkFetched"]
    worker.world.hold({**WHOLE, "Statement": unmarked}, whole_rules=True)
    result = worker.types("run", "--stop", "echo here")
    assert (result.code, result.out) == (0, "here\n"), result.err
    assert "hint: ask your administrator for `ec2:CreateTags`" in result.err
    worker.world.until("stopped")


def test_moto_itself_refuses_what_the_policy_does_not_hold(account: World) -> None:
    access, secret = account.keys
    alone = Aws(endpoint=replace(account.endpoint, access_key=access, secret_key=secret), region=REGION)
    with pytest.raises(ClientError, match="not authorized to perform: ec2:DescribeVpcs"):
        alone.ec2.describe_vpcs()
    forged = Aws(endpoint=replace(account.endpoint, access_key=access), region=REGION)
    with pytest.raises(ClientError, match="AuthFailure"):
        forged.ec2.describe_instances()
