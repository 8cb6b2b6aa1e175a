from __future__ import annotations

from ec2tasks.lifecycle.timing import Timings


def test_the_seconds_of_each_phase_and_the_cost_in_one_line() -> None:
    timings = Timings(seconds={"found": 0.2, "ran": 720.0})
    assert timings.line(0.13) == "found 0.2 s · ran 12 min · cost ≈ $0.13"
    assert timings.line(None) == "found 0.2 s · ran 12 min · cost not known"
