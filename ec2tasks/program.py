"""The same tasks as a command of their own: `ec2tasks run "make eval"`."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from invoke.exceptions import ParseError
from invoke.program import Program
from invoke.vendor import yaml  # the copy that Invoke reads its own files with

from ec2tasks import __version__, report
from ec2tasks.errors import FAILURE_CODE, USAGE_CODE, UsageError

BROKEN_PIPE_CODE = 141  # 128 + SIGPIPE, as a shell says it
HINT = "`ec2tasks --list` lists the tasks, `ec2tasks TASK --help` its options"


class Ec2Program(Program):
    """Invoke's program, with usage errors ending in 2 and hints."""

    def normalize_argv(self, argv: list[str] | None) -> None:
        """Understand `TASK --help`, which Invoke would take for the argument of a task that has one."""
        super().normalize_argv(argv)
        rest = self.argv[2:]
        if {"-h", "--help"} & set(rest) and not self.argv[1].startswith("-"):
            self.argv = [self.argv[0], "--help", self.argv[1]]

    def parse_core(self, argv: list[str] | None) -> None:
        """Read the options before the task's name."""
        with self._as_usage():
            super().parse_core(argv)

    def parse_tasks(self) -> None:
        """Read the task's name and its options."""
        with self._as_usage():
            super().parse_tasks()

    def parse_cleanup(self) -> None:
        """Answer --help, --list and completion."""
        with self._as_usage():
            super().parse_cleanup()

    @contextmanager
    def _as_usage(self) -> Iterator[None]:
        try:
            yield
        except ParseError as error:
            # Invoke takes an option it does not know for the task's argument, and complains of the next.
            unknown = next((word for word in self.argv[1:] if self._is_unknown_option(word)), None)
            what = f"no option `{unknown}`" if unknown else str(error)
            raise UsageError(what, hint=HINT) from error

    def _is_unknown_option(self, word: str) -> bool:
        assert self.namespace is not None
        contexts = [self.initial_context, *self.namespace.to_contexts()]
        known = {flag for context in contexts for flag in (*context.flags, *context.inverse_flags)}
        return bool(re.fullmatch(r"--[a-z][\w-]*", word)) and word not in known


def program() -> Ec2Program:
    """The console script, ready to run an argument list."""
    from ec2tasks.tasks import ec2

    return Ec2Program(name="ec2tasks", binary="ec2tasks", version=__version__, namespace=ec2)


def main() -> None:
    """Run the console script with this process's arguments."""
    try:
        program().run()
    except BrokenPipeError:
        # Whoever read the output, say `head`, has gone: no error of ours, and nothing left to say to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE_CODE)
    except yaml.YAMLError as error:
        # Invoke reads /etc/invoke.* and ~/.invoke.* itself and lets this fly.
        report.warning(f"Invoke's own configuration is not YAML: {' '.join(str(error).split())}")
        sys.exit(USAGE_CODE)
    except Exception:  # noqa: BLE001  # the last edge: shown whole, with the code that says it was us
        traceback.print_exc()
        sys.exit(FAILURE_CODE)
