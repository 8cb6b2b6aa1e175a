"""A scratch project, and the commands run in it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@dataclass(kw_only=True)
class ScratchProject:
    """A scratch project, and the commands run in it."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        """A file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def read(self, name: str) -> str:
        """The text of a file of the project."""
        return (self.root / name).read_text(encoding="utf-8")

    def call(
        self, *argv: str, stdin: str = "", cwd: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> CommandResult:
        """Run a command in the project, its three streams as pipes."""
        done = subprocess.run(
            argv,
            cwd=cwd or self.root,
            env={**self.environ, **(environ or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=240,
        )
        return CommandResult(code=done.returncode, out=done.stdout, err=done.stderr)

    def ec2tasks(self, *words: str, **options: str) -> CommandResult:
        """Run `ec2tasks WORDS` in the project."""
        return self.call("ec2tasks", *words, environ=options)

    def trust(self) -> None:
        """Agree to all that the project's own files wish beyond its folder."""
        said = self.ec2tasks("trust", "--yes")
        assert said.code == 0, said.err

    def status(self) -> dict[str, Any] | None:
        """The project's instance as `ec2tasks status` tells it."""
        said = self.ec2tasks("status", "--json")
        assert said.code == 0, said.err
        instance: dict[str, Any] | None = json.loads(said.out)
        return instance


def other_machine(project: ScratchProject, folder: Path) -> ScratchProject:
    """Another machine of the same user: the same key, nothing else remembered."""
    home = folder / "other"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    for key in (Path(project.environ["HOME"]) / ".ssh").glob("ec2tasks*"):
        (home / ".ssh" / key.name).write_bytes(key.read_bytes())
        (home / ".ssh" / key.name).chmod(0o600)
    return replace(project, environ={**project.environ, "HOME": str(home)})
