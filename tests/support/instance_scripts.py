"""The scripts that run on the instance, run on this machine."""

from __future__ import annotations

import sys

import pytest

from ec2tasks.base.scripts import remote_script


def instance_script_argv(name: str, *words: str) -> list[str]:
    """The command that runs `ec2tasks/remote/NAME` here as ssh would run it there; skips where it can't."""
    if sys.platform != "linux":
        pytest.skip("what runs on the instance needs Linux")
    return ["bash", "-c", remote_script(name), name, *words]
