from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ec2tasks.base.errors import Failure
from ec2tasks.base.state import SOCKET_FOLDER_LIMIT, lock, open_state, read_cached, write_cached


def environ(tmp_path: Path, name: str = "h") -> dict[str, str]:
    return {"HOME": str(tmp_path / name)}


def test_what_is_remembered_comes_back(tmp_path: Path) -> None:
    state = open_state(environ(tmp_path))
    assert read_cached(state, "x") is None
    write_cached(state, "x", {"id": "i-1"})
    assert read_cached(state, "x") == {"id": "i-1"}
    (state.folder / "seen" / "x").write_text("half a fi")
    assert read_cached(state, "x") is None


def test_folders_are_the_user_s_alone_and_short_enough_for_sockets(tmp_path: Path) -> None:
    state = open_state(environ(tmp_path, "a-very-long-name-of-a-home" * 4))
    assert state.folder.stat().st_mode & 0o077 == 0
    assert state.sockets.stat().st_mode & 0o077 == 0
    assert len(os.fspath(state.sockets)) <= SOCKET_FOLDER_LIMIT
    state.sockets.rmdir()


@pytest.mark.parametrize("depth", [1, 30, 31, 60])
def test_no_socket_s_path_is_longer_than_the_system_takes(depth: int, tmp_path: Path) -> None:
    """The runtime folder is taken where it is short enough, then others, the last of them always."""
    runtime = tmp_path / ("r" * depth)
    runtime.mkdir(mode=0o700)
    state = open_state({**environ(tmp_path, "h" * depth), "XDG_RUNTIME_DIR": str(runtime)})
    path = state.sockets / ("c" * 40 + "-1234567.0123456789abcdef")
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(os.fspath(path))
    path.unlink()
    assert len(os.fspath(path)) < 104
    assert (state.sockets.parent == runtime) == (len(os.fspath(runtime / "ec2tasks")) <= SOCKET_FOLDER_LIMIT)
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
        "import os, sys; from ec2tasks.base.state import *; from pathlib import Path\n"
        f"with lock(open_state({environ(tmp_path)!r}), 'x'): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code])
    with lock(state, "x"):
        pass


def test_a_home_that_can_t_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="can't be written: Not a directory"):
        open_state({"HOME": str(tmp_path / "file")})
