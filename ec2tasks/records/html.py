"""HTML made of texts that are somebody else's: each goes through one gate, which leaves no markup in it."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from ec2tasks.base.shown import shown, shown_lines

# What a terminal would act upon and a page can't: colours, titles, cursor movements (ECMA-48).
CONTROLS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")


class Html(str):
    """Text that is HTML already: made here, of parts that are."""

    __slots__ = ()


NOTHING = Html()


def escaped(text: str) -> Html:
    """Any text, in one line and with nothing hidden in it, as HTML shows it."""
    return Html(html.escape(shown(text), quote=True))


def lines(text: str) -> Html:
    """Any text of several lines, as `pre` shows it."""
    return Html(html.escape(shown_lines(text), quote=True))


def printed(text: str) -> str:
    """What a program printed, as a terminal would show it in the end: no colours, a line as it was last."""
    plain = CONTROLS.sub("", text).replace("\r\n", "\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in plain.split("\n"))


def tag(name: str, *inside: str, **attributes: str | float | None) -> Html:
    """An element; what is inside or in an attribute is escaped unless it is HTML. `class_` is `class`."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{words}>{joined(inside)}</{name}>")


def joined(parts: Sequence[str]) -> Html:
    """These one after the other; those that are no HTML are escaped."""
    return Html("".join(part if isinstance(part, Html) else escaped(part) for part in parts))


def table(heading: Sequence[str], rows: Sequence[Sequence[str]], **attributes: str) -> Html:
    """A table; a cell that is no element of its own is made one."""
    head = tag("tr", *(tag("th", cell, scope="col") for cell in heading))
    body = (tag("tr", *(cell if _is_cell(cell) else tag("td", cell) for cell in row)) for row in rows)
    inside = tag("table", tag("thead", head), tag("tbody", *body), **attributes)
    return tag("div", inside, class_="wide")


def _is_cell(cell: str) -> bool:
    return isinstance(cell, Html) and cell.startswith("<td")


def facts(pairs: Sequence[tuple[str, str | None]]) -> Html:
    """What is known, by name; what is not is left out."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs if value))
