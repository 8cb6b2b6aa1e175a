"""What a task would do, in words: pure, from the settings alone, so that a plan costs nothing."""

from __future__ import annotations

from pathlib import Path

from ec2tasks.base.final_state import FinalState
from ec2tasks.lifecycle.context import Call


def up_lines(call: Call) -> list[str]:
    """How `up` would get to the instance."""
    settings = call.settings
    kind = "spot instance" if settings.spot else "instance"
    return [
        f"find {kind} `{settings.name}` in {settings.region}, or launch it:"
        f" {' or '.join(settings.instance_type)}, image `{settings.image}`, key pair `{settings.key_name}`"
    ]


def push_line(call: Call) -> str:
    """Where the files would go."""
    return f"push {call.project.root}/ to ~/{call.settings.remote_dir}/"


def pull_line(call: Call) -> str:
    """Where the files would come from."""
    return f"pull ~/{call.settings.remote_dir}/ to {call.project.root}/"


def sync_lines(call: Call, *, push: bool, pull: bool) -> list[str]:
    """What `sync` would move."""
    return [*([push_line(call)] if push else []), *([pull_line(call)] if pull else [])]


def run_lines(call: Call, command: str | None, *, sync: bool) -> list[str]:
    """What `run` would do, first to last."""
    where = Path("~") / call.settings.remote_dir / call.project.below
    return [
        *up_lines(call),
        *([push_line(call)] if sync else []),
        f"run in {where}: {command or 'a shell'}",
        *([pull_line(call)] if sync else []),
        f"{call.settings.final_state} the instance",
    ]


def down_lines(call: Call, wanted: FinalState, *, fetch: bool) -> list[str]:
    """What `down` would do."""
    return [*([pull_line(call)] if fetch else []), f"{wanted.value} instance `{call.settings.name}`"]
