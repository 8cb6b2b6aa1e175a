from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError
from support.values import call_context, ssh_host

from ec2tasks.base.state import State
from ec2tasks.lifecycle import host_key_check
from ec2tasks.lifecycle.host_key_check import HostKeyCheck, WrongHostKeyError, held_to_console, judged
from ec2tasks.lifecycle.outcome import End, Outcome
from ec2tasks.ssh.host_keys import Verdict

LOST = EndpointConnectionError(endpoint_url="https://ec2")


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The instances whose control connection was ended."""
    ids = list[str]()
    monkeypatch.setattr(host_key_check, "close_master", lambda host, _tools: ids.append(host.instance_id))
    return ids


def looked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *answers: Verdict | Exception
) -> tuple[HostKeyCheck, list[float]]:
    """A comparison to which the console says this, one look after the other, and its pauses."""
    left: Iterator[Verdict | Exception] = iter(answers)

    def compare(*_asked: object, **_how: object) -> Verdict:
        answer = next(left, Verdict.UNKNOWN)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(host_key_check, "compare_with_console", compare)
    check = HostKeyCheck(context=call_context(State(folder=folder, sockets=folder)), host=ssh_host(folder))
    pauses = list[float]()
    with held_to_console(check, lambda: pauses.append(-1)):
        check.look(sleep=pauses.append)
    return check, pauses


def test_it_looks_until_the_console_shows_the_key_also_past_an_aws_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    check, pauses = looked(tmp_path, monkeypatch, LOST, Verdict.UNKNOWN, Verdict.SAME)
    assert len(pauses) == 3
    assert closed == []
    done = Outcome(code=3)
    assert judged(check, done) == done
    assert "the one that AWS's console shows" in capsys.readouterr().err


def test_it_gives_up_where_the_console_never_shows_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    check, pauses = looked(tmp_path, monkeypatch)
    assert pauses == list(host_key_check.PAUSES)
    assert judged(check, Outcome()) == Outcome()
    assert (closed, capsys.readouterr().err) == ([], "")


def test_another_key_ends_the_connection_and_is_the_failure_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: list[str]
) -> None:
    with pytest.raises(WrongHostKeyError, match="nothing is sent any more"):
        looked(tmp_path, monkeypatch, Verdict.UNKNOWN, Verdict.OTHER)
    assert len(closed) == 1
    check = HostKeyCheck(
        context=call_context(State(folder=tmp_path, sockets=tmp_path)),
        host=ssh_host(tmp_path),
        verdict=Verdict.OTHER,
    )
    rsync = RuntimeError("rsync ended with 255")
    for outcome in (Outcome(code=0), Outcome(end=End.FAILED, failure=rsync)):
        found = judged(check, outcome)
        assert isinstance(found.failure, WrongHostKeyError)
        assert found.end is End.FAILED
        assert found.failure.__cause__ is outcome.failure


def test_what_begins_once_the_key_is_known_to_be_another_is_ended_at_once(tmp_path: Path) -> None:
    check = HostKeyCheck(
        context=call_context(State(folder=tmp_path, sockets=tmp_path)),
        host=ssh_host(tmp_path),
        verdict=Verdict.OTHER,
    )
    ended = list[str]()
    with pytest.raises(WrongHostKeyError), held_to_console(check, lambda: ended.append("it")):
        assert ended == ["it"]


def test_what_is_settled_is_left_as_it_is() -> None:
    assert judged(None, Outcome(code=3)) == Outcome(code=3)
    with held_to_console(None, lambda: pytest.fail("nothing is to be ended")):
        pass
