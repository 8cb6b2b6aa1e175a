"""How many machines `ec2tasks make` is asked to take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ec2tasks.base.errors import UsageError


def machines_of(given: Mapping[str, Any]) -> int | None:
    """The number of machines asked for, None for the project's one. Raises UsageError for no number."""
    text = given.get("machines")
    if text is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,2}", text):
        raise UsageError(f"--machines {text}: no number of machines", hint="from 1 on: --machines 4")
    if given["detach"]:
        raise UsageError(
            "--detach with --machines: which of them is free could not be told then",
            hint="`ec2tasks make --detach --name NAME TARGET` for each",
        )
    return int(text)
