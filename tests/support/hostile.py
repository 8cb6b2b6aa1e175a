"""Programs that stand in for an ssh whose other side means no good: in the place of ssh, or by themselves."""

from __future__ import annotations

import sys
from pathlib import Path

# What each does, in Python; `out` and `err` are its streams.
WAYS = {
    "prints for ever": "while True: out.write(b'y\\n' * 4096)",
    "prints for ever with no line end": "while True: out.write(b'y' * 4096)",
    "prints zero bytes for ever": "while True: out.write(bytes(4096))",
    "complains for ever": "while True: err.write(b'no\\n' * 4096)",
    "ignores SIGTERM and prints for ever": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: out.write(b'y\\n' * 4096)"
    ),
    "leaves a child that prints for ever": (
        "child = os.fork()\nwhile not child: out.write(b'y\\n' * 4096)\ntime.sleep(600)"
    ),
    "says 700 MB in one line": "for _ in range(700): out.write(b'y' * 1_000_000)",
}
DRIPS = {
    "drips": "while True: out.write(b'y'); time.sleep(0.01)",
    "drips lines": "while True: out.write(b'y\\n'); time.sleep(0.01)",
    "complains in drips": "while True: err.write(b'n'); time.sleep(0.01)",
    "says nothing": "time.sleep(600)",
    "closes its output and stays": "os.close(1); os.close(2); time.sleep(600)",
    "says half a message": "out.write(b'joined version=1 ho'); time.sleep(600)",
}
HEAD = """import os, signal, sys, time
out, err = open(1, "wb", buffering=0, closefd=False), open(2, "wb", buffering=0, closefd=False)
"""


def hostile_argv(way: str) -> list[str]:
    """The command line of a program that does this."""
    return [sys.executable, "-S", "-E", "-c", HEAD + {**WAYS, **DRIPS}[way]]


def hostile_ssh(folder: Path, way: str) -> Path:
    """A folder for PATH, in which `ssh` does this whatever it is asked."""
    folder.mkdir(exist_ok=True)
    ssh = folder / "ssh"
    ssh.write_text(f"#!{sys.executable} -SE\n{HEAD}{ {**WAYS, **DRIPS}[way] }\n", encoding="utf-8")
    ssh.chmod(0o755)
    return folder
