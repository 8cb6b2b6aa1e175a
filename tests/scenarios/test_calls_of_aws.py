"""How often AWS is asked: figures that hold on any machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient
from support.project import ScratchProject

from ec2tasks.cli.program import program

# What the program leaves open ends with it; here it is one call of many in one process.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
Asks = Callable[..., list[str]]


@pytest.fixture
def asks(warm: ScratchProject, monkeypatch: pytest.MonkeyPatch) -> Asks:
    """What a task asks of AWS, by the names of its calls."""
    asked: list[str] = []
    ask = BaseClient._make_api_call  # type: ignore[attr-defined]  # botocore's own, which the stubs leave out

    def counted(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        asked.append(operation)
        return ask(self, operation, parameters)

    def call(*words: str) -> list[str]:
        asked.clear()
        program().run(["ec2tasks", *words])  # one that fails raises SystemExit
        return list(asked)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    monkeypatch.chdir(warm.root)
    for name, value in warm.environ.items():
        monkeypatch.setenv(name, value)
    return call


def test_a_warm_run_asks_nothing(asks: Asks) -> None:
    assert asks("run", "--leave", "true") == []


def test_status_asks_once_and_ls_once_for_all_instances(asks: Asks) -> None:
    assert asks("status") == ["DescribeInstances"]
    # One page for up to a thousand instances; the others are for what they left behind.
    assert sorted(asks("ls")) == ["DescribeAddresses", "DescribeInstances", "DescribeVolumes"]
