"""Finds the project's instance: by its tags in AWS, or as this machine remembers it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from ec2tasks.aws import instances, start_and_end
from ec2tasks.aws.instances import Instance
from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.project import project_identity
from ec2tasks.base.project_dir import stored_identity
from ec2tasks.base.retry import ticks
from ec2tasks.base.state import read_cached, write_cached
from ec2tasks.lifecycle import launch_journal
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.instance_cache import as_json, from_json
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.keys import keys_to_offer
from ec2tasks.ssh.way import no_address, proxy_argv

SETTLING = 15.0  # seconds to wait for one of several instances of one name, where the newest is new
NEW_SECONDS = 60.0


def find_instance(context: CallContext) -> Instance | None:
    """The project's instance as AWS knows it now; None where there is none."""
    return _chosen(context, _instances_of_that_name(context))


def _instances_of_that_name(context: CallContext) -> list[Instance]:
    context.aws.check_region()
    name = context.settings.name
    found = instances.list_instances(context.aws, owner=context.settings.key_name, name=name)
    if not any(instance.state in instances.UP for instance in found):
        forget_entry(context, name)
    return found


def _chosen(context: CallContext, candidates: Sequence[Instance]) -> Instance | None:
    """The one of these instances that is this project's; raises Failure where several may be."""
    name = context.settings.name
    given = context.settings.given("name")
    identities: tuple[str, ...] = ()
    if candidates and not given:
        identities = (stored_identity(context.project.root), project_identity(context.project))
    return instances.choose_instance(candidates, name=name, identities=identities, name_given=given)


def settled_instance(context: CallContext, sleep: Callable[[float], None] = time.sleep) -> Instance | None:
    """The project's instance, where two clients that launched at once have agreed on one.

    The eldest stays. Whoever launched another, on this machine or another one, ends that before anybody gets
    on it; so a client that sees several waits a moment for the rest to go.
    """
    for _ in ticks(every=1.0, limit=SETTLING, sleep=sleep):
        candidates = _instances_of_that_name(context)
        if len(candidates) < 2:
            break
        own = _launched_here(context, candidates)
        younger = [instance for instance in own if instances.is_duplicate(instance, candidates)]
        if younger:
            _give_way(context, younger, all_of_them=younger == own)
        elif own:
            return _chosen(context, own)
        elif not _is_new(candidates[-1]):
            break
    return _chosen(context, candidates)


def _launched_here(context: CallContext, candidates: Sequence[Instance]) -> list[Instance]:
    """Those that come from this machine's launch, and that nobody here has got on."""
    entry = launch_journal.read(context.state, context.key)
    return [instance for instance in candidates if entry and entry.asked_for(instance.token)]


def _give_way(context: CallContext, younger: Sequence[Instance], *, all_of_them: bool) -> None:
    """Terminate what this machine launched beside an older one: nobody has ever got on it."""
    for instance in younger:
        output.step(f"{instance.where}: ended again, another client launched one at the same moment")
        start_and_end.end(context.aws, instance, FinalState.TERMINATE)
    if all_of_them:
        launch_journal.finish(context.state, context.key)


def _is_new(instance: Instance) -> bool:
    age = (datetime.now(timezone.utc) - instance.launched).total_seconds()
    return instance.state == "pending" or age < NEW_SECONDS


def host_of(context: CallContext, instance: Instance) -> Host:
    """How a running instance is reached over SSH. Raises Failure where it has no address or login user."""
    settings = context.settings
    user = settings.user or instance.user
    keys = keys_to_offer(settings.key_file, settings.key_name, context.home, context.public_key)
    if user is None:
        raise Failure(
            f"the login user of instance {instance.where} is not known", hint="user: NAME in ec2.yaml"
        )
    address, endpoint = instance.address_by(settings.via), context.aws.endpoint
    if address is None:
        raise no_address(settings.via, instance)
    return Host(
        instance_id=instance.id,
        address=address,
        port=endpoint.ssh_port,
        proxy=proxy_argv(settings.via, instance.id, address, context.aws),
        user=user,
        identities=keys.files,
        only_these=keys.only_these,
        public_key=keys.in_agent,
        known_hosts=context.state.known_hosts,
        sockets=context.state.sockets,
        console_first=settings.strict_host_keys,
    )


def remember(context: CallContext, instance: Instance, host: Host) -> None:
    """Keep where the instance is: for the next call, and for the user's own ssh where that was asked for."""
    write_cached(context.state, context.key, as_json(instance))
    keep_entry(context, host)


def keep_entry(context: CallContext, host: Host) -> None:
    """Keep how the instance is reached for the user's own ssh, where `ec2tasks ssh-config` asked for that."""
    if context.state.ssh_config.is_file():
        from ec2tasks.lifecycle import ssh_entries  # few have asked

        ssh_entries.keep(context, host)


def forget_entry(context: CallContext, name: str, *, instance_id: str = "") -> None:
    """Take the entry of an instance that has ended away from the user's own ssh, where one was kept.

    With `instance_id`, only where it is that one's: another may have its name by now.
    """
    if context.state.ssh_config.is_file():
        from ec2tasks.lifecycle import ssh_entries  # few have asked

        ssh_entries.drop(context, name, instance_id)


def forget_gone(context: CallContext, region: str, listed: Sequence[Instance]) -> None:
    """Take the entries of a region away from the user's own ssh but those of what runs of all that it has."""
    if context.state.ssh_config.is_file():
        from ec2tasks.lifecycle import ssh_entries  # few have asked

        running = {instance.id for instance in listed if instance.state in instances.UP}
        ssh_entries.drop_gone(context, region, running)


def remembered_instance(context: CallContext) -> Instance | None:
    """The instance as it was when this machine last connected to it; None where nothing usable is known."""
    try:
        instance = from_json(read_cached(context.state, context.key))
    except (KeyError, TypeError, ValueError):
        return None
    if not context.settings.given("name") and instance.project not in (
        None,
        stored_identity(context.project.root),
    ):
        return None  # another project's of the same folder name, for all that can be told without asking
    reached = instance.address_by(context.settings.via)
    return instance if reached and (context.settings.user or instance.user) else None


def no_instance_error(context: CallContext) -> Failure:
    """The failure that there is no instance, for a call that launches none."""
    return Failure(
        f"no instance `{context.settings.name}` in {context.aws.region}",
        hint="`ec2tasks up` launches it, `ec2tasks ls` lists yours",
    )
