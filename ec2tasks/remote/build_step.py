"""Runs on the instance, by its own Python (3.9 or newer): what the steps of building an environment share.

Nothing but the standard library is imported, and these modules by each other.
"""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

PROTOCOL = 1
HOME = Path.home()
ENVIRONMENTS = HOME / ".ec2tasks" / "env"
# uv trusts what the system trusts, as pip does: a company's certificates; older and newer name.
UV = {"UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1", "UV_NO_PROGRESS": "1"}
TOOLS = HOME / ".ec2tasks" / "tools"


class BrokenError(Exception):
    """A step failed: its name, and what the tool said last."""

    def __init__(self, step: str, said: str) -> None:
        super().__init__(step, said)
        self.step, self.said = step, said


def say(verb: str, **values: str) -> None:
    """A line for the client; each value as protocol.py reads it."""
    fields = [
        f"{name}=base64:{base64.b64encode(text.encode()).decode()}" for name, text in values.items() if text
    ]
    sys.stdout.write(" ".join([verb, f"version={PROTOCOL}", *fields]) + "\n")
    sys.stdout.flush()


class Build:
    """One environment in the making: the request, its folder, where its log goes."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.place = Path(ENVIRONMENTS, request["key"])
        self.source, self.venv = self.place / "source", self.place / "venv"
        self.log = Path(ENVIRONMENTS, f"{request['key']}.log")
        # Names and tokens of private indexes are in this process's environment alone.
        self.environ = {**os.environ, **UV, **request["variables"]}
        self.environ.pop("VIRTUAL_ENV", None)

    @property
    def folder(self) -> Path:
        """Where a tool is run: in the project's folder, where it needs more than the files."""
        return Path(HOME, self.request["folder"]) if self.request["tree"] else self.source

    def run(self, step: str, *argv: object, stdin: str = "", **environ: str) -> str:
        """A tool's output. Raises BrokenError where it fails, or is missing."""
        words = [str(word) for word in argv]
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(words)}\n")
            try:
                done = subprocess.run(
                    words,
                    cwd=self.folder,
                    env={**self.environ, **environ},
                    input=stdin,
                    capture_output=True,
                    text=True,
                    errors="replace",
                )
            except OSError as error:
                raise BrokenError(step, str(error)) from error
            log.write(done.stderr)
        if done.returncode != 0:
            raise BrokenError(
                step, done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
            )
        return done.stdout
