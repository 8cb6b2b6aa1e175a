from __future__ import annotations

import http.server
import json
import socket
import threading
import urllib.request

import pytest
from support.background import start
from support.ports import free_port
from support.project import ScratchProject
from support.waiting import PATIENCE

from ec2tasks.base.errors import UsageError
from ec2tasks.ssh.ports import check_ports_free, listen_address, with_address
from ec2tasks.ssh.ports import free_port as next_port


@pytest.mark.parametrize(
    ("forward", "end"),
    [
        ("8888:localhost:8888", ("127.0.0.1", 8888)),
        ("127.0.0.2:6006:db.internal:5432", ("127.0.0.2", 6006)),
        ("*:80:localhost:80", ("0.0.0.0", 80)),
        (":80:localhost:80", ("127.0.0.1", 80)),
        ("[::1]:80:localhost:80", ("::1", 80)),
        ("localhost:80:[::1]:80", ("127.0.0.1", 80)),
    ],
)
def test_where_a_forward_listens_here(forward: str, end: tuple[str, int]) -> None:
    assert listen_address(forward) == end


@pytest.mark.parametrize(
    ("forward", "given"),
    [
        ("8888:localhost:8888", "127.0.0.1:8888:localhost:8888"),
        (":80:[::1]:80", "127.0.0.1:80:[::1]:80"),
        ("localhost:80:db.internal:80", "127.0.0.1:80:db.internal:80"),
        *(
            (one, one)
            for one in ("*:80:localhost:80", "0.0.0.0:80:x:80", "[::1]:80:x:80", "127.0.0.2:80:x:80")
        ),
    ],
)
def test_ssh_is_given_the_one_address_that_is_said(forward: str, given: str) -> None:
    assert with_address(forward) == given
    assert listen_address(given) == listen_address(forward)


def test_the_hint_is_the_same_forward_on_another_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        for bind, there in (
            ("", "[::1]:8888"),
            ("127.0.0.1:", "localhost:80"),
            ("localhost:", "db.internal:80"),
        ):
            with pytest.raises(UsageError) as caught:
                check_ports_free([f"{bind}{port}:{there}"])
            assert caught.value.hint == f"-L {bind}{port + 1}:{there} takes another port here"


def test_a_free_port_is_left_free_and_a_busy_one_named() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} on 127.0.0.1 is in use") as caught:
            check_ports_free([f"{port}:localhost:80"])
        assert f"-L {port + 1}:localhost:80" in str(caught.value.hint)
    check_ports_free([f"{port}:localhost:80"])
    check_ports_free([f"{port}:localhost:80"])


def test_a_port_of_the_instance_is_here_during_the_run_and_not_after(warm: ScratchProject) -> None:
    port = free_port()
    server = (
        "import http.server as h, threading, urllib.request as u\n"
        "class Page(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(b'there')\n"
        "        threading.Thread(target=s.shutdown).start()\n"
        "s = h.ThreadingHTTPServer(('127.0.0.1', 8888), Page)\n"
        "print('serving', flush=True); s.serve_forever()\n"
    )
    warm.write("serve.py", server)
    process = start(warm, "ec2tasks", "run", "-L", f"{port}:localhost:8888", "python3 serve.py")
    assert process.line() == "serving"
    # Another run that wants the same, in other words, shares it.
    assert warm.ec2tasks("run", "-L", f"127.0.0.1:{port}:127.0.0.1:8888", "true").code == 0
    # From another terminal: where it is, and one more. A port that is taken here moves on.
    assert warm.ec2tasks("ports", "8888").out == f"http://127.0.0.1:{port}/\n"
    with socket.create_server(("127.0.0.1", free_port())) as busy:
        taken = busy.getsockname()[1]
        moved = warm.ec2tasks("ports", str(taken))
        # ssh would be content with the other address of `localhost`, and say that it is open.
        refused = warm.ec2tasks("ports", f"{taken}:localhost:8888")
    assert (refused.code, refused.out) == (2, "")
    assert f"port {taken} on 127.0.0.1 is in use" in refused.err
    assert f"port {taken} is taken here: it is port {taken + 1}" in moved.err
    assert f"nothing listens on port {taken} there yet" in moved.err
    listed = json.loads(warm.ec2tasks("ports", "--json").out)
    (served,) = [one for one in listed if one["port"] == 8888]
    assert served["here"] == [f"127.0.0.1:{port}"]
    assert served["job"]
    assert f"-L {taken + 1}:localhost:{taken}" in [one["forward"] for one in listed]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=PATIENCE) as page:
        assert page.read() == b"there"
    assert process.end().code == 0


@pytest.mark.parametrize(
    ("port", "taken", "found"), [(8888, set(), 8888), (8888, {8888, 8889}, 8890), (65535, set(), 65535)]
)
def test_a_taken_port_moves_on(port: int, taken: set[int], found: int) -> None:
    assert next_port(port, taken=taken, free=lambda _: True) == found
    assert next_port(port, free=lambda forward: listen_address(forward)[1] not in taken) == found


def test_where_no_port_is_free_it_is_said() -> None:
    with pytest.raises(UsageError, match="no port from 65500 to 65535 is free"):
        next_port(65500, free=lambda _: False)


class Here(http.server.BaseHTTPRequestHandler):
    """A page of this machine."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"here")

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def test_a_port_of_this_machine_is_reached_from_the_instance(warm: ScratchProject) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Here) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9123').read().decode())"
        forward = f"127.0.0.1:9123:127.0.0.1:{server.server_address[1]}"
        result = warm.ec2tasks("run", "-R", forward, f'python3 -c "{ask}"')
        server.shutdown()
    assert (result.code, result.out) == (0, "here\n"), result.err


def test_a_port_that_is_taken_there_is_named_before_the_command_begins(warm: ScratchProject) -> None:
    said = warm.ec2tasks("run", "-R", "127.0.0.1:22:localhost:80", "echo ran")
    assert (said.code, said.out) == (125, "")
    assert "ssh does not open -R 127.0.0.1:22:localhost:80" in said.err
    listed = json.loads(warm.ec2tasks("ports", "--json").out)
    assert not [one for one in listed if "-R" in (one["forward"] or "")]
