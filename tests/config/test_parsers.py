from __future__ import annotations

import pytest

from ec2tasks.config.parsers import duration, span, span_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 1800),
        ("90 s", 90),
        ("30 min", 1800),
        ("2h", 7200),
        ("1.5 h", 5400),
        ("7 days", 604800),
        ("never", 0),
    ],
)
def test_a_span_of_time(text: str, seconds: int) -> None:
    assert span("min")(text) == seconds
    assert span("min")(span_text(seconds)) == seconds


@pytest.mark.parametrize("text", ["soon", "-5 min", "5 parsecs", "99999 days", ""])
def test_what_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|must be"):
        span("min")(text)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.21, "0.2 s"), (59.9, "59.9 s"), (720, "12 min"), (5400, "1.5 h")]
)
def test_a_duration_in_its_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words
