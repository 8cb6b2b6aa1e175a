"""Curves and bars as SVG, of numbers alone, each with the table that it is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from ec2tasks.base.dataclass import dataclass
from ec2tasks.config.parsers import duration
from ec2tasks.records.html import NOTHING, Html, table, tag

WIDTH, HEIGHT = 600.0, 80.0
PHASES = ("found", "user_data", "synced", "environment", "ran", "fetched")
TABLE_ROWS = 20  # of a curve's table at most


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The time of a run: its phases one after the other, in seconds, and when the command began in it."""

    phases: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def whole(self) -> float:
        """Seconds in all, never 0."""
        return max(sum(self.spans.values()), 1e-3)

    @property
    def spans(self) -> dict[str, float]:
        """How long each phase is; the command is as long as its samples say, where that is longer."""
        return {**self.phases, "ran": max(self.phases.get("ran", 0.0), self.seconds)}

    def bands(self) -> list[tuple[str, float, float]]:
        """Each phase with where it begins and ends, as shares of the whole."""
        ends, end = [], 0.0
        for name in sorted(self.spans, key=_place):
            ends.append((name, end / self.whole, (end + self.spans[name]) / self.whole))
            end += self.spans[name]
        return ends

    def command_began(self) -> float:
        """When the command began, in seconds from the beginning of the run."""
        return next(begin for name, begin, _ in self.bands() if name == "ran") * self.whole


def _place(name: str) -> int:
    return PHASES.index(name) if name in PHASES else 0


def phase_class(name: str) -> str:
    """How a phase is drawn: names are of the ledger's, and those drawn apart are ours."""
    return f"phase {name}" if name in PHASES else "phase other"


def phases_figure(axis: Axis) -> Html:
    """How long each phase took, as a bar with a table."""
    if not axis.phases:
        return NOTHING
    names = [name for name, _, _ in axis.bands()]
    legend = [
        tag("li", tag("span", class_=phase_class(name)), f"{_words(name)} {duration(axis.spans[name])}")
        for name in names
    ]
    rows = [(_words(name), f"{axis.spans[name]:.1f}") for name in names]
    drawn = _svg(
        _bands(axis), height=16.0, label="How long each phase of the run took; the table has the seconds."
    )
    return tag(
        "figure",
        tag("figcaption", "Phases"),
        drawn,
        tag("ul", *legend, class_="legend"),
        _as_table(("phase", "seconds"), rows),
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def curve_figure(
    title: str, points: Sequence[float], axis: Axis, *, top: float, words: Callable[[float], str]
) -> Html:
    """One measure over the command's time, its phases marked: the curve, and a table of it."""
    if not points:
        return NOTHING
    began, step = axis.command_began(), axis.seconds / len(points)
    times = [began + step * (place + 0.5) for place in range(len(points))]
    xs = [WIDTH * time / axis.whole for time in times]
    ys = [HEIGHT * (1 - min(1.0, max(0.0, point / (top or 1.0)))) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    area = f"{xs[0]:.1f},{HEIGHT:.1f} {path} {xs[-1]:.1f},{HEIGHT:.1f}"
    shapes = (
        *_bands(axis),
        tag("polygon", points=area, class_="area"),
        tag("polyline", points=path, class_="line"),
    )
    every = max(1, -(-len(points) // TABLE_ROWS))
    rows = [(duration(times[i] - began), words(points[i])) for i in range(0, len(points), every)]
    return tag(
        "figure",
        tag("figcaption", title),
        _svg(shapes, height=HEIGHT, label=f"{title}: a curve over the run; the table has its values."),
        _as_table(("after", title.partition(":")[0]), rows),
    )


def bars(rows: Sequence[tuple[str, float, str]], heading: tuple[str, str], label: str) -> Html:
    """Amounts by name, as bars with a table."""
    top = max((amount for _, amount, _ in rows), default=0.0) or 1.0
    drawn = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            tag(
                "td",
                _svg(
                    [tag("rect", x=0, y=0, width=f"{WIDTH * amount / top:.1f}", height=16, class_="bar")],
                    height=16.0,
                ),
            ),
            tag("td", words, class_="number"),
        )
        for name, amount, words in rows
    ]
    head = tag(
        "tr",
        tag("th", heading[0], scope="col"),
        tag("th", label, scope="col"),
        tag("th", heading[1], scope="col", class_="number"),
    )
    return tag("div", tag("table", tag("thead", head), tag("tbody", *drawn), class_="bars"), class_="wide")


def _bands(axis: Axis) -> tuple[Html, ...]:
    return tuple(
        tag(
            "rect",
            tag("title", _words(name)),
            x=f"{WIDTH * begin:.1f}",
            y=0,
            width=f"{WIDTH * (end - begin):.1f}",
            height="100%",
            class_=phase_class(name),
        )
        for name, begin, end in axis.bands()
    )


def _svg(shapes: Sequence[Html], *, height: float, label: str = "") -> Html:
    """A drawing as wide as there is room; one without a label says nothing that its row does not."""
    told = {"role": "img", "aria_label": label} if label else {"aria_hidden": "true"}
    return tag(
        "svg",
        *shapes,
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        preserveAspectRatio="none",
        class_=f"h{height:.0f}",
        **told,
    )


def _as_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    return tag("details", tag("summary", "as a table"), table(heading, rows))
