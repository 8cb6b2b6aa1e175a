"""The ports that go over the control connection: opened, closed, and opened again after it broke.

By ssh's own control commands, `-O forward` and `-O cancel` (https://man.openbsd.org/ssh#O). It tells nobody
what it forwards; so that is kept beside its socket, with the processes here that want it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import Limits
from ec2tasks.base.process import Tools
from ec2tasks.base.writable import writing
from ec2tasks.ssh.host import Host, ssh_options
from ec2tasks.ssh.ports import check_ports_free, destination, listen_address, with_address

CONNECTION = 0  # in place of a process: wanted for as long as the control connection stands
QUICK = Limits(seconds=15.0)  # what listens on the instance is asked for there
PID = re.compile(rb"\(pid=(\d{1,9})\)")


@dataclass(frozen=True, order=True, kw_only=True)
class Forward:
    """A port that is forwarded as ssh takes it: -L to here or -R to there, with `[BIND:]PORT:HOST:PORT`."""

    option: str = "-L"
    spec: str

    @property
    def words(self) -> tuple[str, str]:
        """The forward as it was asked for."""
        return self.option, self.spec

    @property
    def argv(self) -> tuple[str, str]:
        """The forward for ssh: a port here is opened on the address that is said of it, or not at all."""
        return self.option, with_address(self.spec) if self.option == "-L" else self.spec

    @property
    def way(self) -> tuple[object, ...]:
        """What is the same for two forwards that are one, however they were asked for."""
        ends = (listen_address(self.spec), destination(self.spec)) if self.option == "-L" else ()
        return self.option, *(ends or [self.spec])

    def leads_to(self, port: int) -> bool:
        """Whether this port of the instance itself is what it brings here."""
        return self.option == "-L" and destination(self.spec) == ("localhost", port)


@dataclass(kw_only=True)
class Kept:
    """What is open over the control connection of that process id, 0 for none, and who wants it."""

    master: int = 0
    holders: dict[Forward, set[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Kept:
        """What stands in the file; nothing where it can't be read."""
        try:
            content = json.loads(text or "{}")
            holders = {
                Forward(option=option, spec=spec): {int(pid) for pid in pids}
                for option, spec, pids in content.get("forwards", [])
            }
            return cls(master=int(content.get("master", 0)), holders=holders)
        except (ValueError, TypeError, AttributeError):
            return cls()

    def text(self) -> str:
        """The same as the text of a file."""
        forwards = [[*one.words, sorted(pids)] for one, pids in sorted(self.holders.items())]
        return json.dumps({"master": self.master, "forwards": forwards}) if forwards else ""

    def find(self, wanted: Forward) -> Forward:
        """The forward as it is kept already, else as it is."""
        return next((one for one in self.holders if one.way == wanted.way), wanted)

    def settle(self, master: int, alive: Callable[[int], bool]) -> list[Forward]:
        """Drop what nobody wants any more; returns what of it is still open.

        What the connection alone holds goes with it, unless a call is about to open it again.
        """
        came_back = any(pid and alive(pid) for pids in self.holders.values() for pid in pids)
        keeps_own = self.master == master or came_back
        for pids in self.holders.values():
            pids.difference_update({pid for pid in pids if not (alive(pid) if pid else keeps_own)})
        return self.drop(master)

    def drop(self, master: int) -> list[Forward]:
        """Take out what nobody holds; returns what of it is still open."""
        unwanted = [one for one, pids in self.holders.items() if not pids]
        for one in unwanted:
            del self.holders[one]
        return unwanted if self.master == master else []


def is_alive(pid: int) -> bool:
    """Whether a process of this user's runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # another user's, which has the number now
    return True


def _path(host: Host) -> Path:
    return host.sockets / f"ports-{host.instance_id}"


@contextlib.contextmanager
def _changed(host: Host) -> Iterator[Kept]:
    """What is kept of this host's forwards, for this process alone until it is written back."""
    with writing(_path(host)):
        _path(host).touch(mode=0o600)
    with writing(_path(host)), _path(host).open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = Kept.read(file.read())
        try:
            yield kept
        finally:
            file.seek(0)
            file.write(kept.text())
            file.truncate()  # last: whoever looks at its size alone never finds it empty in between


def open_here(host: Host, tools: Tools) -> Mapping[Forward, Collection[int]]:
    """What is forwarded over the control connection that stands, with the processes that want it."""
    try:
        with _path(host).open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            kept = Kept.read(file.read())
    except FileNotFoundError:
        return {}
    return kept.holders if kept.holders and kept.master == master_pid(host, tools) else {}


def master_pid(host: Host, tools: Tools) -> int:
    """The process id of the control connection, 0 where none stands."""
    said = tools.capture(["ssh", *ssh_options(host), "-O", "check", host.login], limits=QUICK)
    found = PID.search(said.stderr + said.stdout)
    return int(found[1]) if found and said.returncode == 0 else 0


def forward(host: Host, tools: Tools, wanted: Sequence[Forward], *, holder: int | None = None) -> None:
    """Forward these over the control connection, for this process or that holder; once is enough.

    Raises Failure where a port is taken or may not be opened; then none of them is open for this holder.
    """
    if not wanted and not _is_kept(host):
        return
    holder = os.getpid() if holder is None else holder
    with _changed(host) as kept:
        master = master_pid(host, tools)
        _control(host, tools, "cancel", kept.settle(master, is_alive))
        kept.master = master
        wanted = [kept.find(one) for one in wanted]
        for one in wanted:
            kept.holders.setdefault(one, set()).add(holder)
        try:
            for one in wanted:
                _open(host, tools, one)
        except Failure:
            for one in wanted:
                kept.holders[one].discard(holder)
            _control(host, tools, "cancel", kept.drop(master))
            raise


def forward_again(host: Host, tools: Tools) -> list[Forward]:
    """Forward over a new control connection what went over the one that broke; returns what can't be.

    That is kept no longer: its port belongs to another program by now.
    """
    if not _is_kept(host):
        return []
    with _changed(host) as kept:
        before, kept.master = kept.master, master_pid(host, tools)
        if kept.master == before:
            return []
        lost = [one for one in sorted(kept.holders) if not _control(host, tools, "forward", [one])]
        for one in lost:
            del kept.holders[one]
        return lost


def stop_forwarding(host: Host, tools: Tools, wanted: Sequence[Forward]) -> None:
    """Close what this process has opened and nobody else wants."""
    if not wanted or not _is_kept(host):
        return
    with _changed(host) as kept:
        for one in wanted:
            kept.holders.get(kept.find(one), set()).discard(os.getpid())
        _control(host, tools, "cancel", kept.drop(kept.master))


def forget_forwards(host: Host) -> None:
    """Drop what is kept of an instance that is gone."""
    _path(host).unlink(missing_ok=True)


def _is_kept(host: Host) -> bool:
    try:
        return _path(host).stat().st_size > 0
    except FileNotFoundError:
        return False


def _open(host: Host, tools: Tools, wanted: Forward) -> None:
    if _control(host, tools, "forward", [wanted]):
        return
    option, spec = wanted.words
    if option == "-L":
        check_ports_free([spec])  # says why
    raise Failure(
        f"ssh does not open {option} {spec}",
        hint="is that port taken on the instance, or under 1024? `ec2tasks ports` lists what listens there",
    )


def _control(host: Host, tools: Tools, command: str, forwards: Sequence[Forward]) -> bool:
    """Have the control connection open or close these; whether it did."""
    if not forwards:
        return True
    words = [word for one in forwards for word in one.argv]
    argv = ["ssh", *ssh_options(host), "-O", command, *words, host.login]
    return tools.capture(argv, limits=QUICK).returncode == 0
