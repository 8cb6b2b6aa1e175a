"""The environment of a user who has just logged in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

OURS = (
    *("AWS_", "EC2_", "INVOKE_", "CONDA", "MAKE", "MFLAGS", "TRIGRAM"),
    *("MULTIPLEX", "SSH_AUTH_SOCK", "XDG_", "NO_COLOR"),
)


def clean_environment(home: Path) -> dict[str, str]:
    """The environment of a user who has just logged in: nothing of the machine's that ec2tasks would read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    tools = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "HOME": str(home), "USER": "tester", "PATH": tools, "AWS_EC2_METADATA_DISABLED": "true"}
