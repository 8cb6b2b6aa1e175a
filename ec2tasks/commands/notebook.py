"""Runs Jupyter on the instance, or joins the one that runs there, its page in the browser here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.commands.attach import finish
from ec2tasks.commands.notebook_page import Page, shown
from ec2tasks.commands.run import RunRequest, run
from ec2tasks.lifecycle.acquire import connect_running
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.lease import Lease
from ec2tasks.remote.notebook import Notebook, notebook_command, running_notebook
from ec2tasks.ssh.forwards import Forward, forward, open_here, stop_forwarding
from ec2tasks.ssh.ports import check_ports_free, destination, free_port, listen_address

PORT = 8888  # Jupyter's own, here and on the instance


@dataclass(frozen=True, kw_only=True)
class Running:
    """A notebook that runs, and where it is open here already, as a forward begins; empty for nowhere."""

    notebook: Notebook
    here: str = ""


def find_running(context: CallContext) -> Running | None:
    """The project's notebook that runs, None where there is none or its instance does not run."""
    with contextlib.suppress(Failure):
        host = connect_running(context)
        found = running_notebook(host, context.tools)
        if found:
            opened = sorted(one for one in open_here(host, context.tools) if one.leads_to(found.port))
            return Running(notebook=found, here=beginning(opened[0].spec) if opened else "")
    return None


def beginning(spec: str) -> str:
    """What stands in a forward before where it leads to, `[BIND:]PORT`."""
    return spec.rsplit(":", 2)[0]


def split_ports(forwards: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Where the user wants Jupyter's own port here, as a forward begins, and their other forwards."""
    own = [one for one in forwards if destination(one) == ("localhost", PORT)]
    return beginning(own[0]) if own else "", tuple(one for one in forwards if one not in own[:1])


def choose_here(wish: str, others: Sequence[str], opened: str = "") -> str:
    """Where the page is here, as a forward begins: as the user wishes, where it is open, else a free port.

    Says so where that is another port than Jupyter's own. Raises UsageError for a wish that is taken.
    """
    if wish and wish != opened:
        check_ports_free([f"{wish}:localhost:{PORT}"])
    if wish or opened:
        return wish or opened
    here = free_port(PORT, taken={listen_address(one)[1] for one in others})
    if here != PORT:
        output.step(f"port {PORT} is taken here: the page is at port {here}")
    return str(here)


def notebook(context: CallContext, request: RunRequest, *, browser: bool) -> int:
    """Run Jupyter, or join the one that runs; returns the run's exit code."""
    wish, others = split_ports(context.settings.ports)
    context = replace(context, settings=replace(context.settings, ports=others))
    running = find_running(context)
    if running:
        return _join(context, request, running, wish, browser=browser)
    page = Page(here=choose_here(wish, others))
    if request.detach:
        return _leave(context, with_jupyter(request, page))
    show = partial(_page_of, page, browser=browser)
    return run(context, replace(with_jupyter(request, page), beside=show))


def with_jupyter(request: RunRequest, page: Page) -> RunRequest:
    """The request for a run of Jupyter whose page is this one."""
    command = notebook_command(PORT, page.site, everyone=page.for_everyone)
    return replace(request, command=command, recipe="notebook", variables={"JUPYTER_TOKEN": page.token})


def _leave(context: CallContext, request: RunRequest) -> int:
    """Begin one and leave it; in no multiplexer, whose terminal nobody needs."""
    settings = replace(context.settings, multiplex=context.settings.multiplex or "none")
    code = run(replace(context, settings=settings), request)
    if code == 0:
        output.hint("`ec2tasks notebook` opens its page")
    return code


def _join(context: CallContext, request: RunRequest, running: Running, wish: str, *, browser: bool) -> int:
    """Be with a notebook that runs until it ends or is left; then as its own run would have ended."""
    found = running.notebook
    page = Page(here=choose_here(wish, context.settings.ports, running.here), token=found.token)
    output.step(f"joining the notebook that runs, job {found.job_id}")
    if request.detach:
        output.step("it is left as it is; `ec2tasks notebook` opens its page")
        return 0
    show = partial(_page_of, page, job_id=found.job_id, browser=browser)
    return finish(context, found.job_id, fetches=request.sync, verbose=request.verbose, beside=show)


@contextlib.contextmanager
def _page_of(page: Page, lease: Lease, *, job_id: str = "", browser: bool) -> Iterator[None]:
    """While inside, show the page of that job, else of the call's own, once it answers."""
    tools, opened = lease.context.tools, list[Forward]()
    job_id = job_id or lease.operation.job_id

    def reach() -> bool:
        found = running_notebook(lease.host, tools, job_id)
        if found is None:
            return False
        opened[:] = [page.forward(found.port)]
        forward(lease.host, tools, opened)
        return True

    try:
        with shown(page, reach=reach, browser=browser):
            yield
    finally:
        with contextlib.suppress(Failure):
            stop_forwarding(lease.host, tools, opened)
