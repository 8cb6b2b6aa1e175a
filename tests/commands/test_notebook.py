"""A notebook from here: which port its page takes, and a real page of a real Jupyter in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.background import Client, start
from support.browser import CONTROL, SHIFT, Tab, tab
from support.local_ec2 import faults
from support.page_asked import answer
from support.ports import free_port
from support.project import ScratchProject
from support.waiting import PATIENCE, until

from ec2tasks.base.errors import UsageError
from ec2tasks.commands.notebook import PORT, choose_here, split_ports

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


@pytest.mark.parametrize(
    ("forwards", "wish", "others"),
    [
        ((), "", ()),
        (("9999:localhost:8888",), "9999", ()),
        (("6006:localhost:6006", "9999:127.0.0.1:8888"), "9999", ("6006:localhost:6006",)),
        (("*:9999:localhost:8888",), "*:9999", ()),
        (("[::1]:9999:localhost:8888",), "[::1]:9999", ()),
        (("8889:db.internal:8888",), "", ("8889:db.internal:8888",)),
    ],
)
def test_the_user_s_forward_of_jupyter_s_port_says_where_the_page_is(
    forwards: tuple[str, ...], wish: str, others: tuple[str, ...]
) -> None:
    assert split_ports(forwards) == (wish, others)


def test_another_forward_keeps_its_port() -> None:
    assert int(choose_here("", [f"{PORT}:localhost:6006", f"{PORT + 1}:db.internal:8888"])) > PORT + 1


def test_where_the_port_is_taken_here_the_next_is_used_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    with listening(PORT):
        here = choose_here("", [])
    assert int(here) > PORT
    assert f"port {PORT} is taken here: the page is at port {here}" in capsys.readouterr().err


def test_a_wish_that_is_taken_is_an_error_unless_by_the_page_itself() -> None:
    with listening() as port:
        assert choose_here(str(port), [], opened=str(port)) == str(port)
        assert choose_here("", [], opened=str(port)) == str(port)
        with pytest.raises(UsageError, match=f"port {port} on 127.0.0.1 is in use"):
            choose_here(str(port), [])


# A notebook on an instance, as far as ec2tasks sees one


JUPYTER = """#!/usr/bin/python3
import http.server, os, pathlib, re, signal, sys, threading

port = int(re.search(r"--port=(\\d+)", " ".join(sys.argv))[1])

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = os.environ["JUPYTER_TOKEN"] in f"{self.path} {self.headers['Authorization']}"
        self.send_response(200 if known else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if known and "saved" in self.path:
            pathlib.Path("saved.txt").write_text("saved")

    def log_message(self, *words):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Page)
signal.signal(signal.SIGINT, lambda *_: threading.Thread(target=server.shutdown).start())
print("serving", flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def served(warm: ScratchProject) -> Iterator[ScratchProject]:
    """The warm project with an environment there whose Jupyter has a page with nothing on it."""
    place = f"{ENVIRONMENT}/bin"
    warm.write("jupyter", JUPYTER)
    activate = f"echo export VIRTUAL_ENV={ENVIRONMENT} >{place}/activate"
    setup = f"mkdir -p {place} && {activate} && install jupyter {place}/jupyter-lab"
    made = warm.ec2tasks("run", "--leave", setup)
    assert made.code == 0, made.err
    yield warm
    for name in ("jupyter", "saved.txt"):
        (warm.root / name).unlink(missing_ok=True)
    warm.ec2tasks("run", f"rm -rf jupyter saved.txt {ENVIRONMENT}")


def notebook(project: ScratchProject, *words: str) -> Client:
    """`ec2tasks notebook` in the background; no browser."""
    return start(project, "ec2tasks", "notebook", "--no-browser", "--leave", "--env", ENVIRONMENT, *words)


def address(client: Client) -> str:
    """Where it says that the page is."""

    def said() -> re.Match[str] | None:
        assert not client.over(), client.err
        return re.search(r"Jupyter is at (\S+)", "".join(client.err))

    return until(said, "the page")[1]


def test_a_second_one_joins_the_first_whose_page_comes_back_with_the_connection(
    served: ScratchProject,
) -> None:
    with listening(PORT):
        first = notebook(served)
        page = address(first)
        second = notebook(served)
        assert address(second) == page
    assert f"port {PORT} is taken here: the page is at port" in "".join(first.err)
    assert "joining the notebook that runs" in "".join(second.err)
    faults(served, drop_ssh=True)
    until(lambda: "connected again" in "".join(first.err), "connected again")
    until(lambda: "connected again" in "".join(second.err), "connected again")
    site, token = page.split("?token=")
    assert answer(f"{site}saved", token=token)[0] == 200
    assert answer(f"{site}saved", token="x")[0] == 403
    second.signal(signal.SIGINT)
    assert [client.end().code for client in (first, second)] == [0, 130]
    assert served.read("saved.txt") == "saved"
    with pytest.raises(ConnectionRefusedError):
        answer(site)


def test_one_that_was_left_is_come_back_to(served: ScratchProject) -> None:
    left = notebook(served, "--detach").end()
    assert left.code == 0, left.err
    assert "hint: `ec2tasks notebook` opens its page" in left.err
    (job,) = [one for one in json.loads(served.ec2tasks("jobs", "--json").out) if one["state"] == "running"]
    assert job["multi"] == "none"
    client = notebook(served, "-L", f"{free_port()}:localhost:{PORT}")
    site, token = address(client).split("?token=")
    assert answer(f"{site}api/status", token=token)[0] == 200
    client.signal(signal.SIGINT)
    assert client.end().code == 130


# A real Jupyter on an instance, and a real browser here


CELL: dict[str, Any] = {
    "cell_type": "code",
    "execution_count": None,
    "id": "a",
    "metadata": {},
    "outputs": [],
    "source": [],
}
NOTEBOOK = {
    "cells": [CELL],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def is_edited(tab: Tab) -> bool:
    """Whether a click on the first cell takes by now."""
    tab.click(".jp-Notebook .cm-content")
    return "Mode: Edit" in tab.text()


def run_cell(tab: Tab, code: str, result: str) -> None:
    """Type it in the cell that is edited, run it, wait for what it prints, save; the next is edited then."""
    tab.type(code)
    tab.press("Enter", SHIFT)
    tab.shows(result)
    tab.press("s", CONTROL)
    until(lambda: not tab.js("document.querySelector('.jp-mod-dirty') !== null"), "that it is saved there")


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_day_in_a_notebook(local_project: ScratchProject, tmp_path: Path) -> None:
    """Its environment has no Jupyter: one is put beside it, and the environment is the kernel."""
    local_project.write("work.ipynb", json.dumps(NOTEBOOK))
    local_project.write("ec2.yaml", "pull_every: 2\n")
    ours = f"cd {ENVIRONMENT}/lib/python3*/site-packages && echo 'answer = 42' >ours.py"
    make = f"python3 -m venv {ENVIRONMENT} && {ours}"
    assert local_project.ec2tasks("run", "--leave", make).code == 0
    client = notebook(local_project)
    page = address(client)
    with tab(tmp_path) as browser:
        browser.open(page)
        browser.shows("work.ipynb")
        browser.open(f"{page.split('?')[0]}lab/tree/work.ipynb")
        browser.shows("| Idle")
        until(lambda: is_edited(browser), "a cell that is edited")
        run_cell(
            browser,
            "import ours, sys; print('the answer is', ours.answer, 'in', sys.prefix)",
            f"42 in {ENVIRONMENT}",
        )
        until(lambda: "the answer is 42" in local_project.read("work.ipynb"), "what was saved, here")
        faults(local_project, drop_ssh=True)
        until(lambda: "connected again" in "".join(client.err), "connected again")
        run_cell(browser, "print('still', ours.answer + 1)", "still 43")
        if folder := os.environ.get("EC2TASKS_PICTURES"):
            browser.js("document.querySelectorAll('.Toastify__toast').forEach(one => one.remove())")
            browser.picture(Path(folder) / "notebook.png")
    client.signal(signal.SIGINT)
    assert client.end().code == 130
    assert "still 43" in local_project.read("work.ipynb")
    inside = f"ls {ENVIRONMENT}/bin; pgrep -f '[i]pykernel'"
    there = local_project.ec2tasks("run", "--leave", inside).out
    assert "jupyter" not in there
    assert not re.search(r"^\d+$", there, re.MULTILINE), "a kernel is left"


def test_one_ctrl_c_on_a_terminal_ends_it(served: ScratchProject) -> None:
    port = free_port()
    ours, its = pty.openpty()
    argv = ["ec2tasks", "notebook", "--leave", "--env", ENVIRONMENT, "-L", f"{port}:localhost:{PORT}"]
    environ = {**served.environ, "NO_COLOR": "1", "TERM": "dumb"}
    environ = {name: value for name, value in environ.items() if "DISPLAY" not in name and name != "BROWSER"}
    with subprocess.Popen(
        argv, cwd=served.root, env=environ, stdin=its, stdout=its, stderr=its, start_new_session=True
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
