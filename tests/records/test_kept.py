"""The end of an output as it is kept beside the ledger."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.records import kept
from ec2tasks.records.kept import KEPT, OUTPUT, TAIL_LIMIT, Tail, tidy

JOB = "20261101-120000-1f4abcd"


@given(st.lists(st.integers(0, 100_000), max_size=12), st.integers(0, 100))
def test_the_tail_is_the_end_of_all_that_was_printed(sizes: list[int], before: int) -> None:
    tail, printed = Tail(), b"b" * before
    for i, size in enumerate(sizes):
        block = bytes([i]) * size
        printed += block
        tail.add(block)
    assert tail.text(b"b" * before) == printed[-TAIL_LIMIT:]
    assert sum(map(len, tail.blocks)) <= 2 * TAIL_LIMIT


def test_what_is_kept_is_found_again_and_the_oldest_goes(tmp_path: Path) -> None:
    for i in range(kept.KEPT + 5):
        kept.keep(tmp_path, f"20261101-{i:06d}-1f4abcd", OUTPUT, b"x")
    assert len(list((tmp_path / ".ec2tasks" / "runs").iterdir())) == kept.KEPT
    assert kept.kept(tmp_path, "20261101-000404-1f4abcd", OUTPUT) == b"x"
    assert kept.kept(tmp_path, "20261101-000000-1f4abcd", OUTPUT) == b""


def test_a_job_is_no_path_and_a_link_no_file(tmp_path: Path) -> None:
    kept.keep(tmp_path, "../x", OUTPUT, b"x")
    assert not (tmp_path / ".ec2tasks").exists()
    kept.keep(tmp_path, JOB, OUTPUT, b"x")
    path = tmp_path / ".ec2tasks" / "runs" / f"{JOB}.{OUTPUT}"
    path.unlink()
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    path.symlink_to(secret)
    assert kept.kept(tmp_path, JOB, OUTPUT) == b""
    kept.keep(tmp_path, JOB, OUTPUT, b"y")
    assert secret.read_bytes() == b"secret"


def test_of_one_kind_of_file_only_the_oldest_go(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    names = [f"{number:04}.samples" for number in range(KEPT + 5)]
    for name in (*names, "0000.log"):
        (folder / name).touch()
    tidy(folder, "*.samples")
    assert {path.name for path in folder.iterdir()} == {"0000.log", *names[1 - KEPT :]}
