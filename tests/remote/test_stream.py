"""The bookkeeping of output and input, under breaks and chunks of any kind."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.remote.stream import FRAME, KEYS_LIMIT, WINDOW, Input, Output, frames

CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=6)


def chunks(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(data=st.binary(max_size=400), cuts=CUTS, size=st.integers(1, 50), before=st.binary(max_size=30))
def test_every_byte_is_shown_once_however_often_it_breaks(
    data: bytes, cuts: list[int], size: int, before: bytes
) -> None:
    stream, shown = Output(), b""
    for cut in [*cuts, 10_000]:
        stream.reopen("w0rd")
        line = before.replace(b"w0rd", b"") + b"w0rd version=1 offset=%d taken=0\n" % stream.offset
        for chunk in chunks((line + data[stream.offset :])[:cut], size):
            shown += stream.take(chunk)
    assert shown == data
    assert (stream.offset, stream.missing) == (len(data), 0)


def test_what_is_no_longer_kept_is_counted() -> None:
    stream = Output(offset=10)
    stream.reopen("w")
    assert stream.take(b"w version=1 offset=25 taken=7 colour=blue\nrest") == b"rest"
    assert (stream.offset, stream.missing, stream.taken) == (29, 15, 7)


@given(blocks=st.lists(st.binary(min_size=1, max_size=50), max_size=20), taken=st.integers(0, 1000))
def test_after_a_break_exactly_what_was_not_taken_is_sent_again(blocks: list[bytes], taken: int) -> None:
    given = Input()
    assert given.since(5) == b""  # of another client's, before this one
    for block in blocks:
        given.add(block)
    whole = b"".join(blocks)
    assert given.since(5 + min(taken, len(whole))) == whole[min(taken, len(whole)) :]


def test_what_must_have_arrived_is_not_kept_for_ever() -> None:
    given, block = Input(), bytes(FRAME)
    given.since(0)
    for _ in range(3 * WINDOW // FRAME):
        given.add(block)
    assert WINDOW <= given.size <= WINDOW + FRAME
    assert len(given.since(given.start + 1)) == given.size - 1


@given(st.binary(max_size=3 * KEYS_LIMIT) | st.integers(0, 3 * FRAME).map(bytes))
def test_frames_hold_all_of_the_input(data: bytes) -> None:
    found = b""
    for frame in frames(data):
        head, _, body = frame.partition(b"\n")
        verb, *words = head.split()
        fields = dict(word.split(b"=") for word in words)
        octal = [int(number, 8) for number in re.findall(rb"\\(\d{3})", fields.get(b"text", b""))]
        part = bytes(octal) if verb == b"keys" else body
        assert len(part) == int(fields[b"count"])
        found += part
    assert found == data
