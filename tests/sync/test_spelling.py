"""Names that are one on the disk here never overwrite each other: both are kept, and it is said."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.two_sides import Sides, put, snapshot

from ec2tasks.sync import pull, spelling
from ec2tasks.sync.apply import PullItem
from ec2tasks.sync.entries import parents
from ec2tasks.sync.rsync import RsyncResult
from ec2tasks.sync.spelling import PROBE, _composed, clashing, fold_of
from ec2tasks.sync.stage import stage
from ec2tasks.sync.transfer import Transfer

TWO = unicodedata.normalize("NFD", "é")


@pytest.mark.parametrize(
    ("paths", "here", "fold", "found"),
    [
        (["a", "A"], {}, str.casefold, {"a": "a"}),
        (["a", "A"], {}, str, {}),
        (["model"], {"": ["Model"]}, str.casefold, {"model": "model"}),
        (["model"], {"": ["Model", "model"]}, str, {}),
        (["model"], {"": ["model"]}, str.casefold, {}),
        (["data", "data/x"], {"": ["Data"], "Data": ["x"]}, str.casefold, {"data": "data", "data/x": "data"}),
        (["out/a", "out/A", "out/b"], {"": ["out"]}, str.casefold, {"out/a": "out/a"}),
        ([f"caf{TWO}"], {"": ["café"]}, _composed, {f"caf{TWO}": f"caf{TWO}"}),
        ([f"caf{TWO}"], {"": ["CAFÉ"]}, _composed, {}),
    ],
)
def test_what_can_t_stand_here_is_told_with_the_part_that_can_t(
    paths: list[str], here: dict[str, list[str]], fold: spelling.Fold, found: dict[str, str]
) -> None:
    assert clashing(paths, lambda folder: here.get(folder, []), fold) == found


@given(st.lists(st.sampled_from(["a", "A", "b", "a/x", "A/x", "a/X", "b/a"]), unique=True))
def test_what_is_left_are_names_of_their_own(paths: list[str]) -> None:
    left = set(paths) - set(clashing(paths, lambda _folder: [], str.casefold))
    names = {part for path in left for part in (*parents(path), path)}
    assert len({name.casefold() for name in names}) == len(names)


def test_a_disk_is_asked_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / ".ec2tasks"
    own.mkdir()
    assert fold_of(tmp_path, ["a", "é"]) is None
    assert list(own.iterdir()) == []
    (tmp_path / ".EC2TASKS").symlink_to(own)  # as a disk would answer that folds case
    fold = fold_of(tmp_path, ["a"])
    assert fold
    assert fold("Ä") == fold(unicodedata.normalize("NFD", "ä"))
    (tmp_path / ".EC2TASKS").unlink()
    (own / unicodedata.normalize("NFD", PROBE)).symlink_to(PROBE)  # as one that folds accents
    fold = fold_of(tmp_path, ["é"])
    assert fold
    assert (fold(TWO), fold("É") == fold("é")) == ("é", False)
    assert fold_of(tmp_path, ["a"]) is None, "not asked for plain letters"


def test_both_spellings_are_kept_here_and_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(spelling, "fold_of", lambda _root, _paths: str.casefold)
    sides = Sides(tmp_path)
    put(sides.local / "Model", "file mine")
    put(sides.local / "Data/x", "file my data")
    sides.sync()
    put(sides.remote / "model", "file theirs")
    put(sides.remote / "data/x", "file their data")
    put(sides.remote / "data/y", "file more")
    put(sides.remote / "new/Z", "file upper")
    put(sides.remote / "new/z", "file lower")
    there = snapshot(sides.remote)
    first = sides.sync()
    assert snapshot(sides.remote) == there
    kept = {path: text for path, text in snapshot(sides.local).items() if text != "folder"}
    assert kept == {
        "Model": "file mine",
        "Data/x": "file my data",
        f"model.ec2-{first}": "file theirs",
        f"data.ec2-{first}/x": "file their data",
        f"data.ec2-{first}/y": "file more",
        "new/Z": "file upper",
        f"new/z.ec2-{first}": "file lower",
    }
    said = capsys.readouterr().err
    assert f"`model` is another's name on this disk: the instance's version is `model.ec2-{first}`" in said
    sides.sync()
    assert not sides.differences()
    assert snapshot(sides.remote) == there
    put(sides.remote / "model", "file later")
    put(sides.local / "Model", "file mine too")
    second = sides.sync()
    assert (sides.local / f"model.ec2-{second}").read_text() == "later"
    assert ((sides.remote / "model").read_text(), (sides.remote / "Model").read_text()) == (
        "later",
        "mine too",
    )
    (sides.local / "Model").rename(sides.local / "model")
    sides.sync()
    assert (sides.local / "model").read_text() == "mine too"
    assert "mine too" in {path.read_text() for path in sides.remote.rglob("*") if path.is_file()}


def test_a_folder_with_two_names_that_are_one_here_is_not_fetched_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spelling, "fold_of", lambda _root, _paths: str.casefold)
    fetched: list[object] = []

    def staged(transfer: Transfer, items: list[PullItem], filters: Sequence[str] | None) -> RsyncResult:
        fetched.append(filters is not None)
        return stage(transfer, items, filters)

    monkeypatch.setattr(pull, "stage", staged)
    sides = Sides(tmp_path)
    put(sides.local / "code.py", "file 1")
    sides.sync()
    put(sides.remote / "one/z", "file 1")
    sides.sync()
    put(sides.remote / "new/Z", "file upper")
    put(sides.remote / "new/z", "file lower")
    sides.sync()
    assert fetched == [True, False, False]
