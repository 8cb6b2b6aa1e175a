"""The scripts that run on the instance, as they stand in `remote/`."""

from __future__ import annotations

from importlib import resources


def remote_script(name: str) -> str:
    """The text of one of the scripts, by its file's name."""
    return resources.files("ec2tasks").joinpath("remote", name).read_text(encoding="utf-8")


def without_comments(script: str) -> str:
    """A script without the lines that are comments or empty: it goes where room or time is short."""
    lines = (line for line in script.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return "".join(f"{line}\n" for line in lines)
