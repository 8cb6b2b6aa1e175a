"""What the instance says of files passes only where it names what was asked for."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.instance_scripts import instance_script_argv

from ec2tasks.sync.entries import EntryKind, encode_paths, read_entry
from ec2tasks.sync.gate import (
    RefusedAnswerError,
    checked_path,
    path_flaw,
    read_look,
    read_look_behind,
    read_names,
    read_touched,
)

PARTS = st.sampled_from(["", ".", "..", ".ec2tasks", ".git", "a", "b c", "é", "\n", "-", "x" * 300])
PATHS = st.lists(PARTS, min_size=1, max_size=5).map("/".join) | st.text(max_size=30)
FIELDS = st.sampled_from(
    [
        *(b"./a", b"./b/c", b"./../x", b"/etc/passwd", b"./.ec2tasks/project", b"./a/../../b", b"", b"a"),
        *(b"f 644 3 1700000000.5000000000 12 1700000000.1", b"d 755 4096 1.5 12 1.5", b"l 777 1 1.5 1 1.5"),
        *(
            b"f 644 -3 1 1 1",
            b"q 644 3 1 1 1",
            b"f 999 1 1 1 1",
            b"f 644 3 1 1",
            b"f 644 3 nan 1 1",
            b"../../t",
        ),
    ]
)
ANSWERS = st.binary(max_size=60) | st.lists(FIELDS, max_size=9).map(lambda fields: b"\0".join([*fields, b""]))


@given(PATHS)
def test_a_path_that_passes_stays_in_the_project(path: str) -> None:
    try:
        passed = checked_path(path)
    except RefusedAnswerError:
        return
    full = os.path.normpath(f"/top/project/{passed}")
    assert full == f"/top/project/{path}"
    assert not f"{full}/".startswith("/top/project/.ec2tasks/")


@pytest.mark.parametrize(
    "path",
    [
        "../.profile",
        "./../../.profile",
        "/etc/passwd",
        "a/../../b",
        "",
        ".",
        "a//b",
        ".ec2tasks/project",
        "a\0b",
        "/".join("a" * 501),
    ],
    ids=lambda path: repr(path[:20]),
)
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    assert path_flaw(path)
    with pytest.raises(RefusedAnswerError, match="the instance's answer is refused"):
        checked_path(path)


@given(ANSWERS, st.sets(st.sampled_from(["a", "b/c", "d"])))
def test_an_answer_names_nothing_else_than_what_was_asked(answer: bytes, asked: set[str]) -> None:
    try:
        seen = read_look(answer, asked)
    except RefusedAnswerError:
        return
    assert seen.keys() <= asked
    assert all(entry.size >= 0 and 0 <= entry.mode <= 0o777 for entry, _ in seen.values())


@given(ANSWERS)
def test_behind_a_link_there_is_nothing_but_what_is_below_it(answer: bytes) -> None:
    try:
        seen = read_look_behind(answer, {"b"})
    except RefusedAnswerError:
        return
    assert all(path == "b" or (path.startswith("b/") and path_flaw(path) is None) for path in seen)
    assert all(entry.kind is not EntryKind.LINK for entry, _ in seen.values())


TOUCHED = st.sampled_from([b"1.5 ./a", b"1.5 ./../a", b"x ./a", b"1.5 /a", b"1.5 ./.ec2tasks/lock"])


@given(st.binary(max_size=40) | st.lists(TOUCHED | FIELDS, max_size=5).map(b"\0".join))
def test_lists_of_names_hold_none_that_leads_out(answer: bytes) -> None:
    with contextlib.suppress(RefusedAnswerError):
        assert read_names(answer, {"a"}) <= {"a"}
    with contextlib.suppress(RefusedAnswerError):
        assert all(path_flaw(path) is None for path in read_touched(answer))


def test_too_many_entries_are_refused() -> None:
    entry = b"./a\0f 644 3 1.5 1 1.5\0\0"
    assert set(read_look(entry, {"a"})) == {"a"}
    with pytest.raises(RefusedAnswerError, match="2 entries"):
        read_look(entry * 2, {"a"})


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(["file", "folder", "link", "fifo"]), st.integers(0, 2**33), st.integers(0, 0o777))
def test_what_find_prints_is_read_as_this_machine_reads_it(
    tmp_path_factory: pytest.TempPathFactory, kind: str, mtime: int, mode: int
) -> None:
    home = tmp_path_factory.mktemp("home")
    path = home / "p" / "new\nline"
    path.parent.mkdir()
    match kind:
        case "file":
            path.write_text("text")
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("else where")
        case _:
            os.mkfifo(path)
    if kind != "link":
        path.chmod(mode | 0o500)
        os.utime(path, ns=(0, mtime * 1_000_000_007 % 2**60))
    argv = instance_script_argv("tree.sh", "look", folder="p")
    stdin = encode_paths(["./new\nline", "./missing"])
    answer = subprocess.run(
        argv, input=stdin, capture_output=True, check=True, env={**os.environ, "HOME": f"{home}"}
    )
    seen = read_look(answer.stdout, {"new\nline", "missing"})
    assert {path: entry for path, (entry, _) in seen.items()} == {
        "new\nline": read_entry(home / "p", "new\nline")
    }
    assert seen["new\nline"].stamp.inode == path.lstat().st_ino


def test_the_gate_stands_before_every_answer_about_files() -> None:
    """Whoever asks `tree.sh` reads the answer by the gate, or by words of its own form."""
    readers = {"look", "look_behind", "look_kept", "clear", "touched", "changed", "is_empty", "weigh", "size"}
    script = (Path(__file__).parents[2] / "ec2tasks/remote/tree.sh").read_text()
    inner = {"moved", "take", "is_there", "is_file", "find_above", "is_own", "prune", "weigh_folder"}
    verbs = {line.partition("(")[0] for line in script.splitlines() if line.endswith("() {")}
    assert verbs - inner == readers
