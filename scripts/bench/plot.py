"""A growth as SVG: both axes logarithmic, so that what is linear is a straight line of slope one."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from bench.growth import Curve

WIDTH, HEIGHT, LEFT, BELOW, ABOVE = 480, 240, 56, 36, 24
OURS, FLOOR = "#1f6feb", "#8b949e"


def svg(curve: Curve) -> str:
    """The curve and its floor, with the figures at each point."""
    every = [*curve.points, *curve.floor]
    across = _scale([x for x, _ in every], LEFT, WIDTH - 24)
    up = _scale([y for _, y in every], HEIGHT - BELOW, ABOVE)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        ' font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="14">seconds: {_text(curve.what)}</text>',
        f'<path d="M{LEFT} {ABOVE}V{HEIGHT - BELOW}H{WIDTH - 16}" fill="none" stroke="#57606a"/>',
    ]
    below = HEIGHT - BELOW + 16
    lines += [
        f'<text x="{across(value):.0f}" y="{below}" text-anchor="middle">{value:,.0f}</text>'
        for value, _ in curve.points
    ]
    lines.append(f'<text x="{WIDTH - 16}" y="{HEIGHT - 4}" text-anchor="end">{curve.unit}</text>')
    for points, colour, name in ((curve.floor, FLOOR, "plain ssh"), (curve.points, OURS, "ec2tasks")):
        lines += _line([(across(x), up(y), y) for x, y in points], colour, name)
    return "\n".join([*lines, "</svg>", ""])


def _text(words: str) -> str:
    """The words as SVG shows them."""
    return html.escape(words.replace("`", ""))


def _scale(values: Sequence[float], first: float, last: float):  # a function of one number
    low, high = math.log10(min(values)), math.log10(max(values))
    span = (high - low) or 1.0
    return lambda value: first + (math.log10(value) - low) / span * (last - first)


def _line(points: Sequence[tuple[float, float, float]], colour: str, name: str) -> list[str]:
    if not points:
        return []
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y, _ in points)
    below = 14 if colour == FLOOR else -6
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(
            f'<text x="{x:.0f}" y="{y + below:.0f}" fill="{colour}" text-anchor="middle">{value:.2f}</text>'
            for x, y, value in points
        ),
        f'<text x="{points[-1][0]:.0f}" y="{points[-1][1] + 2 * below:.0f}" fill="{colour}"'
        f' text-anchor="end">{name}</text>',
    ]
