"""What listens on the instance for connections, as its kernel tells it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import KIBIBYTE, Limits
from ec2tasks.base.process import Tools
from ec2tasks.remote.protocol import JOB_ID, Message, ProtocolError, read_message, script_argv
from ec2tasks.ssh.forwards import Forward
from ec2tasks.ssh.host import Host

ANSWERING = Limits(out=256 * KIBIBYTE, seconds=30.0)
TOLD_LIMIT = 20  # servers of one call
NAME_LIMIT = 15  # characters of a program's name, as the kernel cuts it


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A TCP port that is listened on; whose it is where it is the login user's.

    `public`: on an address of the instance's, not on its loopback alone. `job`: whose job started it.
    """

    port: int
    public: bool
    program: str
    job: str


def read_port(text: str) -> int:
    """A port from the instance. Raises ValueError for what is none."""
    if not re.fullmatch("[0-9]{1,5}", text, re.ASCII) or not 0 < int(text) < 65536:
        raise ValueError(f"no port: {text!r}")
    return int(text)


def read_listener(message: Message) -> Listener:
    """What a line of listening.sh's tells. Raises ProtocolError for one that can't be understood.

    What is no job's id names no job: it stands in the environment of whatever listens.
    """
    job = message.get("job", str, "")
    return Listener(
        port=message.need("port", read_port),
        public=message.get("reach", str, "") == "all",
        program=message.get("program", str, "")[:NAME_LIMIT],
        job=job if JOB_ID.fullmatch(job) else "",
    )


def say_server(message: Message, told: set[int], opened: Callable[[], Iterable[Forward]]) -> None:
    """Say once that a job begins to listen on a port that is not open here, and what opens it.

    Of those `told` there are never many, whatever the instance says.
    """
    try:
        server = read_listener(message)
    except ProtocolError:
        return
    if server.port in told or len(told) >= TOLD_LIMIT:
        return
    told.add(server.port)
    if not any(one.leads_to(server.port) for one in opened()):
        who = server.program or "the command"
        output.step(
            f"{who} listens on port {server.port} there: `ec2tasks ports {server.port}` brings it here"
        )


def listeners(host: Host, tools: Tools) -> list[Listener]:
    """What listens on the instance, by port. Raises Failure where it can't be asked."""
    answer = tools.capture(script_argv(host, "listening.sh"), limits=ANSWERING).within_limits()
    if answer.returncode != 0:
        said = answer.stderr.decode(errors="replace").strip()
        raise Failure(
            f"the instance does not tell what listens there: {said}",
            hint="try again; `ec2tasks status` shows the instance",
        )
    lines = answer.stdout.decode(errors="replace").splitlines()
    messages = (read_message(line, "listening") for line in lines)
    found = {read_listener(message) for message in messages if message}
    return sorted(found, key=lambda one: (one.port, not one.public))
