"""The tasks of a project's own tasks.py, with those of ec2tasks beside them: `ns = with_ec2(__name__)`.

Invoke takes a module's `ns` for all that there is in it, and finds no task that stands around it.
"""

from __future__ import annotations

import sys

from invoke.collection import Collection
from invoke.tasks import Task
from invoke.vendor.lexicon import Lexicon

from ec2tasks.cli.options import Ec2Task
from ec2tasks.cli.tasks import ec2


class OwnTasks(Collection):
    """The collection `ec2`, and the tasks of a module, before and behind the line that makes this.

    Invoke looks into a module's `ns` once all of the module has run.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._own = Collection()
        super().__init__(ec2)

    def _gathered(self) -> Collection:
        """The tasks that were added, and those that stand in the module by now."""
        for task in list(vars(sys.modules[self._module]).values()):
            # What was taken out of `ec2` to be called has its name there.
            if (
                isinstance(task, Task)
                and not isinstance(task, Ec2Task)
                and task not in self._own.tasks.values()
            ):
                self._own.add_task(task)
        return self._own

    @property
    def tasks(self) -> Lexicon:
        """The tasks by name."""
        return self._gathered().tasks

    @tasks.setter
    def tasks(self, tasks: Lexicon) -> None:
        self._own.tasks = tasks

    @property
    def default(self) -> str | None:
        """The name of the task that is called where none is named."""
        return self._gathered().default

    @default.setter
    def default(self, name: str | None) -> None:
        self._own.default = name


def with_ec2(module: str) -> Collection:
    """The collection of a tasks.py whose `__name__` this is: all of its own tasks, and `ec2`."""
    return OwnTasks(module)
