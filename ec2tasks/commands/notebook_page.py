"""The page of a notebook here: on a free port, behind a token that stands on no command line.

There, Jupyter reads `JUPYTER_TOKEN` from its environment
(https://jupyter-server.readthedocs.io/en/latest/operators/security.html); here, the browser is given an
address that works once, and answers with the page's own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.peer import is_others
from ec2tasks.base.process import start_thread
from ec2tasks.ssh.forwards import Forward
from ec2tasks.ssh.ports import listen_address

POLLS = (*((0.25,) * 8), 1.0)  # seconds between looks whether it answers; the last one stays
ANSWER_LIMIT = 5.0  # seconds for one answer
STATUS_LIMIT = 1024  # bytes of its first line


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_hex(24)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Where Jupyter's page is here: `here` as a forward begins with it, `[BIND:]PORT`."""

    here: str
    token: str = field(default_factory=new_token, repr=False)

    def forward(self, port: int) -> Forward:
        """The forward that brings this port of the instance here.

        To the one address that Jupyter listens on: on another of `localhost`, another user there may.
        """
        return Forward(spec=f"{self.here}:127.0.0.1:{port}")

    @property
    def listens(self) -> tuple[str, int]:
        """The address and port that it is listened on here."""
        return listen_address(self.forward(1).spec)

    @property
    def place(self) -> tuple[str, int]:
        """The address and port to ask here."""
        address, port = self.listens
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address), port  # noqa: S104  # any address is also our own

    @property
    def for_everyone(self) -> bool:
        """Whether other machines reach it, by names other than localhost."""
        return not self.listens[0].startswith(("127.", "::1"))

    @property
    def site(self) -> str:
        """The page's address without its token."""
        address, port = self.place
        return f"http://{f'[{address}]' if ':' in address else address}:{port}/"

    @property
    def address(self) -> str:
        """What to open: Jupyter answers with a cookie, and with the way to its first page."""
        return f"{self.site}?token={self.token}"


def has_display(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a browser can show up: a text browser would take the terminal that the run needs."""
    if environ.get("BROWSER") or not platform.startswith("linux"):
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def answers(page: Page, clock: Callable[[], float] = time.monotonic) -> bool:
    """Whether Jupyter answers here and takes the token. Asked past any proxy."""
    host = page.site.removeprefix("http://").rstrip("/")
    request = f"GET /api/status HTTP/1.0\r\nHost: {host}\r\nAuthorization: token {page.token}\r\n\r\n"
    deadline, said = clock() + ANSWER_LIMIT, b""
    # Not http.client: it reads on for as long as what is there writes.
    with contextlib.suppress(OSError), socket.create_connection(page.place, timeout=ANSWER_LIMIT) as asked:
        asked.sendall(request.encode())
        while len(said) < STATUS_LIMIT and b"\n" not in said and (left := deadline - clock()) > 0:
            asked.settimeout(left)
            block = asked.recv(STATUS_LIMIT)
            if not block:
                break  # ssh listens here from the start, and hangs up until Jupyter does there
            said += block
    return re.match(rb"HTTP/1\.[01] 200[ \r\n]", said) is not None


@contextlib.contextmanager
def shown(
    page: Page,
    *,
    reach: Callable[[], bool],
    browser: bool,
    opened: Callable[[str], object] | None = None,
) -> Iterator[None]:
    """While the run goes on: say the address once Jupyter answers, and open it in the browser here.

    `reach` brings its port here, as soon as it has one: whether it has. `opened` stands in for
    `webbrowser.open`.
    """
    over = threading.Event()
    watcher = start_thread(_watch, page, over, reach, browser, opened)
    try:
        yield
    finally:
        over.set()
        watcher.join(timeout=1)


def _watch(
    page: Page,
    over: threading.Event,
    reach: Callable[[], bool],
    browser: bool,
    opened: Callable[[str], object] | None,
) -> None:
    try:
        if not (_comes(reach, over) and _comes(lambda: answers(page), over)):
            return
    except Failure as failure:
        output.warn_of(failure)
        return
    if over.is_set():
        return
    output.step(f"Jupyter is at {page.address}")
    output.hint("Ctrl-C ends it, and fetches what is new there; a closed terminal leaves it running")
    if browser:
        with guide(page.address) as once:
            import webbrowser

            (opened or webbrowser.open)(once)
            over.wait()


def _comes(looks: Callable[[], bool], over: threading.Event) -> bool:
    """Whether this came true before all was over."""
    for pause in itertools.chain(POLLS, itertools.repeat(POLLS[-1])):
        if looks():
            return True
        if over.wait(pause):
            return False
    return False


@contextlib.contextmanager
def guide(address: str) -> Iterator[str]:
    """An address here that leads to this one, once, and for this user alone.

    A browser's command line shows in every process list, and another user may be faster than the browser.
    """
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    ways = {f"/{secrets.token_urlsafe(24)}": address}
    (first,) = ways

    class Guide(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            way = None if is_others(self.connection) else ways.pop(self.path, None)
            self.send_response(302 if way else 404)
            if way:
                self.send_header("Location", way)
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Say nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Guide) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{first}"
        finally:
            server.shutdown()
            serving.join()
