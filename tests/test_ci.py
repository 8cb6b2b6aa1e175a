"""What CI runs is what is promised: each version of Python that people may install, by the same `make`."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from support.repository import REPO

PYPROJECT = (REPO / "pyproject.toml").read_text(encoding="utf-8")
VERSIONS = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    """The jobs of the workflow, by name."""
    workflow = yaml.safe_load((REPO / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = workflow["jobs"]
    return found


def made(job: dict[str, Any]) -> list[str]:
    """The recipes that a job makes."""
    return [step["run"].split()[1] for step in job["steps"] if step.get("run", "").startswith("make ")]


def test_all_tests_run_on_each_python_that_is_promised(jobs: dict[str, Any]) -> None:
    assert jobs["test"]["strategy"]["matrix"]["python"] == VERSIONS
    assert f'requires-python = ">={VERSIONS[0]}"' in PYPROJECT
    assert made(jobs["test"]) == ["test"]


def test_the_quick_tests_run_on_a_mac(jobs: dict[str, Any]) -> None:
    assert jobs["quick"]["runs-on"] == "macos-latest"
    assert made(jobs["quick"]) == ["quick"]


def test_the_quick_tests_run_before_each_commit() -> None:
    hooks = yaml.safe_load((REPO / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    assert [hook["entry"] for hook in hooks] == ["make quick"]
