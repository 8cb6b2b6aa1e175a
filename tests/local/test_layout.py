from __future__ import annotations

from pathlib import Path

import pytest

from ec2tasks.local.layout import Layout, state_folder


@pytest.mark.parametrize(
    ("environ", "uid", "expected"),
    [
        ({"EC2_LOCAL_DIR": "/x/y"}, 0, "/x/y"),
        ({"EC2_LOCAL_DIR": "/x/y"}, 1000, "/x/y"),
        ({"HOME": "/root"}, 0, "/var/lib/ec2tasks/local-4771ec93"),
        ({"HOME": "/root", "EC2_LOCAL_DIR": ""}, 0, "/var/lib/ec2tasks/local-4771ec93"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/root/.local/state"}, 0, "/var/lib/ec2tasks/local-4771ec93"),
        ({"XDG_STATE_HOME": "/s"}, 1000, "/s/ec2tasks/local"),
        ({"HOME": "/h"}, 1000, "/h/.local/state/ec2tasks/local"),
    ],
)
def test_the_state_folder_is_the_chosen_one_else_the_usual_one(
    environ: dict[str, str], uid: int, expected: str
) -> None:
    assert state_folder(environ, uid) == Path(expected)


def test_the_cache_lies_outside_what_ends_with_the_server() -> None:
    layout = Layout(root=Path("/r"))
    assert layout.caches("pytorch") == Path("/r/cache/pytorch")
    assert layout.instances not in layout.caches("pytorch").parents
