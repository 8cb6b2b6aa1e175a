"""The scripts that run on the instance, run on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ec2tasks.remote.protocol import Value, bash_argv


def instance_script_argv(name: str, /, *verb: str, **fields: Value) -> list[str]:
    """The command that runs `ec2tasks/remote/NAME` here as ssh would run it there; skips where it can't."""
    skip_without_linux()
    return bash_argv(name, *verb, before="", **fields)


def in_home(home: Path, argv: Sequence[str]) -> list[str]:
    """The command that runs one of the instance's scripts here with another home; skips where it can't."""
    skip_without_linux()
    return ["env", f"HOME={home}", *argv]


def skip_without_linux() -> None:
    """Skip a test that runs here what runs on the instance."""
    if sys.platform != "linux":
        pytest.skip("what runs on the instance needs Linux")
