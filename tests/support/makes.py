"""The makes that are tested, what their environment holds, and the cases they are tested by."""

from __future__ import annotations

import os
from typing import Any

import pytest
import yaml

from support.repository import REPO

# Several GNU Makes are tested with TEST_MAKES=/path/to/make-4.4:/path/to/make-3.81.
MAKES = ["make", *filter(None, os.environ.get("TEST_MAKES", "").split(os.pathsep))]
ENVIRON = {"PATH": os.environ["PATH"]}


def cases(name: str) -> list[Any]:
    """The cases of a file in tests/cases, each as a parameter of its name."""
    entries = yaml.safe_load((REPO / "tests" / "cases" / name).read_text(encoding="utf-8"))
    return [pytest.param(entry, id=entry["name"]) for entry in entries]
