"""Jupyter there, its page here: the choice of port and program, and a real page in a real browser."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pty
import queue
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.browser import document
from support.ports import free_port
from support.project import CommandResult, ScratchProject
from support.waiting import PATIENCE, until

from ec2tasks.commands.notebook import PORT, Page, answers, choose_page, command, guide, has_display, shown

PAGE = Page(forward=f"9999:localhost:{PORT}")
ENVIRONMENT = "/home/ubuntu/with-jupyter"


@contextlib.contextmanager
def listening(port: int = 0) -> Iterator[int]:
    """Something that listens on that port here; where it is taken, somebody else does."""
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            busy.bind(("127.0.0.1", port))
            busy.listen()
        yield busy.getsockname()[1]


# Where the page is


@pytest.mark.parametrize(
    ("forwards", "forward", "site"),
    [
        (["9999:localhost:8888"], "9999:localhost:8888", "http://127.0.0.1:9999/"),
        (["6006:localhost:6006", "9999:127.0.0.1:8888"], "9999:127.0.0.1:8888", "http://127.0.0.1:9999/"),
        (["*:9999:localhost:8888"], "*:9999:localhost:8888", "http://127.0.0.1:9999/"),
        (["[::1]:9999:localhost:8888"], "[::1]:9999:localhost:8888", "http://[::1]:9999/"),
    ],
)
def test_a_forward_of_the_user_s_is_taken(forwards: list[str], forward: str, site: str) -> None:
    page = choose_page(forwards)
    assert (page.forward, page.site) == (forward, site)


def test_another_forward_keeps_its_port() -> None:
    page = choose_page([f"{PORT}:localhost:6006", f"{PORT + 1}:db.internal:8888"])
    assert page.place[1] > PORT + 1
    assert page.forward.endswith(f":localhost:{PORT}")


def test_where_the_port_is_taken_here_the_next_is_used() -> None:
    with listening(PORT):
        assert choose_page([]).place[1] > PORT


def test_each_call_has_a_token_of_its_own_that_shows_nowhere() -> None:
    first, second = Page(forward="1:localhost:8888"), Page(forward="1:localhost:8888")
    assert first.token != second.token
    assert len(first.token) >= 40
    assert first.token not in command(first) + repr(first) + first.site
    assert first.variables == {"JUPYTER_TOKEN": first.token}


@pytest.mark.parametrize(
    ("environ", "platform", "shows"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "firefox"}, "linux", True),
        ({}, "darwin", True),
    ],
)
def test_whether_a_browser_can_show_up(environ: Mapping[str, str], platform: str, shows: bool) -> None:
    assert has_display(environ, platform) is shows


# Which Jupyter runs there


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of folders of programs; those named jupyter-… say their name and their arguments."""
    return tmp_path


def add(programs: Path, *names: str) -> None:
    for name in names:
        path = programs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#!/bin/sh\necho "${0##*/tmp}" "$@"\n')
        path.chmod(0o755)


def launched(programs: Path, *folders: str, port: int | None = None, environment: str = "") -> CommandResult:
    """How the command for the instance ends here, with only these folders to find programs in."""
    text = command(PAGE).replace(str(PORT), str(port or free_port()))
    done = subprocess.run(
        ["/bin/bash", "-c", text],
        env={"PATH": ":".join(f"{programs / one}" for one in folders), "VIRTUAL_ENV": environment},
        capture_output=True,
        text=True,
    )
    return CommandResult(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["env/jupyter-notebook", "env/jupyter-lab"], "env/jupyter-lab"),
        (["env/jupyter-notebook"], "env/jupyter-notebook"),
        (["env/jupyter-notebook", "usr/jupyter-lab"], "env/jupyter-notebook"),
        (["usr/jupyter-lab"], "usr/jupyter-lab"),
    ],
)
def test_the_environment_s_jupyter_comes_first(names: list[str], found: str, programs: Path) -> None:
    add(programs, *names)
    said = launched(programs, "env", "usr", environment=str(programs / "env"))
    assert said.code == 0, said.err
    assert said.out.split()[0].endswith(found)
    assert ("is not of the environment" in said.err) is found.startswith("usr/")


def test_how_jupyter_is_started(programs: Path) -> None:
    add(programs, "bin/jupyter-lab")
    words = launched(programs, "bin").out.split()
    assert {"--no-browser", "--ip=127.0.0.1", "--port-retries=0", "-y"} <= set(words)
    assert "--ServerApp.custom_display_url=http://127.0.0.1:9999/" in words
    assert "allow_remote_access" not in command(PAGE)
    assert "allow_remote_access=True" in command(Page(forward=f"*:9999:localhost:{PORT}"))


@pytest.mark.parametrize(
    ("environment", "how"),
    [("/opt/pytorch", "'pip install jupyterlab'"), ("", "python3 -m venv .venv && .venv/bin/pip install")],
)
def test_where_there_is_no_jupyter_it_is_said_how_to_get_one(
    environment: str, how: str, programs: Path
) -> None:
    said = launched(programs, "bin", environment=environment)
    assert (said.code, said.out) == (127, "")
    assert f"no Jupyter{environment and f' in {environment}'} on the instance" in said.err
    assert how in said.err


def test_a_port_that_is_taken_there_is_named(programs: Path) -> None:
    add(programs, "bin/jupyter-lab")
    with listening() as port:
        said = launched(programs, "bin", port=port)
    assert (said.code, said.out) == (1, "")
    assert f"port {port} is taken on the instance" in said.err


# What is said and opened here


def answer(url: str, method: str = "GET", body: str = "", token: str = "") -> tuple[int, str | None]:
    """The status of an answer, and where it leads."""
    found = re.fullmatch(r"http://([^/]+)(/.*)", url)
    assert found, url
    connection = http.client.HTTPConnection(found[1], timeout=PATIENCE)
    try:
        connection.request(
            method, found[2], body or None, {"Authorization": f"token {token}"} if token else {}
        )
        said = connection.getresponse()
        return said.status, said.getheader("Location")
    finally:
        connection.close()


class Jupyter(ThreadingHTTPServer):
    """As much of Jupyter as is asked here: its status, for whoever has the token."""

    def __init__(self, page: Page) -> None:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers["Authorization"] == f"token {page.token}" or page.token in self.path
                self.send_response(200 if given else 403)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None: ...

        super().__init__(page.place, Answer)

    def __enter__(self) -> Jupyter:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture
def page() -> Page:
    return Page(forward=f"{free_port()}:localhost:{PORT}")


def test_jupyter_answers_who_has_the_token(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert not answers(page)
    with Jupyter(page):
        assert answers(page)
        assert not answers(Page(forward=page.forward))


@pytest.mark.parametrize("said", [b"y", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 "])
def test_what_writes_for_ever_in_the_place_of_jupyter_is_not_read_for_ever(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def write() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as connection:
                while True:
                    connection.sendall(said * 100)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        assert not answers(Page(forward=f"{server.getsockname()[1]}:localhost:8888"))
        writer.join()


def test_the_page_is_said_and_opened_once_jupyter_answers(
    page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    urls: queue.Queue[str] = queue.Queue()
    with shown(page, browser=True, opened=urls.put):
        with pytest.raises(queue.Empty):
            urls.get(timeout=0.5)
        assert capsys.readouterr().err == ""
        with Jupyter(page):
            once = urls.get(timeout=PATIENCE)
            assert page.token not in once
            assert answer(once) == (302, page.address)
    assert page.address in capsys.readouterr().err
    with pytest.raises(ConnectionRefusedError):
        answer(once)


def test_without_a_browser_the_page_is_only_said(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    def unwanted(url: str) -> None:
        raise AssertionError(url)

    said: list[str] = []

    def tells() -> bool:
        said.append(capsys.readouterr().err)
        return page.address in "".join(said)

    with shown(page, browser=False, opened=unwanted), Jupyter(page):
        until(tells, "the page")


def test_a_run_that_ends_first_says_nothing(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    with shown(page, browser=True):
        pass
    assert capsys.readouterr().err == ""


def test_a_guide_shows_the_way_once_and_to_nobody_else() -> None:
    with guide("http://127.0.0.1:1/?token=secret") as once:
        site = once.rsplit("/", 1)[0]
        said = [answer(url) for url in (f"{site}/", f"{site}/favicon.ico", once, once)]
    assert said == [(404, None), (404, None), (302, "http://127.0.0.1:1/?token=secret"), (404, None)]


# A real Jupyter on an instance


@pytest.fixture(scope="module")
def jupyter(warm: ScratchProject) -> Iterator[ScratchProject]:
    """The warm project with a Jupyter in an environment there, and a file to show."""
    setup = f"python3 -m venv {ENVIRONMENT} && {ENVIRONMENT}/bin/pip install -q jupyterlab"
    warm.write("shown-in-the-page.txt", "hello\n")
    installed = warm.ec2tasks("run", "--leave", setup)
    assert installed.code == 0, installed.err
    yield warm
    for path in warm.root.glob("*-the-page.txt"):
        path.unlink()
    warm.ec2tasks("run", f"rm -rf *-the-page.txt {ENVIRONMENT}")


@contextlib.contextmanager
def running(project: ScratchProject, folder: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """`ec2tasks notebook` through pipes, what it says in `folder / "said"`."""
    argv = ["ec2tasks", "notebook", "--leave", "--env", ENVIRONMENT]
    with (
        (folder / "said").open("wb") as said,
        subprocess.Popen(
            argv, cwd=project.root, env={**project.environ, **environ}, stdin=subprocess.DEVNULL, stderr=said
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=PATIENCE)


def wait_for(path: Path, form: str, process: subprocess.Popen[bytes]) -> str:
    """What stands there in this form, once it does."""

    def find() -> re.Match[str] | None:
        over = process.poll() is not None
        found = re.search(form, path.read_text() if path.exists() else "")
        assert found or not over, path.read_text()
        return found

    return str(until(find, form)[1])


@pytest.mark.timeout(400)
def test_the_page_is_in_the_browser_here_while_8888_is_somebody_else_s(
    jupyter: ScratchProject, tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    open_ = tmp_path / "open"
    open_.write_text(f'#!/bin/sh\nps axww -o args > {tmp_path}/processes\necho "$1" > {opened}\n')
    open_.chmod(0o755)
    with listening(PORT), running(jupyter, tmp_path, BROWSER=f"{open_} %s") as process:
        address = wait_for(tmp_path / "said", r"Jupyter is at (\S+)", process)
        site, token = address.split("?token=")
        assert not site.endswith(f":{PORT}/")
        once = wait_for(opened, r"(http\S+)\n", process)
        assert token not in once + (tmp_path / "processes").read_text()

        shown_page = document(once, tmp_path)
        assert "<title>JupyterLab</title>" in shown_page
        assert "shown-in-the-page.txt" in shown_page

        assert answer(f"{site}api/contents")[0] == 403
        refused = document(site, tmp_path / "stranger")
        assert 'type="password"' in refused
        assert "shown-in-the-page.txt" not in refused

        made = json.dumps({"type": "file", "format": "text", "content": "made\n"})
        assert answer(f"{site}api/contents/made-in-the-page.txt", "PUT", made, token)[0] == 201
    assert process.returncode == 130
    assert jupyter.read("made-in-the-page.txt") == "made\n"
    with pytest.raises(ConnectionRefusedError):
        answer(site)


@pytest.mark.timeout(200)
def test_one_ctrl_c_on_a_terminal_ends_it(jupyter: ScratchProject) -> None:
    port = free_port()
    ours, its = pty.openpty()
    argv = ["ec2tasks", "notebook", "--leave", "--env", ENVIRONMENT, "-L", f"{port}:localhost:{PORT}"]
    environ = {**jupyter.environ, "NO_COLOR": "1", "TERM": "dumb"}
    environ = {name: value for name, value in environ.items() if "DISPLAY" not in name and name != "BROWSER"}
    with subprocess.Popen(
        argv, cwd=jupyter.root, env=environ, stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as process:
        os.close(its)
        screen, pressed = b"", 0
        with contextlib.suppress(OSError):  # the terminal's other end is closed: it is over
            while found := os.read(ours, 4096):
                screen += found
                if b"hint: Ctrl-C ends it" in screen and not pressed:
                    pressed = os.write(ours, b"\x03")
        assert process.wait(timeout=PATIENCE) == 0, screen.decode()
    os.close(ours)
    assert f"Jupyter is at http://127.0.0.1:{port}/?token=".encode() in screen
    assert b"left running" in screen
    # While ssh has the terminal in raw mode, a bare line feed would stay in its column.
    assert not re.search(rb"[^\r]\n", screen)
