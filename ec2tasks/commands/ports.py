"""The ports of the instance: what listens there, what is open here, and one more opened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.config.parsers import forward as parse_forward
from ec2tasks.lifecycle.acquire import connect_running
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.remote.listening import Listener, listeners
from ec2tasks.ssh.forwards import CONNECTION, Forward, forward, open_here
from ec2tasks.ssh.host import KEPT_SECONDS
from ec2tasks.ssh.ports import destination, free_port, is_free, listen_address

if TYPE_CHECKING:
    from ec2tasks.base.answers import PortAnswer


def ports_there(context: CallContext) -> list[PortAnswer]:
    """What listens on the running instance, or is forwarded from it, and where it is here."""
    host = connect_running(context)
    return joined(listeners(host, context.tools), open_here(host, context.tools))


def joined(listening: Sequence[Listener], opened: Collection[Forward]) -> list[PortAnswer]:
    """Each port once: what listens there, then what is open here and leads to nothing that does."""
    answers: dict[int, PortAnswer] = {}
    for one in sorted(listening, key=lambda one: one.public):
        here = sorted(place_of(each) for each in opened if each.leads_to(one.port))
        answers[one.port] = {
            "port": one.port,
            "program": one.program or None,
            "job": one.job or None,
            "here": here,
            "forward": None,
        }
    rest = [each for each in opened if not any(each.leads_to(port) for port in answers)]
    return [*(answers[port] for port in sorted(answers)), *(_unanswered(each) for each in sorted(rest))]


def _unanswered(opened: Forward) -> PortAnswer:
    here = [place_of(opened)] if opened.option == "-L" else []
    return {"port": None, "program": None, "job": None, "here": here, "forward": " ".join(opened.words)}


def place_of(opened: Forward) -> str:
    """Where a forward listens here, as ADDRESS:PORT."""
    address, port = listen_address(opened.spec)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def table_rows(answers: Sequence[PortAnswer]) -> list[tuple[str, ...]]:
    """The ports as a table, its heading first."""
    heading = ("PORT THERE", "PROGRAM", "JOB", "HERE")
    return [heading, *(_row(answer) for answer in answers)]


def _row(answer: PortAnswer) -> tuple[str, ...]:
    there = answer["forward"] or str(answer["port"])
    here = ", ".join(answer["here"]) or "-"
    return (there, answer["program"] or "-", answer["job"] or "-", here)


def open_port(context: CallContext, wish: str) -> None:
    """Open a port of the running instance here, for as long as the connection to it stands.

    `wish` as -L takes it. Raises UsageError for one that is taken here, Failure where no instance runs.
    """
    read_forward(wish)  # a slip of the keyboard needs no instance
    host, tools = connect_running(context), context.tools
    wanted = chosen(wish, open_here(host, tools))
    forward(host, tools, [wanted], holder=CONNECTION)
    (name, port), here = destination(wanted.spec), place_of(wanted)
    output.data(f"http://{here}/" if name == "localhost" else here)
    output.step(f"{here} leads to port {port} of {'the instance' if name == 'localhost' else name}")
    output.step(
        f"it is open while a run, say, uses the connection to the instance, and {KEPT_SECONDS // 60} min"
        " more; a run from here opens it again where that breaks"
    )
    if name == "localhost" and port not in {one.port for one in listeners(host, tools)}:
        output.warning(f"nothing listens on port {port} there yet", hint="`ec2tasks ports` lists what does")


def chosen(wish: str, opened: Collection[Forward], *, free: Callable[[str], bool] = is_free) -> Forward:
    """The forward for what the user asked for, with a word where a port without more (`8050`) is taken here.

    What is open already is taken for it; then the next port that is free here. Raises UsageError for none.
    """
    forward = Forward(spec=read_forward(wish))
    if not wish.isdigit() or forward in opened:
        return forward
    _, port = destination(forward.spec)
    if known := [one for one in sorted(opened) if one.leads_to(port)]:
        return known[0]
    here = free_port(port, free=free)
    if here != port:
        output.step(f"port {port} is taken here: it is port {here}")
    return Forward(spec=f"{here}:localhost:{port}")


def read_forward(wish: str) -> str:
    """What `ec2tasks ports` was given as ssh takes it. Raises UsageError for what is no port."""
    try:
        return parse_forward(wish)
    except ValueError as error:
        raise UsageError(str(error), hint="`ec2tasks ports 8050` opens port 8050") from error
