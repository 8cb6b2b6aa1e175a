"""`connect`, for people's own tasks: a Fabric Connection to the project's instance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from ec2tasks.base import hints
from ec2tasks.cli.context import make_context
from ec2tasks.cli.options import from_code
from ec2tasks.cli.task import translated
from ec2tasks.lifecycle.acquire import Acquired, acquire_without_session, check_local_tools
from ec2tasks.lifecycle.host_key_check import held_to_console
from ec2tasks.ssh.connect import fabric_connection

if TYPE_CHECKING:
    from fabric import Connection


@contextmanager
def connect(c: Context | None = None, **options: Any) -> Iterator[Connection]:
    """A Fabric Connection to the project's running instance, for tasks of your own.

    `options` are those of the tasks, or their settings, by name (`region="eu-west-1"`). Starts a stopped
    instance and launches none. Raises Failure where there is none, UsageError for a name that no option has
    or where the project's own files wish what the user has not agreed to.
    https://docs.fabfile.org/en/stable/api/connection.html

        with connect() as there:
            there.run("nvidia-smi")
    """
    with hints.scope():
        context = make_context(c or Context(), from_code(options), asks=False)
        check_local_tools(context, moves=False)
        acquired = Acquired()
        host = translated(lambda: acquire_without_session(context, acquired, may_launch=False))
    with fabric_connection(host) as remote, held_to_console(acquired.key_check, remote.close):
        yield remote
