"""Compares a host key that was taken at first sight with AWS's console, beside the work."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import field, replace

from ec2tasks.aws.errors import explain
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import start_thread
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.outcome import End, Outcome
from ec2tasks.ssh.connect import close_master
from ec2tasks.ssh.host import Host
from ec2tasks.ssh.host_keys import Pin, Verdict, compare_with_console, keys_at_first_sight, pin_of

# Seconds before each look, ten minutes in all: what is not built on Nitro shows its console minutes later.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-console.html
PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, *((30.0,) * 19))
OUT_OF_THE_WAY = 1.0  # seconds: what asks AWS nothing else is not held up by loading boto3


class WrongHostKeyError(Failure):
    """Who answers is not the instance that AWS knows."""


@dataclass(kw_only=True)
class HostKeyCheck:
    """One comparison, of the keys that were `met`. `ends`: what ends where the console shows another.

    The control connection does so anyway.
    """

    context: CallContext
    host: Host
    met: frozenset[str] = frozenset()
    verdict: Verdict = Verdict.UNKNOWN
    ends: list[Callable[[], object]] = field(default_factory=list)

    def look(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Ask for the console until it shows the host key; another one ends the connection at once."""
        for pause in PAUSES:
            sleep(pause)
            self.verdict = self._ask()
            if self.verdict is not Verdict.UNKNOWN:
                break
        if self.verdict is Verdict.OTHER:
            close_master(self.host, self.context.tools)
            for end in self.ends:
                end()

    def _ask(self) -> Verdict:
        try:
            return compare_with_console(
                self.context.aws, self.host, self.context.tools, met=self.met, quiet=True
            )
        except Exception as error:
            if explain(error) is None and not isinstance(error, Failure):
                raise
            return Verdict.UNKNOWN

    def hold(self) -> None:
        """Raise WrongHostKeyError where the key has turned out to be another."""
        if self.verdict is Verdict.OTHER:
            raise WrongHostKeyError(
                f"the host key taken at first sight for {self.host.instance_id} is not the one on AWS's"
                " console: someone may be in between. The connection is ended, and nothing is sent any more",
                hint="what was sent until now may be in other hands, tokens of forward_env above all: change"
                " those; `ec2tasks down --no-rsync` ends the instance; strict_host_keys: true sends nothing"
                " before the console has shown the key",
            )


def check_host_key(context: CallContext, host: Host, known: HostKeyCheck | None) -> HostKeyCheck | None:
    """Say that a host key was taken at first sight, and begin to compare it; None where there is no need.

    `known` is the comparison that this call has begun before.
    """
    if known or not tell_first_sight(host):
        return known
    check = HostKeyCheck(context=context, host=host, met=keys_at_first_sight(host))
    start_thread(_begin, check)
    return check


def tell_first_sight(host: Host) -> bool:
    """Say that a host key was taken at first sight; whether it was."""
    if pin_of(host) is not Pin.FIRST_SIGHT:
        return False
    output.step(
        f"the host key of {host.instance_id} was taken at first sight: AWS's console has not shown it yet"
    )
    return True


def _begin(check: HostKeyCheck) -> None:
    if "boto3" not in sys.modules:
        time.sleep(OUT_OF_THE_WAY)
    check.look()


def judged(check: HostKeyCheck | None, outcome: Outcome) -> Outcome:
    """How the work went, by what the comparison has found: another host key is the failure to tell."""
    if check is None:
        return outcome
    if check.verdict is Verdict.SAME:
        output.step("the host key is the one that AWS's console shows")
    try:
        check.hold()
    except WrongHostKeyError as error:
        error.__cause__ = outcome.failure if outcome.failure is not error else None
        return replace(outcome, end=End.FAILED, failure=error)
    return outcome


@contextlib.contextmanager
def held_to_console(check: HostKeyCheck | None, end: Callable[[], object]) -> Iterator[None]:
    """While inside, call `end` once the key turns out to be another; then raise WrongHostKeyError."""
    if check is None:
        yield
        return
    check.ends.append(end)
    if check.verdict is Verdict.OTHER:  # it has been seen before that was there to be ended
        end()
    try:
        yield
    finally:
        check.hold()
