"""Bringing an instance up, be it launched, started or waited for, and stopping or terminating it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code, error_text, warn_if_denied
from ec2tasks.aws.explanations import hint_for
from ec2tasks.aws.instances import ALIVE, FETCHED_TAG, GONE, HALTED, Instance, describe_instance
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.final_state import FinalState
from ec2tasks.base.retry import retry, ticks
from ec2tasks.config.way import VIA_PUBLIC

CHANGE_LIMIT = 600.0  # seconds that AWS may take to stop or start an instance before we say so
NO_ROOM = "InsufficientInstanceCapacity"
START_LOOKS = 30  # a second apart, at an instance whose start was granted and that is still stopped
ADDRESS_LOOKS = 30  # a second apart, at a running instance that shows no address
END_PAUSES = (1.0,) * 30  # seconds between requests to end an instance that AWS does not take yet
# The states that a final state leads to.
STATES_AFTER: dict[FinalState, tuple[str, ...]] = {
    FinalState.LEAVE: (),
    FinalState.STOP: (*HALTED, *GONE),
    FinalState.TERMINATE: GONE,
}


class NextStep(Enum):
    """What an instance needs before it takes commands; the values are the lines shown."""

    LAUNCH = "no instance yet: launching one"
    START = "stopped: starting it"
    WAIT = "changing its state: waiting"
    USE = "running"


def next_step(instance: Instance | None, via: str = VIA_PUBLIC) -> NextStep:
    """What an instance, None where there is none, needs before it takes commands."""
    if instance is None:
        return NextStep.LAUNCH
    if instance.state == "stopped":
        return NextStep.START
    if instance.state == "running" and instance.address_by(via):
        return NextStep.USE
    return NextStep.WAIT


@dataclass(kw_only=True)
class Waiting:
    """A clock that stands still while a launch is asked for, which may take as long as it may."""

    clock: Callable[[], float]
    _stood: float = 0.0

    def __call__(self) -> float:
        """The seconds, from some moment on."""
        return self.clock() - self._stood

    def without(self, act: Callable[[], Instance]) -> Instance:
        """What is done while it stands still."""
        began = self.clock()
        try:
            return act()
        finally:
            self._stood += self.clock() - began


@dataclass(kw_only=True)
class Starting:
    """What AWS has shown of a stopped instance since its start was granted, which it may take back.

    For a moment its answers may be those of before; then it is to be asked to start again.
    """

    before: Instance | None = None
    asked: int = 0
    seen_moving: bool = False

    def ask(self, instance: Instance) -> None:
        """Its start has been granted while it looked so."""
        self.before, self.asked = self.before or instance, self.asked + 1

    def has_failed(self, instance: Instance) -> bool:
        """Whether it is stopped again: seen on its way up, or by a new reason, or as it never moves."""
        if self.before is None or instance.state != "stopped":
            self.seen_moving = self.before is not None
            return False
        reason = (instance.reason_code, instance.reason)
        is_new = reason != (self.before.reason_code, self.before.reason)
        return self.seen_moving or is_new or self.asked > START_LOOKS


def bring_up(
    *,
    find: Callable[[], Instance | None],
    launch: Callable[[], Instance],
    start: Callable[[Instance], None],
    describe: Callable[[str], Instance | None],
    is_lost: Callable[[Instance], bool] = lambda _instance: False,
    via: str = VIA_PUBLIC,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Instance:
    """The project's instance, running and with an address: launched or started where that is needed.

    `find` looks for it by its tags, `describe` by its id. After one that `is_lost`, another is launched.
    Raises Failure where it ends meanwhile, gets no address, or takes too long after its launch.
    """
    shown, launched, without_address, waiting = None, None, 0, Waiting(clock=clock)
    starting = Starting()
    for _ in ticks(every=1.0, limit=CHANGE_LIMIT, sleep=sleep, clock=waiting):
        instance = find()
        hidden = instance and instance.state == "running" and not instance.address_by(via)
        without_address = without_address + 1 if hidden else 0
        if instance and without_address > ADDRESS_LOOKS:
            raise _no_address(instance)
        if launched and (instance is None or instance.id != launched.id):
            # For some seconds after a launch, AWS's lists do not show it yet; it may also be ended again.
            instance = instance or _still_alive(describe(launched.id) or launched, is_lost)
            launched = launched if instance and instance.id == launched.id else None
        step = next_step(instance, via)
        if instance and starting.has_failed(instance):
            raise _fell_back(instance, fetched=bool(starting.before and starting.before.fetched))
        if instance and step is not shown:
            output.step(f"{instance.where}: {step.value}")
        shown = step
        if step is NextStep.USE and instance:
            return instance
        if step is NextStep.LAUNCH:
            launched = waiting.without(launch)
        elif step is NextStep.START and instance:
            start(instance)
            starting.ask(instance)
    raise Failure(
        f"the instance is still not running after {CHANGE_LIMIT:.0f} s",
        hint="`ec2tasks status` shows its state, `ec2tasks down` ends it",
    )


def _no_address(instance: Instance) -> Failure:
    return Failure(
        f"{instance.where} runs, but has no public address",
        hint="via: private, eice or a jump host reaches it without one; one that is launched with via: public"
        " gets one (`ec2tasks down` ends this one)",
    )


def _hint(instance: Instance) -> str:
    """What to type about AWS's reason for an instance's state, whoever's doing it is: `Client.CODE`.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
    """
    code = instance.reason_code.rpartition(".")[2]
    return hint_for(code, instance.reason, instance.zone[:-1])


def _fell_back(instance: Instance, *, fetched: bool) -> Failure:
    """The failure that a stopped instance whose start AWS has granted is stopped again, with AWS's reason.

    It never ran, so that what was `fetched` from it before still is all.
    """
    if instance.reason_code.endswith(NO_ROOM):
        return _no_room_to_start(replace(instance, fetched=fetched), instance.reason)
    return Failure(
        f"{instance.where} stopped again while it started: {instance.reason or 'AWS gives no reason'}",
        hint=_hint(instance),
    )


def _still_alive(instance: Instance, is_lost: Callable[[Instance], bool]) -> Instance | None:
    """The same instance, None where it is lost. Raises Failure where it has ended, with AWS's reason."""
    if instance.state in ALIVE:
        return instance
    if is_lost(instance):
        return None
    raise Failure(
        f"{instance.where} ended while it started: {instance.reason or 'AWS gives no reason'}",
        hint=_hint(instance),
    )


def start(aws: Aws, instance: Instance) -> None:
    """Start a stopped instance. Raises Failure where AWS has no capacity for it now.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StartInstances.html
    """
    try:
        aws.start_instance(instance.id)
    except Exception as error:
        code = error_code(error)
        if code == "IncorrectInstanceState":  # another client was quicker
            return
        if code != NO_ROOM:
            raise
        raise _no_room_to_start(instance, error_text(error)) from error


def _no_room_to_start(instance: Instance, reason: str) -> Failure:
    """The failure that AWS has no room for a stopped instance in its zone, to which its disk binds it."""
    return Failure(
        f"AWS can't start {instance.where} now: {reason}",
        hint="try again later: nothing on its disk is lost. "
        + (
            "What it holds is here: `ec2tasks down` ends it, the next run launches where there is room"
            if instance.fetched
            else "--name another-name runs on a new one meanwhile"
        ),
    )


def end(
    aws: Aws,
    instance: Instance,
    final_state: FinalState,
    *,
    fetched: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Stop or terminate an instance; LEAVE leaves it. An instance that has ended already is no error.

    A stopped one whose results were `fetched` is tagged with its last start, so that it can be terminated
    without starting it again to look.
    """

    def ask() -> None:
        try:
            _request_end(aws, instance, final_state)
        except Exception as error:
            if not _may_pass(error) or not _has_ended(aws, instance, final_state):
                raise

    retry(ask, on=_may_pass, pauses=END_PAUSES, sleep=sleep)
    if final_state is FinalState.STOP and fetched:
        _tag_fetched(aws, instance)


def _request_end(aws: Aws, instance: Instance, final_state: FinalState) -> None:
    if final_state is FinalState.TERMINATE:
        aws.ec2.terminate_instances(InstanceIds=[instance.id])
    elif final_state is FinalState.STOP:
        aws.ec2.stop_instances(InstanceIds=[instance.id])


def _may_pass(error: Exception) -> bool:
    """AWS may not know an instance yet that it has just launched, and does not stop one that is starting."""
    return error_code(error) in ("InvalidInstanceID.NotFound", "IncorrectInstanceState")


def _has_ended(aws: Aws, instance: Instance, final_state: FinalState) -> bool:
    described = describe_instance(aws, instance.id)
    return described is not None and described.state in STATES_AFTER[final_state]


def _tag_fetched(aws: Aws, instance: Instance) -> None:
    """Without the right to, the instance has stopped all the same."""
    tag = {"Key": FETCHED_TAG, "Value": instance.launched.isoformat()}
    try:
        aws.made.ask(lambda: aws.ec2.create_tags(Resources=[instance.id], Tags=[tag]))  # type: ignore[list-item]
    except Exception as error:
        if not warn_if_denied(error, "`down` will start it again to look for results"):
            raise
