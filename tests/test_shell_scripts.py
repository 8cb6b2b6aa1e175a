"""Shell scripts, those that run on the instance and those of the repository, as shellcheck reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.repository import REPO

BASH = [*sorted((REPO / "ec2tasks" / "remote").glob("*.sh")), REPO / "ec2tasks" / "cli" / "completion.bash"]
OWN = sorted((REPO / "scripts").glob("*.sh"))


@pytest.mark.slow
@pytest.mark.parametrize("path", [*BASH, *OWN], ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    shell = "bash" if path in BASH else "sh"
    done = subprocess.run(["shellcheck", "-s", shell, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
