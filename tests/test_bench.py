"""The benchmarks run apart from the tests: here only what they call, and how they tell what they found."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from types import ModuleType
from xml.etree import ElementTree

import pytest
from support.repository import REPO


def test_the_worker_of_the_sync_benchmark_calls_what_is_there() -> None:
    script = ast.parse((REPO / "scripts" / "bench_sync.py").read_text(encoding="utf-8"))
    (text,) = (
        ast.literal_eval(node.value)
        for node in script.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "WORKER"
    )
    worker = ast.parse(text)
    names = {
        alias.name: getattr(importlib.import_module(node.module), alias.name)
        for node in ast.walk(worker)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ec2tasks.")
        for alias in node.names
    }
    calls = [node for node in ast.walk(worker) if isinstance(node, ast.Call)]
    checked = [call for call in calls if ast.unparse(call.func) in names]
    assert {ast.unparse(call.func) for call in checked} == set(names)
    for call in checked:
        keywords = {str(keyword.arg): None for keyword in call.keywords}
        inspect.signature(names[ast.unparse(call.func)]).bind(*call.args, **keywords)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package of the benchmarks, with the modules that tell what was found."""
    monkeypatch.syspath_prepend(str(REPO / "scripts"))
    for name in ("measure", "growth", "plot", "page", "compare", "__main__"):
        importlib.import_module(f"bench.{name}")
    return sys.modules["bench"]


def test_a_row_is_held_to_its_target_and_said_where_it_misses_it(bench: ModuleType) -> None:
    row = bench.measure.Row
    good = row(what="a start", figure=0.11, floor=0.1, beside="`inv`", target=1.2)
    bad = row(what="a run", figure=2.0, floor=1.0, beside="`ssh`", target=1.5, bound="the disk there")
    plain = row(what="memory", figure=34.0, unit="MB", target=60)
    assert [each.good for each in (good, bad, plain)] == [True, False, True]
    text = bench.page.text([good, bad, plain], [])
    assert "| a run | 2.00 s | 1.00 s: `ssh` | **2.00** | ≤ 1.5 |" in text
    assert "- a run, beside `ssh`: the disk there." in text
    assert "| memory | 34 MB | - | - | ≤ 60 |" in text
    assert "- a start" not in text
    assert bench.page.line(bad).endswith("MISSED")
    assert "MISSED" not in bench.page.line(plain)


def test_a_curve_is_drawn_whole_and_judged_by_its_slope(bench: ModuleType) -> None:
    curve = bench.growth.Curve
    linear = [(1.0, 0.5), (10.0, 0.6), (100.0, 2.0), (1000.0, 20.0)]
    good = curve(name="x", what="`this` & that", unit="MB", points=linear, floor=[(1.0, 0.1), (1000.0, 9.0)])
    assert good.linear
    assert not curve(name="x", what="", unit="", points=[*linear[:3], (1000.0, 40.0)]).linear
    drawn = ElementTree.fromstring(bench.plot.svg(good))  # noqa: S314  # our own
    lines = [each.get("points", "") for each in drawn if each.tag.endswith("polyline")]
    assert [len(line.split()) for line in lines] == [2, 4]
    assert "more than linear" not in bench.page.text([], [good])


def test_what_is_timed_in_turn_is_the_median_of_each(bench: ModuleType) -> None:
    ours, theirs = iter([3.0, 1.0, 2.0]), iter([9.0, 7.0, 8.0])
    found = bench.measure.in_turn(3, {"ours": lambda: next(ours), "theirs": lambda: next(theirs)})
    assert found == {"ours": 2.0, "theirs": 8.0}


def test_the_commit_compared_with_is_checked_out_and_taken_away_again(bench: ModuleType) -> None:
    with bench.compare.checked_out("HEAD") as folder:
        assert (folder / "ec2tasks" / "__init__.py").is_file()
    assert not folder.exists()
