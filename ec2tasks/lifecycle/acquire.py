"""Acquires the project's instance: finds, starts or launches it, and waits until it takes commands."""

from __future__ import annotations

import shutil

from ec2tasks.aws import instances
from ec2tasks.aws.instances import Instance
from ec2tasks.aws.start_and_end import NextStep, next_step
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import check_tools, in_background
from ec2tasks.base.project_dir import store_identity, stored_identity
from ec2tasks.base.state import lock
from ec2tasks.config.way import VIA_EICE
from ec2tasks.lifecycle import launch_journal
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.credentials_end import tell_of_end
from ec2tasks.lifecycle.drift import settle_drift
from ec2tasks.lifecycle.find import (
    find_instance,
    host_of,
    no_instance_error,
    remember,
    remembered_instance,
    settled_instance,
)
from ec2tasks.lifecycle.host_key_check import HostKeyCheck, check_host_key, tell_first_sight
from ec2tasks.remote.usage_mark import mark
from ec2tasks.ssh.connect import check_error, is_usable, open_master
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.host_keys import contact, is_pinned
from ec2tasks.ssh.keys import check_permissions
from ec2tasks.ssh.way import missing_aws_cli
from ec2tasks.sync.rsync import check_rsync


class NotRunningError(Failure):
    """The instance is there and does not run."""


@dataclass(kw_only=True)
class Acquired:
    """The instance as far as it is acquired; kept by the caller, so that a failure half way loses nothing.

    `launched`, `started`: by this call. `memory_tried`: what this machine remembers has been tried, and AWS
    is to be asked the next time. `drift_told`: that it is not as asked for has been said, or asked.
    `key_check`: the comparison of its host key with AWS's console, where that is not settled.
    """

    instance: Instance | None = None
    host: Host | None = None
    launched: bool = False
    started: bool = False
    memory_tried: bool = False
    drift_told: bool = False
    key_check: HostKeyCheck | None = None


def check_local_tools(context: CallContext, *, moves: bool = True) -> None:
    """The checks that need no network: tools (rsync where files are moved), and the private key's rights."""
    check_tools(["ssh", "ssh-keygen"])
    if moves:
        check_rsync(context.state, context.tools)
    if context.settings.via == VIA_EICE and shutil.which("aws") is None:
        raise missing_aws_cli()
    if context.settings.key_file:
        check_permissions(context.settings.key_file)


def _adopt(context: CallContext, instance: Instance) -> None:
    """Know the project from now on by the identity that this instance was launched with."""
    root = context.project.root
    if instance.project and not context.settings.given("name") and stored_identity(root) != instance.project:
        store_identity(root, instance.project)


def acquire(context: CallContext, acquired: Acquired, *, may_launch: bool, may_start: bool = True) -> Host:
    """Acquire the instance, filling in `acquired` on the way; returns how it is reached.

    A control connection that is still open is the instance itself, alive, with its host key checked: AWS is
    asked only where there is none. One is launched only where `may_launch`, started only where `may_start`.
    Raises UsageError or Failure; what has been launched or started until then stands in `acquired`.
    """
    remembered = remembered_instance(context)
    if remembered and not acquired.memory_tried and is_usable(host_of(context, remembered), context.tools):
        _take(context, acquired, remembered, compare=may_launch)
        acquired.memory_tried = True
        return _connected(context, acquired, host_of(context, remembered))
    # AWS's answer takes longer than a connection: both at once, and the answer decides.
    answer = in_background(lambda: settled_instance(context))
    early = _head_start(context, remembered)
    _take(context, acquired, answer(), compare=may_launch)
    if not may_start and acquired.instance and acquired.instance.state in instances.HALTED:
        raise Failure(
            f"{acquired.instance.where} is {acquired.instance.state}: no command runs on it",
            hint="`ec2tasks finish` starts it, fetches the results and ends it",
        )
    if acquired.instance is None and may_launch:
        context.before_launch()
    host = _brought_up(context, acquired, early, may_launch=may_launch)
    assert acquired.instance is not None
    if acquired.launched and _gave_way(context, acquired):
        return acquire(context, acquired, may_launch=may_launch)
    _take(context, acquired, acquired.instance, compare=may_launch)  # another client may have launched it
    remember(context, acquired.instance, host)
    _adopt(context, acquired.instance)
    if may_launch:
        tell_of_end(context)
    return _connected(context, acquired, host)


def _brought_up(context: CallContext, acquired: Acquired, early: Host | None, *, may_launch: bool) -> Host:
    """How the instance is reached, once it is up and takes commands; `early` is connected already."""
    from ec2tasks.lifecycle.bring_up import bring_up, get_ready  # a warm run does not wait for it

    if next_step(acquired.instance, context.settings.via) is not NextStep.USE:
        bring_up(context, acquired, may_launch=may_launch)
    assert acquired.instance is not None
    host = host_of(context, acquired.instance)
    if host != early:
        get_ready(context, acquired.instance, host)
    return host


def _gave_way(context: CallContext, acquired: Acquired) -> bool:
    """Whether another client's launch at the same moment was the older one; by now AWS shows both."""
    instance = settled_instance(context)
    if instance is None or acquired.instance is None or instance.id == acquired.instance.id:
        return False
    acquired.instance, acquired.launched = instance, False
    return True


def connect_running(context: CallContext) -> Host:
    """The running instance, connected; nothing is launched or started for it.

    Raises NotRunningError where it is stopped, Failure where there is none or it does not let us in.
    """
    remembered = remembered_instance(context)
    if remembered and is_usable(host_of(context, remembered), context.tools):
        return host_of(context, remembered)
    instance = find_instance(context)
    if instance is None:
        raise no_instance_error(context)
    if next_step(instance, context.settings.via) is not NextStep.USE:
        raise NotRunningError(
            f"instance {instance.where} is {instance.state}", hint="`ec2tasks up` brings it up"
        )
    host = host_of(context, instance)
    refusal = open_master(host, context.tools, how=contact(context.aws, host, context.tools))
    if refusal is not None:
        check_error(refusal, host)
        raise Failure(
            f"instance {instance.where} does not answer: {refusal.splitlines()[-1]}",
            hint="`ec2tasks up` waits for it",
        )
    tell_first_sight(host)
    return host


def _take(context: CallContext, acquired: Acquired, instance: Instance | None, *, compare: bool) -> None:
    """Take down the instance that was found, settled where it is not as asked for. Raises UsageError."""
    if instance and compare and not acquired.launched and not acquired.drift_told:
        settle_drift(instance, context.settings, reuse=context.reuse)
        acquired.drift_told = True
    acquired.instance = instance


def _connected(context: CallContext, acquired: Acquired, host: Host) -> Host:
    acquired.host = host
    acquired.key_check = check_host_key(context, host, acquired.key_check)
    return host


def acquire_without_session(context: CallContext, acquired: Acquired, *, may_launch: bool) -> Host:
    """Acquire the instance for work that needs no session; a mark on it says that it is in use."""
    with lock(context.state, f"arriving-{context.key}", shared=True):
        host = acquire(context, acquired, may_launch=may_launch)
        mark(host, context.tools)
        launch_journal.finish(context.state, context.key)
    return host


def _head_start(context: CallContext, remembered: Instance | None) -> Host | None:
    """The host that answered last time, connected, where it still shows the same host key; else None."""
    host = host_of(context, remembered) if remembered else None
    return host if host and is_pinned(host) and open_master(host, context.tools) is None else None
