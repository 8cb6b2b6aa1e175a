"""The picture in the README is of this version: what ec2tasks says in it still stands in the code."""

from __future__ import annotations

import ast
import html
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import pytest
from support.repository import REPO

SVG = (REPO / "docs" / "picture.svg").read_text(encoding="utf-8")
COLUMNS = 120
# What in a message is of that run alone: names, ids, amounts, moments; and the marks between.
OF_THE_RUN = re.compile(
    r"`[^`]*`|\bnina-\S+|\(i-[^)]*\)|[\w-]+\.\w*large|\beu-central-\w+|EC2\w+"
    r"|(?:\bof )?\$?\d[\d.,:/-]*(?: (?:s|ms|min|h)\b)?|/h\b|[·≈:;,()]"
)


def lines() -> list[str]:
    """What the terminal shows, line by line; a line that went on in the next is one."""
    parts: dict[float, list[tuple[float, str]]] = defaultdict(list)
    for x, y, text in re.findall(r'<text class="[^"]*" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', SVG):
        parts[float(y)].append((float(x), html.unescape(text).replace("\xa0", " ")))
    rows = ["".join(text for _, text in sorted(parts[y])).rstrip("\n") for y in sorted(parts)]
    joined: list[str] = []
    for row, before in zip(rows, ["", *rows], strict=False):
        if joined and len(before) >= COLUMNS:
            joined[-1] += row
        else:
            joined.append(row)
    return joined


SAID = [line.partition(": ")[2] for line in lines() if line.startswith(("ec2: ", "hint: "))]


@cache
def messages() -> frozenset[str]:
    """Every text in the package that is no docstring."""
    return frozenset(
        text for path in (REPO / "ec2tasks").rglob("*.py") for text in _texts(path.read_text("utf-8"))
    )


def _texts(code: str) -> Iterator[str]:
    tree = ast.parse(code)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def unknown(line: str) -> list[str]:
    """What of a message stands nowhere in the code, but for what is of one run."""
    fixed = [part.strip() for part in OF_THE_RUN.split(line)]
    return [part for part in fixed if part and not any(part in text for text in messages())]


def test_it_shows_a_run_from_its_launch_to_its_end() -> None:
    assert len(SAID) >= 5
    assert any(line.startswith("launched") for line in SAID)
    assert any(line.endswith(": terminated") for line in SAID)
    assert "$ ec2tasks runs" in [line.rstrip() for line in lines()]


@pytest.mark.parametrize("line", SAID)
def test_what_it_says_is_what_the_program_says(line: str) -> None:
    """Where it is not: `python scripts/picture.py` makes another."""
    assert unknown(line) == []


def test_a_message_that_is_not_the_program_s_is_seen() -> None:
    assert unknown("no instance yet: firing one up") == ["firing one up"]


def test_the_columns_of_the_ledger_are_those_of_today() -> None:
    from ec2tasks.commands.runs import table_rows

    (heading,) = table_rows([])
    assert "  ".join(heading) in [re.sub(" {2,}", "  ", line).strip() for line in lines()]


def test_it_loads_nothing_and_shows_nothing_of_who_made_it() -> None:
    assert re.findall(r"https?://[^\s\"]+", SVG) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"/tmp/|/home/|/root|@font-face|<script", SVG)


def test_the_readme_shows_it() -> None:
    assert "](docs/picture.svg)" in (REPO / "README.md").read_text(encoding="utf-8")
