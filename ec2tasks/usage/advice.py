"""What another run of the same might do better on: at most one thing, by what was measured; pure."""

from __future__ import annotations

from collections.abc import Mapping

from ec2tasks.base.dataclass import dataclass
from ec2tasks.usage.line import fullest, size_text
from ec2tasks.usage.summary import Summary

FROM = 300.0  # seconds that a job must have run
FULL, GPU_FULL = 0.9, 0.95  # shares of memory or disk
IDLE_GPU, WAITING_GPU, BUSY_CPU = 0.01, 0.5, 0.9
HALF = 0.45  # of processors and memory, which half a machine would hold
SIZES = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")  # each twice the one before
# Families of one GPU in each of these sizes, and the family with more GPU memory in the same size.
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
ONE_GPU = {"g4dn": "g6", "g5": "g6e", "g6": "g6e"}
GPU_SIZES, PLAIN_SIZES = SIZES[1:], SIZES[:4]
PLAIN_FAMILY = "m7i"  # with the same processors and memory in each size


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a job ran on: its type, and what types cost an hour in dollars, as far as that is known."""

    type: str
    prices: Mapping[str, float]

    @property
    def family(self) -> str:
        """The type without its size."""
        return self.type.partition(".")[0]

    def resized(self, steps: int) -> str | None:
        """The type so many sizes up or down, each twice the one before; None for none that is known."""
        size = self.type.partition(".")[2]
        sizes = GPU_SIZES if self.family in ONE_GPU else PLAIN_SIZES
        if size not in sizes or not 0 <= sizes.index(size) + steps < len(sizes):
            return None
        return f"{self.family}.{sizes[sizes.index(size) + steps]}"

    def of_family(self, family: str | None) -> str | None:
        """The type of the same size in another family; None for none that is known."""
        return f"{family}.{self.type.partition('.')[2]}" if family and self.family in ONE_GPU else None

    def named(self, other: str | None, instead: str) -> str:
        """A type as it is typed, with what it costs beside this one where that is known; else in words."""
        if other is None:
            return instead
        price, own = self.prices.get(other), self.prices.get(self.type)
        if price is None:
            return f"`--type {other}`"
        return f"`--type {other}` (${price:.2f} an hour{f', this one ${own:.2f}' if own else ''})"


def advise(summary: Summary, machine: Machine, *, seconds: float) -> str | None:
    """The one thing to say of a job of so many seconds; None where nothing stands out, or it was short."""
    if seconds < FROM:
        return None
    return _of_what_is_full(summary, machine) or _of_gpus(summary, machine) or _of_size(summary, machine)


def _of_what_is_full(summary: Summary, machine: Machine) -> str | None:
    """Memory or disk that was nearly used up: the next run may fail for it."""
    memory, disk, gpu = summary.memory, summary.disk, fullest(summary.gpus)
    if _over(memory.peak, summary.memory_total, FULL):
        more = machine.named(machine.resized(1), "a larger --type")
        return f"memory reached {size_text(memory.peak, summary.memory_total)}: {more} has more"
    if _over(disk.peak, summary.disk_total, FULL):
        return f"the disk reached {size_text(disk.peak, summary.disk_total)}: --disk-gb launches with more"
    if gpu and _over(gpu[0], gpu[1], GPU_FULL):
        more = machine.named(machine.of_family(ONE_GPU.get(machine.family)), "another --type")
        return f"gpu memory reached {size_text(*gpu)}: {more} has more, a smaller batch takes less"
    return None


def _over(used: float, total: float, share: float) -> bool:
    return total > 0 and used > share * total


def _of_gpus(summary: Summary, machine: Machine) -> str | None:
    """A GPU that is paid for and does little."""
    known = [gpu.utilisation for gpu in summary.gpus if gpu.utilisation]
    if not known or len(known) < len(summary.gpus):
        return None
    if max(used.peak for used in known) < IDLE_GPU:
        less = machine.named(machine.of_family(PLAIN_FAMILY), "a --type without one")
        return f"no GPU was used: {less} may do as well"
    mean = sum(used.mean for used in known) / len(known)
    if mean < WAITING_GPU and summary.cpu.mean > BUSY_CPU:
        more = machine.named(machine.resized(1), "a larger --type")
        shares = f"the GPU ran {mean * 100:.0f} % of the time, the processors {summary.cpu.mean * 100:.0f} %"
        return f"{shares}: it may wait for them; {more} has more of them"
    return None


def _of_size(summary: Summary, machine: Machine) -> str | None:
    """A machine of which less than half was used."""
    smaller = machine.resized(-1)
    if smaller is None or len(summary.gpus) > 1:
        return None
    if summary.cpu.peak > HALF or _over(summary.memory.peak, summary.memory_total, HALF):
        return None
    cpu, memory = summary.cpu.peak * 100, size_text(summary.memory.peak, summary.memory_total)
    return f"{machine.named(smaller, '')} may hold it: at most {cpu:.0f} % cpu, memory {memory}"
