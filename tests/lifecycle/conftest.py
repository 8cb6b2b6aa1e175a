from __future__ import annotations

from pathlib import Path

import pytest

from ec2tasks.base.state import State, open_state


@pytest.fixture
def state(tmp_path: Path) -> State:
    return open_state({"HOME": str(tmp_path)})
