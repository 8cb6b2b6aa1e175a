"""The same tasks as a command of their own: `ec2tasks run "make eval"`."""

from __future__ import annotations

import difflib
import os
import re
import sys
import traceback
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program

from ec2tasks import __version__
from ec2tasks.base import output
from ec2tasks.base.errors import FAILURE_CODE, USAGE_CODE, UsageError
from ec2tasks.cli import invoked
from ec2tasks.cli.typed_words import flags, options_end

BROKEN_PIPE_CODE = 141  # 128 + SIGPIPE, as a shell says it
OPTION = re.compile(r"--[a-z][\w-]*(=.*)?", re.DOTALL)
HINT = "`ec2tasks --list` lists the tasks, `ec2tasks TASK --help` its options"


# tasks of one argument that may be left out
TAKE_ONE = ("attach", "finish", "cancel", "logs", "use", "report", "ports")


class Ec2Program(Program):
    """Invoke's program, with usage errors ending in 2 and hints."""

    def normalize_argv(self, argv: list[str] | None) -> None:
        """Understand `run WORD…`, and `TASK --help`, which Invoke would take for the argument of a task."""
        super().normalize_argv(argv)
        self.argv = [self.argv[0], *self._with_one_command(self.argv[1:])]
        rest = self.argv[2:]
        if {"-h", "--help"} & set(rest) and not self.argv[1].startswith("-"):
            self.argv = [self.argv[0], "--help", self.argv[1]]

    def _with_one_command(self, words: list[str]) -> list[str]:
        """`run -L 8888 who am i` as `run -L 8888 'who am i'`: Invoke has no argument of several words."""
        assert self.namespace is not None
        core = flags([*self.core_args(), *self.task_args()])
        start = options_end(words, core)
        if words[start : start + 1] and words[start] in TAKE_ONE:
            return [*words[: start + 1], *self._with_named(words[start], words[start + 1 :], core)]
        if words[start : start + 1] != ["run"]:
            return words
        own = flags(self.namespace["run"].get_arguments())
        start += 1
        end = start + options_end(words[start:], {**core, **own})
        return [*words[:end], *one_command(words[end:], own)]

    def _with_named(self, task: str, words: list[str], core: dict[str, Argument]) -> list[str]:
        """`logs JOB` as `logs --job JOB`: Invoke has no argument that may be left out."""
        assert self.namespace is not None
        end = options_end(words, {**core, **flags(self.namespace[task].get_arguments())})
        option = "--port" if task == "ports" else "--job"
        return [*words[:end], *([option] if end < len(words) else []), *words[end:]]

    def parse_core_args(self) -> None:
        """Read the options before the task's name; a shell that completes words is answered at once."""
        super().parse_core_args()
        shell = self.args["print-completion-script"].value
        if self.args.complete.value or shell:
            from ec2tasks.cli import completion

            assert self.namespace is not None
            core = flags([*self.core_args(), *self.task_args()])
            words = completion.typed(self.argv)
            completion.print_script(shell) if shell else completion.answer(words, self.namespace, core)
            raise Exit

    def print_help(self) -> None:
        """Show the tasks by what they are for, then what Invoke takes before a task's name."""
        from ec2tasks.cli.grouped_help import groups

        output.document(f"Usage: {self.binary} TASK [OPTIONS]; `{self.binary} TASK --help` for its options\n")
        for title, rows in groups():
            output.document(f"{title}:\n")
            self.print_columns(rows)
        output.document("Invoke's own options, before the task's name:\n")
        self.print_columns(self.initial_context.help_tuples())

    def parse_core(self, argv: list[str] | None) -> None:
        """Read the options before the task's name."""
        with self._as_usage():
            super().parse_core(argv)

    def parse_tasks(self) -> None:
        """Read the task's name and its options."""
        with self._as_usage():
            super().parse_tasks()

    def execute(self) -> None:
        """Run the tasks, which may ask what else was called."""
        invoked.runs(self)
        super().execute()

    def parse_cleanup(self) -> None:
        """Answer --help, --list and completion."""
        with self._as_usage():
            super().parse_cleanup()

    @contextmanager
    def _as_usage(self) -> Iterator[None]:
        try:
            yield
        except ParseError as error:
            raise self._mistake(str(error)) from error

    def _mistake(self, message: str) -> UsageError:
        """What is wrong with these words, and what was meant, where Invoke only says which it can't place."""
        assert self.namespace is not None
        contexts = {str(task.name): task for task in self.namespace.to_contexts()}
        words, core = self.argv[1:], flags([*self.core_args(), *self.task_args()])
        start = options_end(words, core)
        if (wrong := strange(words[:start], core)) is not None:
            return UsageError(f"no option `{wrong}`", hint=meant(wrong, core) or HINT)
        task = words[start] if start < len(words) else ""
        if task not in contexts:
            return UsageError(f"no task `{task}`" if task else message, hint=meant(task, contexts) or HINT)
        named = [contexts[word] for word in words[start:] if word in contexts]
        known = [flag for task in named for flag in (*task.flags, *task.inverse_flags)]
        if (wrong := strange(words[start:], [*known, *core])) is None:
            return UsageError(message, hint=HINT)
        hint = meant(wrong, known) or f"`ec2tasks {task} --help` lists its options"
        return UsageError(f"`ec2tasks {task}` has no option `{wrong}`", hint=hint)


def strange(words: Iterable[str], known: Container[str]) -> str | None:
    """The first of these words that has the form of a long option and is none."""
    return next((word for word in words if OPTION.fullmatch(word) and word.split("=")[0] not in known), None)


def meant(word: str, known: Iterable[str]) -> str | None:
    """The question whether the nearest of these was meant; None where none is near."""
    near = difflib.get_close_matches(word.split("=")[0], known, n=1, cutoff=0.75 if word[0:1] == "-" else 0.6)
    return f"did you mean `{near[0]}`?" if near else None


def one_command(words: Sequence[str], known: Mapping[str, Argument]) -> list[str]:
    """The words of a command as one text, joined by spaces as ssh joins them.

    A text of several words is the whole command: options may follow it. Raises UsageError for an option of
    `run` behind a command's first word: whose it is can't be told.
    """
    if words[:1] == ["--"]:
        return [" ".join(words[1:])]
    if len(words) < 2 or re.search(r"\s", words[0]) or "--help" in words:
        return list(words)
    ours = next((word for word in words if word.startswith("--") and word.split("=")[0] in known), None)
    if ours:
        raise UsageError(
            f"`{ours}` stands behind the command: it could be the command's option or that of `run`",
            hint=f'`ec2tasks run {ours} … {words[0]} …` for `run`, `ec2tasks run "{words[0]} {ours} …"`'
            " for the command",
        )
    return [" ".join(words)]


def program() -> Ec2Program:
    """The console script, ready to run an argument list."""
    from ec2tasks.cli.tasks import ec2

    return Ec2Program(name="ec2tasks", binary="ec2tasks", version=__version__, namespace=ec2)


def main() -> None:
    """Run the console script with this process's arguments."""
    try:
        try:
            program().run()
        finally:
            sys.stdout.flush()  # what Invoke has printed itself
    except BrokenPipeError:
        # Whoever read the output, say `head`, has gone: no error of ours, and nothing left to say to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE_CODE)
    except Exception as error:  # noqa: BLE001  # the last edge
        sys.exit(_last_words(error))


def _last_words(error: Exception) -> int:
    """Say what nobody expected, whole; the code that says it was us: 2 where it is Invoke's configuration."""
    from invoke.vendor import yaml  # the copy that Invoke reads its own files with, and lets their errors fly

    if isinstance(error, yaml.YAMLError):
        output.warning(f"Invoke's own configuration is not YAML: {' '.join(str(error).split())}")
        return USAGE_CODE
    output.document("".join(traceback.format_exception(error)).rstrip(), sys.stderr)
    return FAILURE_CODE
