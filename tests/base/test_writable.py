from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base import project_dir, state
from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import OWN_FOLDER, check_writable
from ec2tasks.base.state import State, check_state, lock, open_state, write_atomically, write_cached
from ec2tasks.base.writable import FULL, REFUSALS, explain_refusal
from ec2tasks.lifecycle import launch_journal


@pytest.fixture
def here(tmp_path: Path) -> State:
    return open_state({"HOME": str(tmp_path / "h")})


def test_what_can_be_written_is_left_as_it_was(here: State, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    check_state(here)
    check_writable(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", state.FOLDERS)
def test_a_file_in_the_place_of_a_folder_of_the_state_is_named(name: str, here: State) -> None:
    path = here.folder / name
    if path.exists():
        path.rmdir()
    path.touch()
    with pytest.raises(Failure, match=f"`{path}` can't be written: Not a directory") as refused:
        check_state(here)
    assert "set XDG_" in str(refused.value.hint)


def test_a_folder_in_the_place_of_the_known_hosts_is_named(here: State) -> None:
    here.known_hosts.mkdir()
    with pytest.raises(Failure, match=f"`{here.known_hosts}` can't be written: Is a directory"):
        check_state(here)


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("name", ["", *project_dir.FOLDERS])
def test_a_file_or_a_dead_link_in_the_place_of_a_project_s_folder_is_named(
    name: str, link: bool, tmp_path: Path
) -> None:
    path = tmp_path / OWN_FOLDER / name
    path.parent.mkdir(exist_ok=True)
    if link:
        path.symlink_to(tmp_path / "nowhere")
    else:
        path.touch()
    with pytest.raises(Failure, match=f"`{path}` {'is a link' if link else 'can.t be written'}"):
        check_writable(tmp_path)


def test_what_is_written_without_a_check_is_no_traceback_either(here: State) -> None:
    for name in ("locks", "launches", "keys", "seen"):
        (here.folder / name).touch()
    place = launch_journal.Place(key="k", account="a", region="r", owner="o", name="n")
    with pytest.raises(Failure, match="locks"), lock(here, "x"):
        pass
    with pytest.raises(Failure, match="launches"):
        launch_journal.begin(here, place)
    with pytest.raises(Failure, match="keys"):
        write_atomically(here.folder / "keys" / "k.pub", "text")
    write_cached(here, "k", {})  # a hint for the next call, which asks without it


@given(st.sampled_from(sorted(errno.errorcode)), st.sampled_from([None, "/some/path"]))
def test_a_refused_write_is_explained_with_its_path_and_nothing_else_is(code: int, path: str | None) -> None:
    explained = explain_refusal(OSError(code, os.strerror(code), path))
    assert (explained is not None) == (code in REFUSALS and (path is not None or code in FULL))
    if explained:
        assert os.strerror(code) in explained.what
        assert explained.hint


def test_an_error_of_ours_is_not_explained_away() -> None:
    assert explain_refusal(KeyError("x")) is None
