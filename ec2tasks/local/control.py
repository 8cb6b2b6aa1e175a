"""Starts, ends and asks the local EC2. Light to import: moto is the server's alone."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ec2tasks.base.endpoint import Endpoint
from ec2tasks.base.errors import Failure
from ec2tasks.local import faults as fault_names
from ec2tasks.local import requirements
from ec2tasks.local.layout import ACCESS_KEY, Layout, make_private, this_layout
from ec2tasks.local.tree import remove_tree

SSH_PORT = 22022
UP_SECONDS = 30
DOWN_SECONDS = 20
ASK_SECONDS = 10
LOG_LINES = 5


@dataclass(frozen=True, kw_only=True)
class LocalInstance:
    """An instance of the local EC2 that is not ended for good."""

    id: str
    name: str
    state: str
    type: str
    region: str
    address: str


@dataclass(frozen=True, kw_only=True)
class LocalStatus:
    """A local EC2 that runs."""

    url: str
    folder: str
    pid: int
    ssh_port: int
    instances: tuple[LocalInstance, ...]


def endpoint(server: Mapping[str, Any]) -> Endpoint:
    """The local EC2 of that server file as the endpoint that the rest of ec2tasks works with."""
    return Endpoint(
        name="local",
        api_url=server["url"],
        access_key=ACCESS_KEY,
        secret_key=server["secret_key"],
        ssh_port=server["ssh_port"],
        answer_seconds=60,  # this machine may be busy with what its instances do
        address_urls=(f"{server['url']}/_ec2/address",),
    )


def server_argv(layout: Layout, port: int, ready_fd: int) -> list[str]:
    """The daemon's command."""
    module = ["-m", "ec2tasks.local.server"]
    return [sys.executable, *module, str(layout.root), str(port), str(SSH_PORT), str(ready_fd)]


def server_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without what concerns real AWS: a broken profile must not end the server."""
    kept = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    return {**kept, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@contextmanager
def _one_at_a_time(layout: Layout, seconds: float) -> Iterator[None]:
    """Hold the right to start or end the server."""
    deadline = time.monotonic() + seconds
    with layout.start_lock.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Failure(
                        f"another command has been starting or ending the local EC2 for {seconds:.0f} s",
                        hint=f"fuser -v {layout.start_lock}",
                    ) from None
                time.sleep(0.02)
        yield


def _server_pid(layout: Layout) -> int | None:
    """The pid of the server that holds the lock; None when there is none."""
    try:
        lock = layout.server_lock.open()
    except OSError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = lock.read().strip()
            return int(text) if text.isdigit() else 0
        return None


def _server_info(layout: Layout) -> dict[str, Any] | None:
    """What the running server has written of itself; None when there is none or it isn't ready."""
    pid = _server_pid(layout)
    if pid is None:
        return None
    try:
        info: dict[str, Any] = json.loads(layout.server_file.read_text())
    except (OSError, ValueError):
        return None
    return info if info.get("pid") == pid else None


def _get(server: Mapping[str, Any], path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server["port"], timeout=ASK_SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {server['secret_key']}"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _log_tail(layout: Layout) -> list[str]:
    try:
        lines = layout.log.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return lines[-LOG_LINES:]


def _start(layout: Layout, port: int) -> None:
    """Start the daemon and wait until it says that it is ready, or has ended."""
    ready, daemon_end = os.pipe()
    try:
        process = _spawn(layout, port, daemon_end)
        readable, _, _ = select.select([ready], [], [], UP_SECONDS)
        is_ready = bool(readable and os.read(ready, 16))
    finally:
        os.close(ready)
    if is_ready:
        # It lives on without us: nobody is to wait for it, or to warn that nobody does.
        process.returncode = 0
        return
    process.kill()
    process.wait()
    raise Failure(
        "the local EC2 did not start; the end of its log:",
        lines=_log_tail(layout),
        hint=f"less {layout.log}",
    )


def _spawn(layout: Layout, port: int, ready_fd: int) -> subprocess.Popen[bytes]:
    try:
        with layout.log.open("wb") as log:
            return subprocess.Popen(
                server_argv(layout, port, ready_fd),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=server_environment(os.environ),
                start_new_session=True,
                pass_fds=(ready_fd,),
            )
    finally:
        os.close(ready_fd)


def _check_port(server: dict[str, Any], port: int | None) -> None:
    if port is not None and server["port"] != port:
        raise Failure(
            f"the local EC2 runs already, on port `{server['port']}` and not on `{port}`",
            hint="ec2tasks local.down",
        )


def up(*, port: int | None = None) -> Endpoint:
    """Start the local EC2 unless it runs; return its endpoint once it answers.

    `port` is the AWS API's; by default one that is free. Whatever is missing is a Failure that says what
    to install. Any number of processes may call this at once: they get the same server.
    """
    layout = this_layout()
    server = _server_info(layout)
    if server is None:
        requirements.check_programs()
        make_private(layout, requirements.GUEST_ID)
        with _one_at_a_time(layout, UP_SECONDS):
            server = _server_info(layout)
            if server is None:
                requirements.check_sandbox(layout.root, os.geteuid())
                requirements.warn_if_no_network()
                _start(layout, port or 0)
                server = _server_info(layout)
    if server is None:
        raise Failure(
            "the local EC2 ended right after its start; the end of its log:",
            lines=_log_tail(layout),
            hint=f"less {layout.log}",
        )
    _check_port(server, port)
    return endpoint(server)


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _wait_until_ended(layout: Layout, seconds: float) -> bool:
    """Whether the server has ended within so many seconds."""
    deadline = time.monotonic() + seconds
    while _server_pid(layout) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def down() -> bool:
    """End all instances and the server; True if there was one. Faults end, and disks are deleted, with it.

    A server that was killed leaves nothing running (its hosts die with it); this removes its files.
    """
    layout = this_layout()
    if not layout.root.is_dir():
        return False
    with _one_at_a_time(layout, UP_SECONDS):
        pid = _server_pid(layout)
        if pid:
            _kill(pid, signal.SIGTERM)
            if not _wait_until_ended(layout, DOWN_SECONDS):
                _kill(pid, signal.SIGKILL)
                _wait_until_ended(layout, DOWN_SECONDS)
        layout.server_file.unlink(missing_ok=True)
        layout.faults.unlink(missing_ok=True)
        remove_tree(layout.instances)
        return pid is not None


def running() -> Endpoint | None:
    """The endpoint of the local EC2 that runs, None where none does; nothing is started."""
    server = _server_info(this_layout())
    return endpoint(server) if server else None


def status() -> LocalStatus | None:
    """The local EC2 that runs, with its instances; None when none does."""
    layout = this_layout()
    server = _server_info(layout)
    if server is None:
        return None
    try:
        health = json.loads(_get(server, "/_ec2/health"))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    instances = tuple(LocalInstance(**instance) for instance in health["instances"])
    return LocalStatus(
        url=server["url"],
        folder=str(layout.root),
        pid=server["pid"],
        ssh_port=server["ssh_port"],
        instances=instances,
    )


def set_faults(values: Mapping[str, Any] | None) -> None:
    """Set the faults by name, in place of those before; None or nothing ends all.

    See `ec2tasks.local.faults` for the names. A name or value that can't be is a UsageError, and nothing
    changes.
    """
    fault_names.parse(values)
    layout = this_layout()
    make_private(layout, requirements.GUEST_ID)
    draft: Path = layout.faults.with_suffix(".new")
    draft.write_text(json.dumps(dict(values or {}), indent=2))
    draft.replace(layout.faults)
    server = _server_info(layout)
    if server is not None:
        _get(server, "/_ec2/faults")


def current_faults() -> dict[str, Any]:
    """The faults that are set, by name, as they were written."""
    try:
        values: dict[str, Any] = json.loads(this_layout().faults.read_text())
    except (OSError, ValueError):
        return {}
    return values
