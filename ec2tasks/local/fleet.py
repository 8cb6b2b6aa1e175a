"""Hosts follow the instances: observe what the account says and what runs, decide, act.

moto changes an instance's state at once; a host takes its time. So the state that moto set is read as the
target, and the state shown is the host's: `pending` until SSH answers, `stopped` once all has ended.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial

from ec2tasks.base import peer
from ec2tasks.local import cloud, keys, vpc
from ec2tasks.local.faults import FaultFile
from ec2tasks.local.host import Guest, spawn
from ec2tasks.local.layout import Layout
from ec2tasks.local.metadata import Facts, MetadataService
from ec2tasks.local.network import Wire
from ec2tasks.local.phases import TARGET_STATES, Action, Phase, decide, ends_for_good
from ec2tasks.local.relay import Relay, addresses, bind_free_address
from ec2tasks.local.rootfs import REBOOT_CODE, Folders, HostSpec
from ec2tasks.local.tree import remove_tree


@dataclass(kw_only=True)
class Machine:
    """The host of one instance, from boot to end: its phase, public address and current boot."""

    id: str
    relay: Relay | None
    phase: Phase = Phase.BOOTING
    guest: Guest | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    told_to_end: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)


class Fleet:
    """All hosts. `lock` is held around every call that reads or changes instances."""

    def __init__(
        self, layout: Layout, faults: FaultFile, *, ssh_port: int, api: tuple[str, int], uid: int
    ) -> None:
        self.lock = threading.RLock()
        self._layout = layout
        self._faults = faults
        self._ssh_port = ssh_port
        self._api = api
        self._uid = uid
        self._pool = addresses()
        self._wire = Wire(spawn=spawn, uid=uid)
        self._machines: dict[str, Machine] = {}
        self._credentials = keys.Credentials()
        self._interruptions: dict[str, Mapping[str, str]] = {}
        self._closing = False

    # Observe, decide, act.

    def converge(self) -> None:
        """Make hosts follow the account, and the account show what is so."""
        with self.lock:
            for record in cloud.records():
                machine = self._machines.get(record.id)
                phase = machine.phase if machine else Phase.ABSENT
                disk = self._folders(record.id).root.exists()
                state, action = decide(record.state, phase, disk=disk)
                if state != record.state:
                    cloud.set_state(record.id, state)
                if action is Action.BOOT and not self._closing:
                    self._boot(record)
                elif action is Action.END and machine is not None:
                    self._end(machine)
                elif action is Action.DELETE:
                    remove_tree(self._folders(record.id).root)
            self._follow_wire()

    def _boot(self, record: cloud.Record) -> None:
        # One without a public address is reached at its private one, as from a company's network.
        address, sock = bind_free_address(self._pool, self._ssh_port)
        vpc.set_address(record.id, address, public=record.public)
        relay = Relay(sock, self._faults, admits=peer.is_own)
        machine = Machine(id=record.id, relay=relay)
        self._machines[record.id] = machine
        act = partial(self._run, machine, self._spec(record))
        if self._faults.current().takes_back(record.instance_type, record.zone):
            act = partial(self._take_back, machine)
        threading.Thread(target=act, name=record.id, daemon=True).start()

    def _take_back(self, machine: Machine) -> None:
        """End what has no room after all: what was launched is terminated, what was started stopped again."""
        machine.told_to_end.wait(self._faults.current().boot_seconds)
        if machine.relay is not None:
            machine.relay.close()
        with self.lock:
            self._machines.pop(machine.id, None)
            code, message = (
                "Server.InsufficientInstanceCapacity",
                "Insufficient capacity",
            )
            launched = not self._folders(machine.id).root.exists()
            cloud.end_instance(machine.id, terminate=launched, code=code, message=message)
            self.converge()
        machine.ended.set()

    def _end(self, machine: Machine) -> None:
        machine.phase = Phase.ENDING
        machine.told_to_end.set()
        if machine.guest is not None:
            threading.Thread(target=machine.guest.end, daemon=True).start()

    def _folders(self, instance_id: str) -> Folders:
        return Folders(root=self._layout.instances / instance_id)

    def _spec(self, record: cloud.Record) -> HostSpec:
        login, family = cloud.login(record.id, record.region)
        return HostSpec(
            instance_id=record.id,
            hostname=cloud.hostname(record.id),
            login=login,
            region=record.region,
            folders=self._folders(record.id),
            tools=self._layout.guest,
            caches=self._layout.caches(family),
            interface=vpc.interface(record.id),
            public_key=cloud.key_text(record.id),
            user_data=cloud.user_data(record.id),
        )

    # The life of a host, in a thread of its own.

    def _run(self, machine: Machine, spec: HostSpec) -> None:
        code: int | None = REBOOT_CODE
        up = False
        machine.told_to_end.wait(self._faults.current().boot_seconds)
        try:
            while code == REBOOT_CODE and not machine.told_to_end.is_set():
                code, answered = self._one_boot(machine, spec)
                up = up or answered
        except OSError as error:
            code, _ = None, print(f"{machine.id}: {error}", flush=True)  # noqa: T201  # the server's log
        if machine.relay is not None:
            machine.relay.close()
        self._ended(machine, failed=not up)

    def _one_boot(self, machine: Machine, spec: HostSpec) -> tuple[int | None, bool]:
        guest = Guest(spec, home_mb=self._faults.current().disk_full_mb, uid=self._uid)
        services: list[MetadataService | Relay] = []
        try:
            metadata, api = guest.open_network()
            services.append(MetadataService(metadata, lambda: self._facts(machine.id)))
            services.append(self._api_relay(api))
            self._join(spec, guest)
            guest.start()
            with self.lock:
                machine.guest = guest
                told_to_end = machine.told_to_end.is_set()
            answered = not told_to_end and guest.wait_for_ssh()
            if answered:
                self._ssh_answers(machine, guest)
            else:
                guest.kill()
            return guest.wait(), answered
        finally:
            with self.lock:
                machine.guest = None
                self._wire.leave(machine.id)
            if machine.relay is not None:
                machine.relay.pause()
            for service in services:
                service.close()
            guest.close()

    def _follow_wire(self) -> None:
        self._wire.follow(vpc.hosts(self._wire.members, self._faults.current().side_of))

    def _join(self, spec: HostSpec, guest: Guest) -> None:
        """Connect an instance that boots to the others."""
        if isinstance(guest.device, str):
            print(f"{spec.instance_id}: no way to other instances: {guest.device}", flush=True)  # noqa: T201
            return
        with self.lock:
            self._wire.join(spec.instance_id, guest.device, spec.folders.etc / "hosts")
            self._follow_wire()

    def _api_relay(self, listener: socket.socket) -> Relay:
        """The AWS API, as the instance reaches it."""
        relay = Relay(listener, FaultFile(self._layout.root / "none"))
        relay.open(lambda: socket.create_connection(self._api))
        return relay

    def _ssh_answers(self, machine: Machine, guest: Guest) -> None:
        with self.lock:
            if machine.phase is Phase.BOOTING:
                machine.phase = Phase.UP
            if machine.relay is not None and machine.phase is Phase.UP:
                machine.relay.open(guest.connect)
            self.converge()

    def _ended(self, machine: Machine, *, failed: bool) -> None:
        with self.lock:
            self._machines.pop(machine.id, None)
            record = next((record for record in cloud.records() if record.id == machine.id), None)
            if record is not None and not self._closing and TARGET_STATES[record.state] == "running":
                self._end_in_account(record, by_itself=not machine.told_to_end.is_set(), failed=failed)
            self.converge()
        machine.ended.set()

    def _end_in_account(self, record: cloud.Record, *, by_itself: bool, failed: bool) -> None:
        if failed and by_itself:
            code, message = "Server.InternalError", "Internal error on launch"
            cloud.end_instance(record.id, terminate=True, code=code, message=message)
        elif by_itself:
            code, message = "Client.InstanceInitiatedShutdown", "Instance initiated shutdown"
            for_good = ends_for_good(record.behavior, spot=record.spot)
            cloud.end_instance(record.id, terminate=for_good, code=code, message=message)

    # What calls and faults ask for.

    def reboot(self, instance_ids: list[str]) -> None:
        """Boot these again: same disk, same address, `running` all the while."""
        with self.lock:
            for instance_id in instance_ids:
                machine = self._machines.get(instance_id)
                if machine is not None and machine.guest is not None:
                    machine.guest.request("reboot")

    def console(self, instance_id: str) -> bytes:
        """The last 64 KiB of the instance's console; empty before its first boot, and while it is late."""
        machine, late = self._machines.get(instance_id), self._faults.current().console_late
        if machine and time.monotonic() - machine.began < late:
            return b""
        try:
            return self._folders(instance_id).console.read_bytes()[-65536:]
        except OSError:
            return b""

    def follow_faults(self) -> None:
        """Do what the faults ask for at once: cuts, drops and interruptions."""
        with self.lock:
            relays = [machine.relay for machine in self._machines.values() if machine.relay is not None]
            drop = self._faults.drops_ssh()
            for relay in relays:
                relay.follow_faults()
                if drop:
                    relay.drop()
            self._follow_wire()
            for record in cloud.records():
                if record.spot and record.state == "running" and self._faults.current().announces(record.id):
                    self._announce(record.id)
                if self._faults.current().loses(record.id):
                    self._lose(record.id)

    def _lose(self, instance_id: str) -> None:
        """Pull an instance's plug: nothing in it has time for anything."""
        machine = self._machines.get(instance_id)
        if machine is None or machine.guest is None or machine.phase is not Phase.UP:
            return
        code, message = "Server.InternalError", "Internal error"
        cloud.end_instance(instance_id, terminate=True, code=code, message=message)
        machine.guest.kill()
        self.converge()

    def _announce(self, instance_id: str) -> None:
        if instance_id in self._interruptions:
            return
        seconds = self._faults.current().spot_seconds
        at = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        self._interruptions[instance_id] = {"action": "terminate", "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        timer = threading.Timer(seconds, self._interrupt, args=(instance_id,))
        timer.daemon = True
        timer.start()

    def _interrupt(self, instance_id: str) -> None:
        with self.lock:
            if instance_id not in self._machines or not self._faults.current().announces(instance_id):
                self._interruptions.pop(instance_id, None)
                return
            code, message = "Server.SpotInstanceTermination", "Spot instance termination"
            cloud.end_instance(instance_id, terminate=True, code=code, message=message)
            self.converge()

    def _facts(self, instance_id: str) -> Facts:
        with self.lock:
            return cloud.facts(instance_id, self._credentials, self._interruptions.get(instance_id))

    def machines(self) -> list[dict[str, str]]:
        """The instances that are not ended for good, for `status`."""
        with self.lock:
            present = [record for record in cloud.records() if record.state != "terminated"]
        return [
            {
                "id": record.id,
                "name": record.tags.get("Name", ""),
                "state": record.state,
                "type": record.instance_type,
                "region": record.region,
                "address": record.public_ip or "",
            }
            for record in present
        ]

    def close(self, seconds: float = 5) -> None:
        """End all hosts; nothing boots from now on."""
        with self.lock:
            self._closing = True
            machines = list(self._machines.values())
            for machine in machines:
                self._end(machine)
        for machine in machines:
            machine.ended.wait(seconds)
        with self.lock:
            self._wire.close()
