"""Getting to the project's instance: found, launched or started, and ready to take commands."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ec2tasks.aws import instances, start_and_end
from ec2tasks.aws.errors import error_code, is_transient
from ec2tasks.aws.instances import Instance
from ec2tasks.aws.launch import LaunchPlan, launch, plan_launch
from ec2tasks.aws.security_groups import open_ssh_port
from ec2tasks.aws.start_and_end import NextStep, next_step
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.process import check_tools, in_background
from ec2tasks.base.project import identity
from ec2tasks.base.project_dir import know_as, known_as
from ec2tasks.base.signals import deferred
from ec2tasks.base.state import keep, lock, recall, remember
from ec2tasks.lifecycle import launch_journal as journal
from ec2tasks.lifecycle.context import Call
from ec2tasks.lifecycle.drift import say_unlike
from ec2tasks.lifecycle.instance_cache import as_json, from_json
from ec2tasks.remote.usage_mark import mark
from ec2tasks.ssh.connect import is_connected, open_master, wait_ready
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.host_keys import is_pinned, pin_from_console
from ec2tasks.ssh.keys import check_permissions, keys_to_offer
from ec2tasks.ssh.packages import install_missing

SETTLING = 15  # looks, a second apart, at several instances of one name of which the newest is new
NEW_SECONDS = 60.0
UNANSWERED = "AWS gave no answer to the launch: there may be an instance all the same"


@dataclass(kw_only=True)
class Arrival:
    """What has become of getting there so far; kept by the caller, so that a failure half way is not lost.

    `sceptical`: what this machine remembers has been tried, and AWS is to be asked the next time. `compared`:
    it has been said where the instance is not what was asked for.
    """

    instance: Instance | None = None
    host: Host | None = None
    launched: bool = False
    started: bool = False
    sceptical: bool = False
    compared: bool = False


def check_here(call: Call) -> None:
    """The checks that need no network: tools, and the private key's rights."""
    check_tools(["ssh", "ssh-keygen", "rsync"])
    if call.settings.key_file:
        check_permissions(call.settings.key_file)


def find(call: Call) -> Instance | None:
    """The project's instance as AWS knows it now."""
    return _chosen(call, _of_that_name(call))


def _of_that_name(call: Call) -> list[Instance]:
    call.aws.check_region()
    return instances.list_instances(call.aws, owner=call.settings.key_name, name=call.settings.name)


def _chosen(call: Call, found: Sequence[Instance]) -> Instance | None:
    name = call.settings.name
    given = call.settings.given("name")
    known = () if given or not found else (known_as(call.project.root), identity(call.project))
    return instances.choose_instance(found, name=name, identities=known, name_given=given)


def _adopt(call: Call, found: Instance) -> None:
    """Know the project from now on as the one that this instance is of."""
    root = call.project.root
    if found.project and not call.settings.given("name") and known_as(root) != found.project:
        know_as(root, found.project)


def _settled(call: Call, sleep: Callable[[float], None] = time.sleep) -> Instance | None:
    """The project's instance, where two clients that launched at once have agreed on one.

    The eldest stays. Whoever launched another, on this machine or another one, ends that before anybody gets
    on it; so a client that sees several waits a moment for the rest to go.
    """
    for patience in range(SETTLING, -1, -1):
        found = _of_that_name(call)
        if len(found) < 2:
            break
        mine = _launched_here(call, found)
        younger = [one for one in mine if instances.is_duplicate(one, found)]
        if younger:
            _give_way(call, younger, all_of_them=younger == mine)
        elif mine:
            return _chosen(call, mine)
        elif patience and _is_new(found[-1]):
            sleep(1)
        else:
            break
    return _chosen(call, found)


def _launched_here(call: Call, found: Sequence[Instance]) -> list[Instance]:
    """Those that come from this machine's launch, and that nobody here has got on."""
    entry = journal.read(call.state, call.key)
    return [one for one in found if entry and entry.asked_for(one.token)]


def _give_way(call: Call, younger: Sequence[Instance], *, all_of_them: bool) -> None:
    """End what this machine launched beside an older one: nobody has ever got on it."""
    for one in younger:
        output.step(f"{one.where}: ended again, another client launched one at the same moment")
        start_and_end.end(call.aws, one, FinalState.TERMINATE)
    if all_of_them:
        journal.finish(call.state, call.key)


def _is_new(found: Instance) -> bool:
    age = (datetime.now(timezone.utc) - found.launched).total_seconds()
    return found.state == "pending" or age < NEW_SECONDS


def host_of(call: Call, found: Instance) -> Host:
    """How to reach a running instance."""
    settings = call.settings
    user = settings.user or found.user
    keys = keys_to_offer(settings.key_file, settings.key_name, call.home, call.public_key)
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
        identities=keys.files,
        only_these=keys.only_these,
        public_key=keys.in_agent,
        known_hosts=call.state.known_hosts,
        sockets=call.state.sockets,
    )


def arrive(call: Call, arrival: Arrival, *, may_launch: bool, may_start: bool = True) -> Host:
    """Get to the instance, filling in `arrival` on the way; launching one only where that is wanted.

    A control connection that is still open is the instance itself, alive, with its host key checked: AWS is
    asked only where there is none. Raises UsageError or Failure; what has been launched or started until
    then stands in `arrival`.
    """
    seen = last_seen(call)
    if seen and not arrival.sceptical and is_connected(host_of(call, seen), call.tools):
        arrival.instance = seen
        arrival.sceptical = True
        return _arrived(call, arrival, host_of(call, seen), compare=may_launch)
    # AWS's answer takes longer than a connection: both at once, and the answer decides.
    asked = in_background(lambda: _settled(call))
    early = _head_start(call, seen)
    arrival.instance = asked()
    if not may_start and arrival.instance and arrival.instance.state in instances.HALTED:
        raise Failure(
            f"{arrival.instance.where} is {arrival.instance.state}: no command runs on it",
            hint="`ec2tasks finish` starts it, fetches the results and ends it",
        )
    if next_step(arrival.instance) is not NextStep.USE:
        _bring_up(call, arrival, may_launch=may_launch)
    assert arrival.instance is not None
    host = host_of(call, arrival.instance)
    if host != early:
        _get_ready(call, arrival.instance, host)
    if arrival.launched and _launched_in_vain(call, arrival):
        return arrive(call, arrival, may_launch=may_launch)
    remember(call.state, call.key, as_json(arrival.instance))
    _adopt(call, arrival.instance)
    return _arrived(call, arrival, host, compare=may_launch)


def _launched_in_vain(call: Call, arrival: Arrival) -> bool:
    """Whether another client's launch at the same moment was the older one; by now AWS shows both."""
    found = _settled(call)
    if found is None or arrival.instance is None or found.id == arrival.instance.id:
        return False
    arrival.instance, arrival.launched = found, False
    return True


def look_in(call: Call) -> Host:
    """The running instance, connected; nothing is launched or started for it.

    Raises Failure naming what to type where none runs, or where it does not let this machine in.
    """
    seen = last_seen(call)
    if seen and is_connected(host_of(call, seen), call.tools):
        return host_of(call, seen)
    found = find(call)
    if found is None:
        raise no_instance(call)
    if next_step(found) is not NextStep.USE:
        raise Failure(f"instance {found.where} is {found.state}", hint="`ec2tasks up` brings it up")
    host = host_of(call, found)
    said = open_master(host, call.tools, strict=is_pinned(host) or pin_from_console(call.aws, host))
    if said is not None:
        raise Failure(f"instance {found.where} does not answer: {said}", hint="`ec2tasks up` waits for it")
    return host


def _arrived(call: Call, arrival: Arrival, host: Host, *, compare: bool) -> Host:
    arrival.host = host
    if compare and not arrival.launched and not arrival.compared and arrival.instance:
        arrival.compared = True
        say_unlike(arrival.instance, call.settings)
    return host


def get_on(call: Call, arrival: Arrival, *, may_launch: bool) -> Host:
    """Arrive for a user who needs no session, and whose work there leaves no trace of ours but a mark."""
    with lock(call.state, f"arriving-{call.key}", shared=True):
        host = arrive(call, arrival, may_launch=may_launch)
        mark(host, call.tools)
        journal.finish(call.state, call.key)
    return host


def last_seen(call: Call) -> Instance | None:
    """The instance as it was when this machine last got to it."""
    try:
        found = from_json(recall(call.state, call.key))
    except (KeyError, TypeError, ValueError):
        return None
    if not call.settings.given("name") and found.project not in (None, known_as(call.project.root)):
        return None  # another project's of the same folder name, for all that can be told without asking
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
        describe=lambda: instances.describe_instance(call.aws, found.id),
        open_port=lambda: open_ssh_port(call.aws, found.group_ids, owner=settings.key_name, port=host.port),
    )
    install_missing(host)


def _bring_up(call: Call, arrival: Arrival, *, may_launch: bool) -> None:
    def launch_one() -> Instance:
        if not may_launch:
            raise no_instance(call)
        plan = _plan_launch(call)
        output.step(NextStep.LAUNCH.value)  # only now: each mistake that costs nothing has been looked for
        # Between AWS's yes and our knowing it, a Ctrl-C would leave an instance that nobody ends.
        with deferred():
            arrival.instance = _launch(call, plan)
            arrival.launched = True
        output.step(f"launched {arrival.instance.where}")
        return arrival.instance

    def start_one(found: Instance) -> None:
        start_and_end.start(call.aws, found)
        arrival.started = True

    # Of several clients of this machine at once, one launches and the others find what it launched.
    with lock(call.state, f"launch-{call.key}"):
        found = start_and_end.bring_up(
            find=lambda: _settled(call),
            launch=launch_one,
            start=start_one,
            describe=lambda instance_id: instances.describe_instance(call.aws, instance_id),
        )
        arrival.launched = (
            arrival.launched and arrival.instance is not None and arrival.instance.id == found.id
        )
        arrival.instance = found


def _launch(call: Call, plan: LaunchPlan) -> Instance:
    """Launch one, written down before AWS is asked, and asked with what stands there from a lost request."""
    if plan.public_key:
        keep(call.public_key, f"{plan.public_key}\n")
    for anew in (False, True):
        entry = journal.begin(call.state, call.place, anew=anew)
        try:
            return instances.from_description(launch(call.aws, plan, entry.token))
        except Exception as error:
            if error_code(error) == "IdempotentInstanceTerminated" and not anew:
                continue  # what was launched then has ended since
            if is_transient(error):
                output.warning(UNANSWERED, hint="the next run finds it; `ec2tasks ls` shows it")
            else:
                journal.finish(call.state, call.key)
            raise
    raise AssertionError("unreachable")


def no_instance(call: Call) -> Failure:
    """There is no instance, and this call is none that launches one."""
    return Failure(
        f"no instance `{call.settings.name}` in {call.aws.region}",
        hint="`ec2tasks up` launches it, `ec2tasks ls` lists yours",
    )


def _plan_launch(call: Call) -> LaunchPlan:
    known = known_as(call.project.root) or identity(call.project)
    tags = instances.launch_tags(call.settings, known)
    return plan_launch(call.aws, call.settings, tags, home=call.home, tools=call.tools)
