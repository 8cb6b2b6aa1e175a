"""Jupyter's page here: where it is, what is said of it, and how the browser gets there."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.page_asked import answer
from support.ports import free_port
from support.waiting import PATIENCE, until

from ec2tasks.base.errors import Failure
from ec2tasks.commands.notebook_page import Page, answers, guide, has_display, shown


@pytest.mark.parametrize(
    ("here", "site", "everyone"),
    [
        ("9999", "http://127.0.0.1:9999/", False),
        ("*:9999", "http://127.0.0.1:9999/", True),
        ("[::1]:9999", "http://[::1]:9999/", False),
    ],
)
def test_where_the_page_is(here: str, site: str, everyone: bool) -> None:
    page = Page(here=here)
    assert (page.site, page.for_everyone) == (site, everyone)
    assert page.forward(8889).spec == f"{here}:127.0.0.1:8889"


def test_each_call_has_a_token_of_its_own_that_shows_nowhere() -> None:
    first, second = Page(here="1"), Page(here="1")
    assert first.token != second.token
    assert first.token not in repr(first) + first.site


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
    return Page(here=str(free_port()))


def test_jupyter_answers_who_has_the_token(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert not answers(page)
    with Jupyter(page):
        assert answers(page)
        assert not answers(Page(here=page.here))


@pytest.mark.parametrize("said", [b"y", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 "])
def test_what_writes_for_ever_in_the_place_of_jupyter_is_not_read_for_ever(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def write() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as connection:
                while True:
                    connection.sendall(said * 100)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        assert not answers(Page(here=str(server.getsockname()[1])))
        writer.join()


def test_the_page_is_said_and_opened_once_jupyter_answers(
    page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    urls: queue.Queue[str] = queue.Queue()
    with shown(page, reach=lambda: True, browser=True, opened=urls.put):
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

    with shown(page, reach=lambda: True, browser=False, opened=unwanted), Jupyter(page):
        until(tells, "the page")


def test_a_run_that_ends_first_says_nothing(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    with shown(page, reach=lambda: True, browser=True):
        pass
    assert capsys.readouterr().err == ""


def test_a_guide_shows_the_way_once_and_to_nobody_else() -> None:
    with guide("http://127.0.0.1:1/?token=secret") as once:
        site = once.rsplit("/", 1)[0]
        said = [answer(url) for url in (f"{site}/", f"{site}/favicon.ico", once, once)]
    assert said == [(404, None), (404, None), (302, "http://127.0.0.1:1/?token=secret"), (404, None)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_guide_shows_no_way_to_another_user_who_is_faster() -> None:
    ask = (
        "import sys, http.client as h, urllib.parse as p; u = p.urlsplit(sys.argv[1]);"
        "c = h.HTTPConnection(u.netloc); c.request('GET', u.path); print(c.getresponse().status)"
    )
    as_other = ["setpriv", "--reuid=65534", "--clear-groups", "--", "/usr/bin/python3", "-c", ask]
    with guide("http://127.0.0.1:1/?token=secret") as once:
        said = subprocess.run([*as_other, once], capture_output=True, text=True, check=True, cwd="/")
        assert said.stdout == "404\n"
        assert answer(once) == (302, "http://127.0.0.1:1/?token=secret")


def test_a_port_that_can_t_be_brought_here_is_said(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []

    def tells() -> bool:
        said.append(capsys.readouterr().err)
        return "port 8888 is in use" in "".join(said)

    def reach() -> bool:
        raise Failure("port 8888 is in use", hint="take another")

    with shown(page, reach=reach, browser=False):
        until(tells, "why")
