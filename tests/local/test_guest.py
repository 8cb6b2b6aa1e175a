"""The programs that run in an instance: readable, executable, and understood by a plain shell."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

import ec2tasks.local

GUEST = Path(ec2tasks.local.__file__).parent / "guest"
SCRIPTS = sorted([GUEST / "init", *(GUEST / "bin").iterdir()])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_plain_shell_understands_it(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n#")
    subprocess.run(["sh", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)


def test_the_helper_needs_the_standard_library_alone() -> None:
    tree = ast.parse((GUEST / "netsetup.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names <= {"fcntl", "os", "socket", "struct", "sys"}
