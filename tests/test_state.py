from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ec2tasks.errors import Failure
from ec2tasks.state import SOCKET_FOLDER_LIMIT, lock, open_state, recall, remember


def environ(tmp_path: Path, name: str = "h") -> dict[str, str]:
    return {"HOME": str(tmp_path / name)}


def test_what_is_remembered_comes_back(tmp_path: Path) -> None:
    state = open_state(environ(tmp_path))
    assert recall(state, "x") is None
    remember(state, "x", {"id": "i-1"})
    assert recall(state, "x") == {"id": "i-1"}
    (state.folder / "seen" / "x").write_text("half a fi")
    assert recall(state, "x") is None


def test_folders_are_the_user_s_alone_and_short_enough_for_sockets(tmp_path: Path) -> None:
    state = open_state(environ(tmp_path, "a-very-long-name-of-a-home" * 4))
    assert state.folder.stat().st_mode & 0o077 == 0
    assert state.sockets.stat().st_mode & 0o077 == 0
    assert len(os.fspath(state.sockets)) <= SOCKET_FOLDER_LIMIT
    state.sockets.rmdir()


def test_a_folder_of_sockets_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    values = environ(tmp_path)
    sockets = open_state(values).sockets
    sockets.chmod(0o755)
    with pytest.raises(Failure, match="not a folder of yours alone"):
        open_state(values)
    sockets.rmdir()


def test_a_lock_goes_with_its_owner(tmp_path: Path) -> None:
    state = open_state(environ(tmp_path))
    code = (
        "import os, sys; from ec2tasks.state import *; from pathlib import Path\n"
        f"with lock(open_state({environ(tmp_path)!r}), 'x'): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code])
    with lock(state, "x"):
        pass


def test_a_home_that_can_t_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="can't be made"):
        open_state({"HOME": str(tmp_path / "file")})
