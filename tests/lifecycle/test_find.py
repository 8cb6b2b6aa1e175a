"""What tells one user's instance from another's on this machine."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from support.values import INSTANCE, call_context

from ec2tasks.aws import instances, start_and_end
from ec2tasks.aws.instances import Instance
from ec2tasks.base.errors import UsageError
from ec2tasks.base.state import State
from ec2tasks.lifecycle import launch_journal
from ec2tasks.lifecycle.find import settled_instance
from ec2tasks.lifecycle.launch_journal import Entry

HERE, ELSEWHERE = "n" * 32 + "-1", "another's"


@pytest.mark.parametrize(
    ("shown", "ended", "taken"),
    [
        # One after the other as AWS shows them: what is alive, by token, oldest first.
        ([[ELSEWHERE, HERE], [ELSEWHERE]], [HERE], ELSEWHERE),
        ([[HERE, ELSEWHERE]], [], HERE),
        # Another client's is new, and its own client ends it.
        ([["a", "b"], ["a", "b"], ["a"]], [], "a"),
        # Two of one launch from here, the second one after a crash: only the older is kept.
        ([[HERE, HERE + "2"], [HERE]], [HERE + "2"], HERE),
        ([[ELSEWHERE, HERE, HERE + "2"], [ELSEWHERE]], [HERE, HERE + "2"], ELSEWHERE),
        ([[]], [], None),
    ],
)
def test_of_two_launched_at_once_one_is_kept(
    shown: list[list[str]],
    ended: list[str],
    taken: str | None,
    state: State,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, done, now = iter(shown), list[str](), datetime.now(timezone.utc)
    mine = call_context(state)
    launch_journal.begin(state, mine.place)
    entry = Entry(place=mine.place, nonce="n" * 32, began=time.time())
    monkeypatch.setattr(launch_journal, "read", lambda *_args: entry)

    def look(*_args: object, **_options: object) -> list[Instance]:
        return [
            replace(INSTANCE, id=token, token=token, project=None, launched=now + timedelta(seconds=number))
            for number, token in enumerate(next(told))
        ]

    monkeypatch.setattr(instances, "list_instances", look)
    monkeypatch.setattr(start_and_end, "end", lambda _aws, one, _end: done.append(one.id))
    found = settled_instance(mine, sleep=lambda _seconds: None)
    assert (found and found.id, done) == (taken, ended)
    assert (state.folder / "launches" / mine.key).exists() == (taken != ELSEWHERE)


def test_several_that_are_there_to_stay_are_an_error(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [replace(INSTANCE, id="i-1"), replace(INSTANCE, id="i-2")]
    monkeypatch.setattr(instances, "list_instances", lambda *_args, **_options: both)
    with pytest.raises(UsageError, match=r"i-1.*i-2"):
        settled_instance(
            call_context(state), sleep=lambda _seconds: pytest.fail("there is nothing to wait for")
        )
