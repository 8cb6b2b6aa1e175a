"""Runs `ec2tasks WORDS` and does something to it at one of its steps: `hit_at_step.py DEED STEP FILE WORDS…`.

A step is what the world outside the process can notice: a request to AWS (before it is sent, and before its
answer is read), a program started (before and after), a file put in its place (before and after). The steps
taken are listed in FILE, one a line. STEP is a number, or a step's name; DEED:

    kill        signal 9
    cut         from then on AWS can't be reached
    hurry       from then on no pause is longer than a tenth of a second
    hold=PATH   wait until PATH exists
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session

from ec2tasks.cli.program import main

deed, wanted, log = sys.argv[1], sys.argv[2], Path(sys.argv[3]).open("a")  # noqa: SIM115
one_at_a_time = threading.Lock()
state = {"count": 0, "cut": 0, "done": 0}


def step(name: str) -> None:
    with one_at_a_time:
        state["count"] += 1
        log.write(f"{name}\n")
        log.flush()
        if wanted in (name, str(state["count"])) and not state["done"]:
            state["done"] = 1
            act()


def act() -> None:
    kind, _, path = deed.partition("=")
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "cut":
        state["cut"] = 1
        time.sleep = lambda _seconds: None  # boto3 would try for most of a minute
    elif kind == "hurry":
        real = time.sleep
        time.sleep = lambda seconds: real(min(float(seconds), 0.1))
    while kind == "hold" and not Path(path).exists():
        time.sleep(0.02)


def watched(real: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        said = name(*args)
        step(f"before {said}")
        done = real(*args, **options)
        step(f"after {said}")
        return done

    return call


def action(_session: object, request: Any) -> str:
    if state["cut"]:
        raise EndpointConnectionError(endpoint_url=request.url)
    body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
    return parse_qs(body).get("Action", [str(request.headers.get("X-Amz-Target", "a request"))])[0]


def program(_popen: object, argv: Sequence[str], *_rest: object) -> str:
    """What is started; an rsync that reaches no other machine looks at the files here, or at its version."""
    if argv[0] == "rsync" and not any(word.startswith("--rsh=") for word in argv):
        return "look by rsync"
    return f"start of {argv[0]}"


URLLib3Session.send = watched(URLLib3Session.send, action)  # type: ignore[method-assign]
subprocess.Popen.__init__ = watched(subprocess.Popen.__init__, program)  # type: ignore[method-assign]
Path.replace = watched(Path.replace, lambda path, _to: f"file in {path.parent.name}")  # type: ignore[method-assign]

sys.argv = ["ec2tasks", *sys.argv[4:]]
main()
