"""The same tasks as a command of their own: `ec2tasks run "make eval"`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

import yaml
from invoke.exceptions import ParseError
from invoke.program import Program

from ec2tasks import __version__, report
from ec2tasks.errors import FAILURE_CODE, USAGE_CODE, UsageError


class Ec2Program(Program):
    """Invoke's program, with usage errors ending in 2 and hints."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Read the options before the task's name."""
        _as_usage(lambda: super(Ec2Program, self).parse_core(argv))

    def parse_tasks(self) -> None:
        """Read the task's name and its options."""
        _as_usage(super().parse_tasks)

    def parse_cleanup(self) -> None:
        """Answer --help, --list and completion."""
        _as_usage(super().parse_cleanup)


def _as_usage(parse: Callable[[], Any]) -> None:
    try:
        parse()
    except ParseError as error:
        raise UsageError(
            str(error), hint="`ec2tasks --list` lists the tasks, `ec2tasks TASK --help` its options"
        ) from error


def program() -> Ec2Program:
    """The console script, ready to run an argument list."""
    from ec2tasks.tasks import ec2

    return Ec2Program(name="ec2tasks", binary="ec2tasks", version=__version__, namespace=ec2)


def main() -> None:
    """Run the console script with this process's arguments."""
    try:
        program().run()
    except yaml.YAMLError as error:
        # Invoke reads /etc/invoke.* and ~/.invoke.* itself and lets this fly.
        report.warning(f"Invoke's own configuration is not YAML: {' '.join(str(error).split())}")
        sys.exit(USAGE_CODE)
    except Exception:  # noqa: BLE001  # the last edge: shown whole, with the code that says it was us
        traceback.print_exc()
        sys.exit(FAILURE_CODE)
