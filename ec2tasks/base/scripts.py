"""The scripts that run on the instance, as they stand in `remote/`."""

from __future__ import annotations

from importlib import resources


def remote_script(name: str) -> str:
    """The text of one of the scripts, by its file's name."""
    return resources.files("ec2tasks").joinpath("remote", name).read_text(encoding="utf-8")


def compact(script: str) -> str:
    """A script as it goes where room or time is short: without comments, empty lines and indentation."""
    lines = (line.strip() for line in script.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))
