"""Tells before a launch what a big first push would send, and which of it looks like a cache."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence

from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.base.terminal import shares_terminal
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.sync.caches import Cache, caches
from ec2tasks.sync.entries import Entry, total_size
from ec2tasks.sync.ignore import IGNORE_FILE
from ec2tasks.sync.progress import biggest, size_text
from ec2tasks.sync.push import files_to_push

WORTH_A_LOOK = 200_000_000  # bytes
NAMED = 5  # caches


def look_at_first_push(
    context: CallContext,
    *,
    ask: Callable[[str], bool | None] = output.ask,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Say what a big push to a new instance sends; ask where there is a terminal that nobody shares.

    Raises UsageError for a no, with nothing launched.
    """
    root = context.project.root
    entries = files_to_push(root, context.tools)
    if total_size(entries) < WORTH_A_LOOK:
        return
    output.step(push_text(entries))
    hint = tell_caches(caches(entries), ignores=(root / IGNORE_FILE).is_file())
    question = f"push {size_text(total_size(entries))} to a new instance?"
    if not shares_terminal(environ) and ask(question) is False:
        raise UsageError("nothing was launched: the push was not wanted", hint=hint)


def push_text(entries: Mapping[str, Entry]) -> str:
    """How much is to be pushed, and what makes up most of it."""
    named = ", ".join(f"{name} ({size_text(size)})" for name, size in biggest(entries))
    total = size_text(total_size(entries))
    return f"{total} in {len(entries)} files to push to a new instance; the biggest: {named}"


def tell_caches(found: Sequence[Cache], *, ignores: bool) -> str:
    """Say which folders look like caches, and why; what to type so that they stay here, for an error too."""
    named = found[:NAMED]
    for one in named:
        output.step(f"{one.path} ({size_text(one.size)}) need not travel: {one.reason}")
    hint = ignore_hint([one.pattern for one in named], ignores=ignores)
    if named:
        output.hint(hint)
    return hint


def ignore_hint(patterns: Sequence[str], *, ignores: bool) -> str:
    """What to type so that these stay here; `ignores`: the project has an ignore file already.

    A new one that held these alone would let travel what stays here by default.
    """
    first = "" if ignores else f"`ec2tasks init` writes {IGNORE_FILE}; then "
    if not patterns:
        return f"{first}a line in {IGNORE_FILE} for each path keeps it here"
    words = "; ".join(f"echo {shlex.quote(pattern)} >> {IGNORE_FILE}" for pattern in patterns)
    return f"{first}`{words}` keeps {'it' if len(patterns) == 1 else 'them'} here"
