"""Run the recipes of a Makefile on EC2 as if they had run here.

`from ec2tasks import ns` in a tasks.py gives `inv ec2.run …`, `ns = with_ec2(__name__)` the file's own tasks
too; `from ec2tasks import ec2` a collection to add to your own, `connect` a Fabric Connection to the
project's instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ec2tasks.cli.connection import connect
    from ec2tasks.cli.namespace import with_ec2
    from ec2tasks.cli.tasks import ec2, ns

__version__ = "0.1.0"
__all__ = ["connect", "ec2", "ns", "with_ec2"]
_PLACES = {"connect": "connection", "with_ec2": "namespace", "ec2": "tasks", "ns": "tasks"}


def __getattr__(name: str) -> Any:
    # Late, so that importing one module of the package does not import all of it.
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"ec2tasks.cli.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
