"""The local EC2's daemon: `python -m ec2tasks.local.server FOLDER PORT SSH_PORT`, started by `control.up`.

It holds a lock for its life: whether a server runs is whether the lock is held, and no lock survives its
owner. It answers as soon as its port is open; calls wait for the moment that moto needs to load.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import resource
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from ec2tasks.base.state import write_atomically
from ec2tasks.local.faults import FaultFile
from ec2tasks.local.layout import ACCESS_KEY, Layout

if TYPE_CHECKING:
    from ec2tasks.local.api import Api
    from ec2tasks.local.fleet import Fleet

LOCK_SECONDS = 2
READY = b"ready\n"


class QuietHandler(WSGIRequestHandler):
    """Answers without a log line a request, and without waiting to fill a packet."""

    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: clients poll."""


class Application:
    """The WSGI application: our own paths at once, the AWS API once it is loaded.

    Every user of this machine and every instance can connect. So a request of AWS must be signed, and any
    other carry the secret key that only this user can read, but for the page of the caller's address.
    """

    def __init__(self, layout: Layout, faults: FaultFile, ssh_port: int, secret_key: str) -> None:
        self._layout = layout
        self._faults = faults
        self._secret_key = secret_key
        self._ssh_port = ssh_port
        self._loaded = threading.Event()
        self._api: Api | None = None
        self.fleet: Fleet | None = None

    def load(self, port: int) -> None:
        """Load the API; a failure here ends the server, with the reason in its log."""
        try:
            from ec2tasks.local.api import Api
            from ec2tasks.local.fleet import Fleet

            where = ("127.0.0.1", port)
            uid = os.geteuid()
            self.fleet = Fleet(self._layout, self._faults, ssh_port=self._ssh_port, api=where, uid=uid)
            self._api = Api(self.fleet, self._faults, {ACCESS_KEY: self._secret_key})
        except BaseException:  # noqa: BLE001  # whatever it is, nobody waits for this thread
            traceback.print_exc()
            os._exit(1)
        self._loaded.set()
        self._api.warm()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if path.startswith("/_ec2/"):
            return self._own_page(path.removeprefix("/_ec2/"), environ, start_response)
        self._loaded.wait()
        assert self._api is not None
        if path.startswith("/moto-api/") and self._has_secret(environ):
            return self._api.control_moto(environ, start_response)
        return self._api(environ, start_response)

    def _has_secret(self, environ: dict[str, Any]) -> bool:
        said = environ.get("HTTP_AUTHORIZATION", "").encode()
        return hmac.compare_digest(said, f"Bearer {self._secret_key}".encode())

    def _own_page(self, name: str, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        status, text = "200 OK", ""
        if name == "address":
            text = f"{environ.get('REMOTE_ADDR', '127.0.0.1')}\n"
        elif not self._has_secret(environ):
            status, text = "403 Forbidden", "this local EC2 is another user's: ec2tasks local.up\n"
        elif name == "health":
            text = self._health()
        elif name == "faults":
            text = self._follow()
        else:
            status, text = "404 Not Found", "no such page\n"
        kind = "application/json" if name == "health" else "text/plain"
        body = text.encode()
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    def _health(self) -> str:
        loaded = self._loaded.is_set()
        instances = self.fleet.machines() if loaded and self.fleet is not None else []
        return json.dumps({"pid": os.getpid(), "loaded": loaded, "instances": instances})

    def _follow(self) -> str:
        if self._loaded.is_set() and self.fleet is not None:
            self.fleet.follow_faults()
        return "ok\n"


def take_lock(layout: Layout) -> int | None:
    """The lock's file descriptor; None if another server holds it. Askers hold it for a moment each."""
    descriptor = os.open(layout.server_lock, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        else:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            return descriptor


def clear_leftovers(layout: Layout) -> None:
    """Remove what a server that was killed left behind, and lay out the guest's programs anew."""
    from ec2tasks.local.tree import remove_tree

    layout.server_file.unlink(missing_ok=True)
    remove_tree(layout.instances)
    remove_tree(layout.guest)
    shutil.copytree(Path(__file__).parent / "guest", layout.guest)
    for path in layout.guest.rglob("*"):
        path.chmod(0o755)
    layout.instances.mkdir(mode=0o755)


def write_server_file(layout: Layout, port: int, ssh_port: int, secret_key: str) -> None:
    """Write the pid, URL, SSH port and secret key by which clients find the server, for this user alone."""
    url = f"http://127.0.0.1:{port}"
    info = {"pid": os.getpid(), "port": port, "url": url, "ssh_port": ssh_port, "secret_key": secret_key}
    write_atomically(layout.server_file, json.dumps(info))


def open_port(port: int) -> socket.socket:
    """A listening socket on this machine's loopback alone."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(128)
    return sock


def serve(layout: Layout, sock: socket.socket, ssh_port: int, ready_fd: int) -> None:
    """Answer until a signal ends it; then end all hosts."""
    port = sock.getsockname()[1]
    secret_key = secrets.token_urlsafe(30)
    application = Application(layout, FaultFile(layout.faults), ssh_port, secret_key)
    server: BaseWSGIServer = make_server(
        "127.0.0.1", port, application, threaded=True, request_handler=QuietHandler, fd=sock.fileno()
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    # Nothing ends this loop but the process, so it need not look around: an idle server sleeps.
    threading.Thread(target=server.serve_forever, args=(3600,), daemon=True).start()
    threading.Thread(target=application.load, args=(port,), daemon=True).start()
    write_server_file(layout, port, ssh_port, secret_key)
    os.write(ready_fd, READY)
    os.close(ready_fd)
    stop.wait()
    if application.fleet is not None:
        application.fleet.close()
    layout.server_file.unlink(missing_ok=True)


def main(layout: Layout, port: int, ssh_port: int, ready_fd: int) -> int:
    """Run the server until it is told to end; 1, with a line on stderr, if it can't run."""
    os.umask(0o022)  # instances run as another user, who must read what is made for them
    lock = take_lock(layout)
    if lock is None:
        print("another server holds the lock", file=sys.stderr)  # noqa: T201  # the server's log
        return 1
    try:
        sock = open_port(port)
    except OSError as error:
        print(f"port {port}: {error.strerror}", file=sys.stderr)  # noqa: T201  # the server's log
        return 1
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))
    clear_leftovers(layout)
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    serve(layout, sock, ssh_port, ready_fd)
    # All that must end has ended; taking moto's models apart object by object would only take time.
    os._exit(0)


if __name__ == "__main__":
    folder, *numbers = sys.argv[1:]
    sys.exit(main(Layout(root=Path(folder)), *(int(number) for number in numbers)))
