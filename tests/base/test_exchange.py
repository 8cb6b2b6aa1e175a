"""Exchanges with programs whose other side prints for ever, drips, or says nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hostile import DRIPS, WAYS, hostile_argv

from ec2tasks.base.channel import Channel
from ec2tasks.base.exchange import (
    KIBIBYTE,
    ExceededError,
    Limits,
    Lines,
    Meter,
    TooLongError,
    TooMuchError,
    pump,
)
from ec2tasks.base.process import PIPE, Tools

SMALL = Limits(out=300 * KIBIBYTE, err=300 * KIBIBYTE, seconds=60.0)
SHORT = Limits(seconds=0.3)


def started(argv: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True)


def group_is_gone(tool: subprocess.Popen[bytes]) -> bool:
    try:
        os.killpg(tool.pid, 0)
    except ProcessLookupError:
        return True
    # A child that was killed is init's to bury.
    states = subprocess.run(["ps", "-o", "stat=", "-g", str(tool.pid)], capture_output=True, text=True)
    return all(state.startswith("Z") for state in states.stdout.split())


@pytest.mark.parametrize("way", WAYS)
def test_what_has_no_end_is_ended_with_all_that_it_started(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ec2tasks.base.exchange.ENDING", 0.3)
    came = []
    with started(hostile_argv(way)) as tool:
        with pytest.raises(TooMuchError) as caught:
            pump(tool, SMALL, on_out=lambda block: came.append(len(block)), on_err=len)
        assert tool.returncode is not None
        assert group_is_gone(tool)
    assert sum(came) <= SMALL.out
    assert "printed more than 300 KiB" in caught.value.what
    assert ".bashrc" in str(caught.value.hint)


@pytest.mark.parametrize("way", DRIPS)
def test_what_does_not_come_to_an_end_is_ended_in_time(way: str) -> None:
    with started(hostile_argv(way)) as tool:
        with pytest.raises(TooLongError):
            pump(tool, SHORT, on_out=len, on_err=len)
        assert tool.returncode is not None


def test_silence_is_limited_apart() -> None:
    with started(hostile_argv("says nothing")) as tool, pytest.raises(TooLongError, match="said nothing"):
        pump(tool, Limits(seconds=600.0, silence=0.2), on_out=len, on_err=len)


def test_no_more_is_held_here_than_is_allowed() -> None:
    code = """
import resource, sys
from ec2tasks.base.exchange import Limits
from ec2tasks.base.process import Tools
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
answer = Tools().capture(sys.argv[1:], limits=Limits(out=8 * 1024 * 1024, seconds=60.0))
print(answer.returncode, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    argv = [sys.executable, "-c", code, *hostile_argv("says 700 MB in one line")]
    returncode, grown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert returncode == "124"
    assert int(grown) < 40_000  # kB, for 700 MB that were offered


def test_ctrl_c_ends_it_while_bytes_come() -> None:
    limits = Limits(out=10**15, seconds=600.0)
    main = threading.main_thread().ident or 0
    threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with started(hostile_argv("prints for ever")) as tool:
        with pytest.raises(KeyboardInterrupt):
            pump(tool, limits, on_out=len, on_err=len)
        assert tool.returncode is not None


def test_what_a_program_leaves_behind_does_not_hold_us() -> None:
    answer = Tools().capture(["sh", "-c", "echo said; sleep 600 & exit 3"])
    assert (answer.returncode, answer.stdout) == (3, b"said\n")


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_an_honest_answer_comes_whole(size: int) -> None:
    given_bytes = os.urandom(size)
    answer = Tools().capture(["sh", "-c", "cat; echo end >&2"], stdin=given_bytes)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, given_bytes, b"end\n")
    assert answer.within_limits() is answer


def test_input_that_nobody_reads_is_no_error_of_ours() -> None:
    answer = Tools().capture(["sh", "-c", "exec <&-; echo said"], stdin=bytes(3_000_000))
    assert (answer.returncode, answer.stdout) == (0, b"said\n")


@given(
    sizes=st.lists(
        st.tuples(st.sampled_from(["out", "err"]), st.integers(1, 50), st.floats(0, 5)), max_size=60
    ),
    out=st.integers(0, 500),
    err=st.integers(0, 500),
)
def test_the_meter_stops_at_the_first_byte_and_second_too_many(
    sizes: list[tuple[str, int, float]], out: int, err: int
) -> None:
    now = [0.0]
    meter = Meter(limits=Limits(out=out, err=err, seconds=60.0), who="it", clock=lambda: now[0])
    came = {"out": 0, "err": 0}
    for stream, size, pause in sizes:
        now[0] += pause
        if now[0] >= 60.0:
            with pytest.raises(TooLongError):
                meter.left()
            return
        assert 0 < meter.left() <= 60.0
        came[stream] += size
        if came["out"] > out or came["err"] > err:
            with pytest.raises(TooMuchError):
                meter.count(stream, size)
            return
        meter.count(stream, size)


@given(blocks=st.lists(st.binary(max_size=40).map(lambda block: block.replace(b"a", b"\n")), max_size=30))
def test_lines_come_whole_however_they_are_cut(blocks: list[bytes]) -> None:
    found: list[bytes] = []
    lines = Lines(on_line=found.append, also=b"\r")
    for block in blocks:
        lines(block)
    lines.close()
    wanted = b"".join(blocks).replace(b"\r", b"\n").split(b"\n")
    assert found == (wanted if wanted[-1] else wanted[:-1])


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 100))
def test_a_line_that_is_too_long_is_never_held(sizes: list[int], limit: int) -> None:
    lines = Lines(on_line=len, limit=limit)
    total = 0
    for size in sizes:
        total += size
        if total > limit:
            with pytest.raises(TooMuchError):
                lines(b"y" * size)
            return
        lines(b"y" * size)
    assert len(lines.rest) == total


def talk(way: str, limits: Limits, act: Callable[[Channel], object]) -> ExceededError:
    with started(hostile_argv(way)) as tool:
        channel = Channel(tool, limits)
        try:
            with pytest.raises(ExceededError) as caught:
                act(channel)
        finally:
            channel.last_words()
        assert tool.returncode is not None
    return caught.value


def read_all(channel: Channel) -> None:
    deadline = time.monotonic() + 0.5
    while channel.read_line(deadline) is not None:
        pass


@pytest.mark.parametrize("way", [*WAYS, *(way for way in DRIPS if "closes" not in way)])
def test_a_conversation_has_its_limits_too(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ec2tasks.base.exchange.ENDING", 0.3)
    talk(way, SMALL, read_all)


def test_a_conversation_goes_on_line_by_line() -> None:
    with started(["sh", "-c", "read -r word; echo first; echo; echo then $word; echo last >&2"]) as tool:
        channel = Channel(tool, SMALL)
        channel.send(b"hello\n")
        assert [channel.read_line(), channel.read_line(), channel.read_line()] == ["first", "", "then hello"]
        assert channel.read_line() is None
        assert channel.last_words() == "last"


def test_what_nobody_reads_is_not_waited_for_without_end() -> None:
    with started(hostile_argv("says nothing")) as tool:
        channel = Channel(tool, SHORT)
        with pytest.raises(BrokenPipeError):
            channel.send(bytes(10_000_000))
        with pytest.raises(TooLongError, match="took no word"):
            channel.read_line()
