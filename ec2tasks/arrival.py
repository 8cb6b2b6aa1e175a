"""Getting to the project's instance: found, launched or started, and ready to take commands."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ec2tasks import instance as instances
from ec2tasks import report
from ec2tasks.access import Host, is_connected, is_pinned, open_master, pin_from_console, wait_ready
from ec2tasks.aws import Aws
from ec2tasks.errors import Failure
from ec2tasks.instance import Instance, Step, next_step
from ec2tasks.keypair import check_private, identity_files
from ec2tasks.launch import Order, launch, prepare_order
from ec2tasks.network import admit
from ec2tasks.prepare import prepare
from ec2tasks.process import Tools, check_tools, deferred
from ec2tasks.project import Project, identity
from ec2tasks.settings import Settings
from ec2tasks.state import State, digest, lock, recall, remember


@dataclass(frozen=True, kw_only=True)
class Call:
    """What one call of ec2tasks knows before it asks AWS anything."""

    settings: Settings
    project: Project
    aws: Aws
    state: State
    tools: Tools
    home: Path
    account: str = ""  # what tells one AWS account's credentials here from another's

    @property
    def key(self) -> str:
        """The instance's name among all that this machine knows."""
        settings = self.settings
        return digest(self.aws.endpoint.name, self.account, self.aws.region, settings.key_name, settings.name)


@dataclass(kw_only=True)
class Arrival:
    """What has become of getting there so far; kept by the caller, so that a failure half way is not lost.

    `sceptical`: what this machine remembers has been tried, and AWS is to be asked the next time.
    """

    instance: Instance | None = None
    host: Host | None = None
    launched: bool = False
    started: bool = False
    sceptical: bool = False


def check_here(call: Call) -> None:
    """The checks that need no network: tools, and the private key's rights."""
    check_tools(["ssh", "ssh-keygen", "rsync"])
    if call.settings.key_file:
        check_private(call.settings.key_file)


def find(call: Call) -> Instance | None:
    """The project's instance as AWS knows it now."""
    call.aws.check_region()
    name = call.settings.name
    given = call.settings.sources["name"] != "key name and folder"
    found = instances.list_instances(call.aws, owner=call.settings.key_name, name=name)
    project_id = "" if given else identity(call.project)
    return instances.choose(found, name=name, project_id=project_id, name_given=given)


def host_of(call: Call, found: Instance) -> Host:
    """How to reach a running instance."""
    settings = call.settings
    user = settings.user or found.user
    if found.address is None or user is None:
        missing = "login user" if user is None else "public address"
        raise Failure(
            f"instance {found.where} has no {missing}", hint="user: NAME in ec2.yaml names the login user"
        )
    return Host(
        instance_id=found.id,
        address=found.address,
        port=call.aws.endpoint.ssh_port,
        user=user,
        identities=identity_files(settings.key_file, settings.key_name, call.home),
        only_these=settings.key_file is not None,
        known_hosts=call.state.known_hosts,
        sockets=call.state.sockets,
    )


def arrive(call: Call, arrival: Arrival, *, may_launch: bool) -> Host:
    """Get to the instance, filling in `arrival` on the way; launching one only where that is wanted.

    A control connection that is still open is the instance itself, alive, with its host key checked: AWS is
    asked only where there is none. Raises UsageError or Failure; what has been launched or started until
    then stands in `arrival`.
    """
    seen = _seen(call)
    if seen and not arrival.sceptical and is_connected(host_of(call, seen), call.tools):
        arrival.instance = seen
        arrival.sceptical = True
        return _arrived(arrival, host_of(call, seen))
    with ThreadPoolExecutor(max_workers=1) as pool:
        # AWS's answer takes longer than a connection: both at once, and the answer decides.
        asked = pool.submit(find, call)
        early = _head_start(call, seen)
        arrival.instance = asked.result()
    if next_step(arrival.instance) is not Step.USE:
        _bring_up(call, arrival, may_launch=may_launch)
    assert arrival.instance is not None
    host = host_of(call, arrival.instance)
    if host != early:
        _get_ready(call, arrival.instance, host)
    remember(call.state, call.key, instances.as_json(arrival.instance))
    return _arrived(arrival, host)


def look_in(call: Call) -> Host:
    """The running instance, connected; nothing is launched or started for it.

    Raises Failure naming what to type where none runs, or where it does not let this machine in.
    """
    seen = _seen(call)
    if seen and is_connected(host_of(call, seen), call.tools):
        return host_of(call, seen)
    found = find(call)
    if found is None:
        raise no_instance(call)
    if next_step(found) is not Step.USE:
        raise Failure(f"instance {found.where} is {found.state}", hint="`ec2tasks up` brings it up")
    host = host_of(call, found)
    said = open_master(host, call.tools, strict=is_pinned(host) or pin_from_console(call.aws, host))
    if said is not None:
        raise Failure(f"instance {found.where} does not answer: {said}", hint="`ec2tasks up` waits for it")
    return host


def _arrived(arrival: Arrival, host: Host) -> Host:
    arrival.host = host
    return host


def _seen(call: Call) -> Instance | None:
    """The instance as it was when this machine last got to it."""
    try:
        found = instances.from_json(recall(call.state, call.key))
    except (KeyError, TypeError, ValueError):
        return None
    return found if found.address and (call.settings.user or found.user) else None


def _head_start(call: Call, seen: Instance | None) -> Host | None:
    """The host that answered last time, connected already, where it still shows the same host key."""
    host = host_of(call, seen) if seen else None
    return host if host and open_master(host, call.tools) is None else None


def _get_ready(call: Call, found: Instance, host: Host) -> None:
    settings = call.settings
    wait_ready(
        host,
        call.aws,
        call.tools,
        watch=lambda: instances.watch(call.aws, found.id),
        admit=lambda: admit(call.aws, found.group_ids, owner=settings.key_name, port=host.port),
    )
    prepare(host)


def _bring_up(call: Call, arrival: Arrival, *, may_launch: bool) -> None:
    def launch_one() -> Instance:
        if not may_launch:
            raise no_instance(call)
        order = _order(call)
        # Between AWS's yes and our knowing it, a Ctrl-C would leave an instance that nobody ends.
        with deferred():
            arrival.instance = instances.from_description(launch(call.aws, order))
            arrival.launched = True
        report.step(f"launched {arrival.instance.where}")
        return arrival.instance

    def start_one(found: Instance) -> None:
        instances.start(call.aws, found)
        arrival.started = True

    # Of several clients of this machine at once, one launches and the others find what it launched.
    with lock(call.state, f"launch-{call.key}"):
        arrival.instance = instances.bring_up(
            observe=lambda: find(call),
            launch=launch_one,
            start=start_one,
            watch=lambda instance_id: instances.watch(call.aws, instance_id),
        )


def no_instance(call: Call) -> Failure:
    """There is no instance, and this call is none that launches one."""
    return Failure(
        f"no instance `{call.settings.name}` in {call.aws.region}",
        hint="`ec2tasks up` launches it, `ec2tasks ls` lists yours",
    )


def _order(call: Call) -> Order:
    tags = instances.launch_tags(call.settings, identity(call.project))
    return prepare_order(call.aws, call.settings, tags, home=call.home, tools=call.tools)
