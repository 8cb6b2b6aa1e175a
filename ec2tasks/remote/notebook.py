"""A notebook on the instance: the command that runs it, and where one that runs is."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from ec2tasks.base.exchange import KIBIBYTE, Limits
from ec2tasks.base.process import Tools
from ec2tasks.base.scripts import remote_script
from ec2tasks.remote.listening import read_port
from ec2tasks.remote.protocol import Message, read_job_id, read_message, script_argv
from ec2tasks.ssh.host import Host

ANSWERING = Limits(out=64 * KIBIBYTE, seconds=20.0)


@dataclass(frozen=True, kw_only=True)
class Notebook:
    """A job that is a notebook: the port that it listens on there, and the token that opens it."""

    job_id: str
    port: int
    token: str = field(repr=False)


def read_token(text: str) -> str:
    """A token from the instance: one that ec2tasks makes. Raises ValueError for any other text."""
    if not re.fullmatch("[0-9a-f]{48}", text):
        raise ValueError("no token")
    return text


def read_notebook(message: Message) -> Notebook:
    """The notebook that an answer is about. Raises ProtocolError for one that can't be understood."""
    return Notebook(
        job_id=message.need("id", read_job_id),
        port=message.need("port", read_port),
        token=message.need("token", read_token),
    )


def running_notebook(host: Host, tools: Tools, job_id: str = "") -> Notebook | None:
    """That job, or the newest, where it is a notebook that runs; None also where the instance does not say.

    Raises ProtocolError.
    """
    answer = tools.capture(script_argv(host, "notebook.sh", job=job_id), limits=ANSWERING)
    lines = answer.stdout.decode(errors="replace").splitlines()
    messages = (read_message(line, "notebook") for line in lines)
    return next((read_notebook(message) for message in messages if message), None)


def notebook_command(first_port: int, site: str, *, everyone: bool) -> str:
    """The command that runs Jupyter, on the first port that is free there; its page is at `site` here.

    `everyone`: it is reached by names other than localhost.
    """
    values = {"first_port": str(first_port), "site": site, "everyone": "yes" if everyone else ""}
    heads = (f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    return "".join(["# notebook\n", *heads, remote_script("jupyter.sh")])
