"""Jupyter on the instance, its page here: on a free port, behind a token that only this call knows.

The token is chosen here and travels with the run's variables, so the address is known before Jupyter starts,
and stands on no command line: there, Jupyter reads `JUPYTER_TOKEN` from its environment
(https://jupyter-server.readthedocs.io/en/latest/operators/security.html); here, the browser is given an
address that works once, and answers with the page's own.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.ssh.ports import destination, free_port, listen_address

PORT = 8888  # Jupyter's own, on the instance
POLL_SECONDS = 0.25
ANSWER_LIMIT = 5.0  # seconds for one answer
STATUS_LIMIT = 1024  # bytes of its first line

# Runs there, in the environment that job.sh has activated. Exit codes as a shell's: 127, not found.
SCRIPT = """\
# notebook
# The environment comes first in PATH: its own Jupyter has its kernel, JupyterLab where it has both.
look() {{
    local folder kind IFS=:
    for folder in $PATH; do
        for kind in lab notebook; do
            [ -x "$folder/jupyter-$kind" ] && printf %s "$folder/jupyter-$kind" && return
        done
    done
    return 1
}}
say() {{ printf 'ec2tasks: %s\\n' "$@" >&2; }}
environment=${{VIRTUAL_ENV:-${{CONDA_PREFIX:-}}}}
install='python3 -m venv .venv && .venv/bin/pip install jupyterlab'
[ -z "$environment" ] || install='pip install jupyterlab'
if ! jupyter=$(look) && [ -n "${{UV_PROJECT_ENVIRONMENT:-}}" ]; then
    # One that was built for the project, which need not name what shows it.
    say 'no Jupyter in the environment: installing JupyterLab into it, once'
    uv pip install --quiet jupyterlab
fi
jupyter=$(look) || {{
    say "there is no Jupyter${{environment:+ in $environment}} on the instance"
    say "to install it: ec2tasks run --leave '$install'"
    exit 127
}}
case $jupyter in
"$environment"/*) ;;
*) say "$jupyter is not of the environment $environment: pip install jupyterlab gives it one of its own" ;;
esac
if (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; then
    say "port {port} is taken on the instance, perhaps by an earlier notebook"
    say "to end that: ec2tasks run --leave 'jupyter server stop {port}'"
    exit 1
fi
exec "$jupyter" {options}
"""


@dataclass(frozen=True, kw_only=True)
class Page:
    """Where Jupyter's page is here; `forward` is the -L that brings it, one of the user's or one more."""

    forward: str
    token: str = field(default_factory=lambda: secrets.token_hex(24), repr=False)

    @property
    def place(self) -> tuple[str, int]:
        """The address and port to ask here."""
        address, port = listen_address(self.forward)
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address), port  # noqa: S104  # any address is also our own

    @property
    def site(self) -> str:
        """The page's address without its token."""
        address, port = self.place
        return f"http://{f'[{address}]' if ':' in address else address}:{port}/"

    @property
    def address(self) -> str:
        """What to open: Jupyter answers with a cookie, and with the way to its first page."""
        return f"{self.site}?token={self.token}"

    @property
    def variables(self) -> dict[str, str]:
        """What Jupyter is told in its environment there."""
        return {"JUPYTER_TOKEN": self.token}


def choose_page(forwards: Iterable[str]) -> Page:
    """The page behind the user's own forward of Jupyter's port, else behind a port that is free here."""
    forwards = tuple(forwards)
    own = (forward for forward in forwards if destination(forward) == ("localhost", PORT))
    forward = next(own, None)
    if forward is None:
        here = free_port(PORT, taken={listen_address(forward)[1] for forward in forwards})
        forward = f"{here}:localhost:{PORT}"
    return Page(forward=forward)


def command(page: Page) -> str:
    """What runs on the instance: the environment's Jupyter, or a word on how to install it.

    The options are those that JupyterLab, Notebook 7 and the classic Notebook 6 have in common. `-y`: one
    Ctrl-C is enough, as for any other run.
    """
    options = ["--no-browser", "--ip=127.0.0.1", f"--port={PORT}", "--port-retries=0", "-y"]
    # Else it would show its port there as if it were the one here.
    options.append(f"--ServerApp.custom_display_url={page.site}")
    if not listen_address(page.forward)[0].startswith(("127.", "::1")):
        # Whoever forwards to an address for others wants it reached by names other than localhost.
        options.append("--ServerApp.allow_remote_access=True")
    return SCRIPT.format(port=PORT, options=shlex.join(options))


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
def shown(page: Page, *, browser: bool, opened: Callable[[str], object] | None = None) -> Iterator[None]:
    """While the run goes on: say the address once Jupyter answers, and open it in the browser here.

    `opened` stands in for `webbrowser.open`.
    """
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(page, over, browser, opened), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(timeout=1)


def _watch(page: Page, over: threading.Event, browser: bool, opened: Callable[[str], object] | None) -> None:
    while not answers(page):
        if over.wait(POLL_SECONDS):
            return
    if over.is_set():
        return
    output.step(f"Jupyter is at {page.address}")
    output.hint("Ctrl-C ends it, and fetches what is new there")
    if browser:
        with guide(page.address) as once:
            import webbrowser

            (opened or webbrowser.open)(once)
            over.wait()


@contextlib.contextmanager
def guide(address: str) -> Iterator[str]:
    """An address here that leads to this one, once: a browser's command line shows in every process list."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    ways = {f"/{secrets.token_urlsafe(24)}": address}
    (first,) = ways

    class Guide(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            way = ways.pop(self.path, None)
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
