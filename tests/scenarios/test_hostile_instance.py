"""An instance that means no good: what it prints for ever, and what it would have a terminal do."""

from __future__ import annotations

import json

from support.project import CommandResult, ScratchProject

# What a terminal would clear its screen for and show a line of its own by; and text that runs backwards.
FIFO = "x\x1b[2J\x1b[Hec2: all fine\nec2: results fetched"
FILE = "r\x1b]0;title\x07[red]\u202egnp.txt\x9b2J"
MADE = f"mkfifo -- '{FIFO}'; echo 1 > '{FILE}'"


def act_on_nothing(said: CommandResult) -> None:
    """What ec2tasks says holds no control character but the ends of its own lines, each with its mark."""
    for stream in (said.out, said.err):
        assert all(char.isprintable() or char == "\n" for char in stream), stream
    assert not any(line.startswith(("ec2: all fine", "ec2: results")) for line in said.err.splitlines())


def test_names_from_an_instance_are_shown_and_never_acted_upon(warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", "--no-rsync", MADE).code == 0
    plan = warm.ec2tasks("sync", "--diff")
    assert r"r\x1b]0;title\x07[red]\u202egnp.txt\x9b2J  (created there, 2 B)" in plan.out
    act_on_nothing(plan)
    rows = json.loads(warm.ec2tasks("sync", "--diff", "--json").out)
    assert FILE in {row["path"] for row in rows}
    moved = warm.ec2tasks("sync", "--verbose")
    assert moved.code == 0, moved.err
    assert r"pull r\x1b]0;title\x07[red]\u202egnp.txt\x9b2J" in moved.err
    act_on_nothing(moved)
    assert warm.read(FILE) == "1\n"
    # Now that the FIFO's name is taken here, it is named.
    (warm.root / FIFO).write_text("mine", encoding="utf-8")
    named = warm.ec2tasks("sync")
    assert r"x\x1b[2J\x1b[Hec2: all fine\nec2: results fetched" in named.err
    act_on_nothing(named)
    jobs = warm.ec2tasks("jobs")
    assert r"mkfifo -- 'x\x1b[2J\x1b[Hec2: all fine" in jobs.out
    act_on_nothing(jobs)
    # What a command itself prints is its own.
    assert warm.ec2tasks("run", "--no-rsync", r"printf 'a\033[2Jb'").out == "a\x1b[2Jb"
    (warm.root / FIFO).unlink()
    warm.ec2tasks("run", "--no-rsync", f"rm -- '{FIFO}'")


def test_a_login_that_prints_for_ever_holds_nothing(local_project: ScratchProject) -> None:
    project = local_project
    begun = project.ec2tasks("run", "--leave", "--no-rsync", "echo 'yes ec2: all fine' > ~/.bashrc")
    assert begun.code == 0, begun.err
    for words in (("sync",), ("run", "true"), ("jobs",), ("logs",)):
        said = project.ec2tasks(*words)
        assert said.code == 125, said.err
        assert "the instance printed more than" in said.err
        assert "~/.bashrc" in said.err
        assert "Traceback" not in said.err
    status = project.ec2tasks("status")
    assert status.code == 0, status.err
    assert "its guard could not be asked" in status.out
    assert project.ec2tasks("down", "--no-rsync").code == 0
    assert project.status() is None
