"""What `ec2tasks sync --diff` prints."""

from __future__ import annotations

import json

from support.project import ScratchProject


def test_diff_shows_what_would_move_and_why_and_moves_nothing(warm: ScratchProject) -> None:
    warm.write("made-here", "12345")
    assert warm.ec2tasks("run", "--no-rsync", "echo more > made-there").code == 0
    said = warm.ec2tasks("sync", "--diff")
    assert said.code == 0, said.err
    assert "push" in said.out
    assert "made-here  (created here, 5 B)" in said.out
    assert "made-there  (created there, 5 B)" in said.out
    rows = json.loads(warm.ec2tasks("sync", "--diff", "--json").out)
    found = {row["path"]: row["outcome"] for row in rows}
    assert (found["made-here"], found["made-there"]) == ("push", "pull")
    assert not (warm.root / "made-there").exists()
    assert warm.ec2tasks("sync", "--json").code == 2
