"""What rsync's exit codes, messages and names mean."""

from __future__ import annotations

import pytest

from ec2tasks.sync.rsync import RsyncResult, left_out_text, rsync_failure, unescaped
from ec2tasks.sync.transfer import Direction


def test_a_move_that_did_not_finish_says_why_and_how_to_go_on() -> None:
    result = RsyncResult(code=23, errors='rsync: "x" failed: Permission denied (13)\nrsync error: some files')
    failure = rsync_failure(Direction.PULL, result, hint="go on")
    assert "Permission denied" in failure.what
    assert failure.hint == "go on"
    result = RsyncResult(code=11, errors="write failed: No space left on device (28)")
    failure = rsync_failure(Direction.PUSH, result, hint="go on")
    assert "the disk is full there" in failure.what


@pytest.mark.parametrize(
    ("first", "later", "both"),
    [(0, 0, 0), (24, 0, 24), (0, 23, 23), (23, 24, 23), (24, 23, 23), (23, 12, 12)],
)
def test_two_transfers_are_as_whole_as_the_worse_of_them(first: int, later: int, both: int) -> None:
    first_result, later_result = RsyncResult(code=first, errors="a"), RsyncResult(code=later, errors="b")
    assert first_result.then(later_result) == RsyncResult(code=both, errors="a\nb")


def test_rsync_s_words_about_what_it_leaves_out() -> None:
    assert left_out_text('symlink has no referent: "/p/nowhere"') == "/p/nowhere (a link that leads nowhere)"
    assert left_out_text('skipping non-regular file "sock"') == "sock (no regular file)"
    closed = 'rsync: [sender] send_files failed to open "/p/x": Permission denied (13)'
    assert left_out_text(closed) == "/p/x (not readable)"
    nested = "[sender] hiding directory sub/.git because of pattern /**/.git"
    assert left_out_text(nested) == "sub/.git (a repository inside)"
    assert left_out_text("rsync: connection unexpectedly closed") is None


def test_names_as_rsync_prints_them() -> None:
    assert unescaped(b"new\\#012line \\#134#012") == "new\nline \\#012"
