"""A guard that watches a folder of this machine as the home of an instance's user, unable to power it off."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support.waiting import until

# What it would end this machine with.
OFF = ("systemctl", "shutdown", "poweroff")


class Guard:
    """The guard with this text and these settings, quicker than there; `off` is there once it powers off."""

    def __init__(self, folder: Path, text: str, settings: str = "idle_stop 1800\nmax_seconds 0\n") -> None:
        self.home, self.here, self.off = folder / "home", folder / "run", folder / "off"
        tools, own = folder / "bin", folder / "guard"
        for path in (self.home, self.here, tools, own):
            path.mkdir(exist_ok=True)
        for name in OFF:
            (tools / name).write_text(f"#!/bin/sh\n: >{self.off}\n")
            (tools / name).chmod(0o755)
        (folder / "passwd").write_text(f"kim:x:1000:1000::{self.home}:/bin/bash\n")
        (own / "settings").write_text(settings)
        for old, new in (
            ("/run/ec2tasks-guard", self.here),
            ("/etc/passwd", folder / "passwd"),
            ("/proc/sysrq-trigger", folder / "sysrq"),
            ("tick=5", "tick=0.2"),
        ):
            assert old in text
            text = text.replace(old, str(new))
        self.process = subprocess.Popen(
            ["bash", "-c", text, "guard.sh", str(own)],
            env={"PATH": f"{tools}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
        )

    def state(self) -> dict[str, str]:
        path = self.here / "state"
        lines = path.read_text().splitlines() if path.exists() else []
        return {name: value for name, _, value in (line.partition(" ") for line in lines)}

    def says(self, name: str, value: str) -> None:
        until(lambda: self.state().get(name) == value, f"{name} {value}, but {self.state()}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
