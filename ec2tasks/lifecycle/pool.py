"""A pool of machines, `NAME-1 … NAME-K`: each run takes a free one, by a lock that the kernel frees."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from ec2tasks.aws.capacity import NoCapacityError
from ec2tasks.base import hints
from ec2tasks.base.retry import ticks
from ec2tasks.base.state import drop_cached, lock, read_cached, write_cached
from ec2tasks.base.waiting import waiting
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.find import remembered_instance

CLOSED = 120.0  # seconds in which nothing is launched once AWS has refused to
LOOK = 0.5  # seconds between two looks for a free machine


def order(granted: Collection[int], size: int, *, launches: bool) -> list[int]:
    """The numbers of the machines to take, in this order: those that are there first. Pure.

    `granted` are there; `launches`: the others may be asked for.
    """
    there = [number for number in range(1, size + 1) if number in granted]
    return there + [number for number in range(1, size + 1) if launches and number not in granted]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Up to `size` machines of a project, as this machine knows them."""

    context: CallContext
    size: int
    clock: Callable[[], float] = time.time

    def machine(self, number: int) -> CallContext:
        """The context of the same call on the machine of this number."""
        settings = self.context.settings
        return replace(self.context, settings=replace(settings, name=f"{settings.name}-{number}"))

    def granted(self) -> list[int]:
        """The numbers of the machines that are there, as far as is remembered here."""
        numbers = range(1, self.size + 1)
        return [number for number in numbers if remembered_instance(self.machine(number))]

    @contextlib.contextmanager
    def taken(self, refused: NoCapacityError | None = None) -> Iterator[CallContext]:
        """Take a free machine while inside, after waiting for one; the context of a call on it.

        Hints name it inside. Raises `refused`, AWS's last word, where there is none left to wait for.
        """
        with contextlib.ExitStack() as stack, hints.scope():
            machine = self._take(stack, refused)
            hints.name_instance({**hints.named_instance(), "name": machine.settings.name})
            yield machine

    def _take(self, stack: contextlib.ExitStack, refused: NoCapacityError | None) -> CallContext:
        with waiting(f"a free machine: {len(self._there())} of {self.size} granted"):
            for _ in ticks(every=LOOK):
                granted = self.granted()
                launches = self.launches or not (granted or refused)
                for number in order(granted, self.size, launches=launches):
                    if self._lock(number, stack):
                        return self.machine(number)
                if refused and not self._there():
                    raise refused
        raise AssertionError("unreachable")

    def _lock(self, number: int, stack: contextlib.ExitStack) -> bool:
        """Hold the lock of a machine until the stack ends, where nobody else holds it."""
        with contextlib.ExitStack() as attempt:
            held = attempt.enter_context(lock(self.context.state, self._lock_name(number), patience=0))
            if held:
                stack.push(attempt.pop_all())
        return held

    def free(self) -> list[CallContext]:
        """The contexts of the machines that no run here has taken."""
        return [self.machine(number) for number in range(1, self.size + 1) if self._is_free(number)]

    def _is_free(self, number: int) -> bool:
        with contextlib.ExitStack() as looking:
            return self._lock(number, looking)

    def _there(self) -> set[int]:
        """The numbers of the machines that are there, or that a run is about to have."""
        numbers = range(1, self.size + 1)
        return {*self.granted(), *(number for number in numbers if not self._is_free(number))}

    def _lock_name(self, number: int) -> str:
        return f"machine-{self.machine(number).key}"

    @property
    def _memory(self) -> str:
        return f"pool-{self.context.key}"

    @property
    def launches(self) -> bool:
        """Whether AWS may be asked for machines that are not there: not so soon after it has refused one."""
        closed = (read_cached(self.context.state, self._memory) or {}).get("closed")
        return not isinstance(closed, (int, float)) or not 0 <= self.clock() - closed < CLOSED

    def close(self, machine: CallContext) -> None:
        """Take down that AWS refuses this machine, and would any other: nothing is launched for a while."""
        drop_cached(machine.state, machine.key)
        write_cached(self.context.state, self._memory, {"closed": self.clock()})
