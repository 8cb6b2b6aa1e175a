"""The report: whatever stands in it is text, whoever wrote it; its numbers; a real browser's view of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.browser import document
from support.project import ScratchProject
from support.values import NOON

from ec2tasks.base.shown import shown
from ec2tasks.records import kept
from ec2tasks.records.all_page import all_parts, amounts, day, recipe
from ec2tasks.records.drawing import Axis, curve_figure
from ec2tasks.records.html import printed
from ec2tasks.records.ledger import append
from ec2tasks.records.page import ours, page, policy
from ec2tasks.records.run import Run
from ec2tasks.records.run_page import Details, dollars, run_parts
from ec2tasks.usage.samples import read_samples
from ec2tasks.usage.summary import Summary, summed_up

GIB = 1024**3
RUN = Run(
    job="20261101-120000-1f4abcd",
    state="ended",
    began=NOON,
    command="make train",
    recipe="train",
    type="g5.xlarge",
    phases={"found": 40.0, "synced": 3.0, "ran": 100.0, "fetched": 5.0},
    code=0,
    cost=0.126,
)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "footer", "script", "h1", "h2", "p", "code"),
    *(
        "dl",
        "div",
        "dt",
        "dd",
        "span",
        "figure",
        "figcaption",
        "svg",
        "rect",
        "polygon",
        "polyline",
        "ul",
        "li",
    ),
    *("details", "summary", "table", "thead", "tbody", "tr", "th", "td", "pre"),
}
ATTRIBUTES = {
    *(
        "lang",
        "charset",
        "name",
        "content",
        "http-equiv",
        "class",
        "role",
        "aria-label",
        "aria-hidden",
        "scope",
    ),
    *("viewbox", "preserveaspectratio", "x", "y", "width", "height", "points", "open", "data-value"),
}
MARKUP = st.text(st.sampled_from("<>&\"'=/! \n-x\x1b\x00\u202e\udcff")) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</title></style></script><svg onload=alert(1)>",
        "--><!-- ]]>",
        "&lt;b&gt;",
        "\x1b]8;;http://x\x07<a href=x>",
    ]
)


class Structure(HTMLParser):
    """What a page is made of, apart from its texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.comments = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_comment(self, _data: str) -> None:
        self.comments += 1

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def use(lines: int = 30, gpu: str = " gpu=0.5,1073741824,17179869184,50,70") -> Summary:
    text = "".join(
        f"t={10 * i} cpu=0.25 memory={GIB}/{4 * GIB} disk={GIB}/{8 * GIB} network={i}/0{gpu}\n"
        for i in range(1, lines + 1)
    )
    found = summed_up(read_samples(text))
    assert found
    return found


@given(MARKUP, MARKUP, MARKUP, MARKUP)
@example("<script>alert(1)</script>", "</pre><script>", "+</span><b>", "</h1>")
def test_nothing_that_is_shown_is_markup(command: str, output: str, changes: str, word: str) -> None:
    words = dict.fromkeys(("recipe", "type", "zone", "region", "image", "instance", "commit", "error"), word)
    run = Run(
        **{**vars(RUN), **words, "command": command, "released": word, "phases": {word: 1.0, "ran": 2.0}}
    )
    parts = run_parts(run, Details(output=output, changes=changes, use=use()))
    for text in (page(command, *parts, version="1"), page(word, *all_parts(word, [run]), version="1")):
        text.encode()
        found = Structure(text)
        assert found.tags <= TAGS
        assert found.attributes <= ATTRIBUTES
        assert found.comments == 0
        assert text.count("<script>") == text.count("<style>") == 1
        assert "\x1b" not in text
        assert "\x00" not in text
    assert shown(f"$ {run.title}") in "".join(Structure(page("x", *parts, version="1")).texts)


def test_a_page_loads_nothing_and_runs_nothing_but_its_own() -> None:
    text = page("x", *run_parts(RUN, Details(use=use())), version="1")
    assert not re.search(r"\b(?:src|href|action|style|on\w+)=", text.replace(ours("report.js"), ""))
    assert "://" not in text
    assert policy().startswith("default-src 'none'; style-src 'sha256-")
    assert text.index("Content-Security-Policy") < text.index("<style>")


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        ("\x1b[1;32mdone\x1b[0m\n", "done\n"),
        (" 10 %\r 20 %\r100 %\nnext", "100 %\nnext"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("\x1b]0;title\x07x\x1b(B", "x"),
    ],
)
def test_an_output_is_shown_as_a_terminal_shows_it_in_the_end(output: str, lines: str) -> None:
    assert printed(output) == lines


def test_the_phases_stand_one_after_the_other_and_the_curve_in_that_of_the_command() -> None:
    axis = Axis(phases=RUN.phases, seconds=100.0)
    assert [name for name, _, _ in axis.bands()] == ["found", "synced", "ran", "fetched"]
    assert axis.command_began() == pytest.approx(43.0)
    drawn = curve_figure("CPU", (0.0, 1.0), axis, top=1.0, words=str)
    (points,) = re.findall(r'<polyline points="([^"]*)"', drawn)
    (x0, y0), (x1, y1) = ([float(number) for number in point.split(",")] for point in points.split())
    assert [x0, x1] == pytest.approx([600 * 68 / 148, 600 * 118 / 148], abs=0.1)
    assert (y0, y1) == (80.0, 0.0)


@given(
    st.dictionaries(st.sampled_from(["found", "synced", "ran", "odd"]), st.floats(0, 1e7)),
    st.floats(0, 1e7),
    st.lists(st.floats(0, 1e12), max_size=60),
    st.floats(0, 1e12),
)
def test_no_curve_leaves_its_drawing(
    phases: dict[str, float], seconds: float, points: list[float], top: float
) -> None:
    drawn = curve_figure("x", points, Axis(phases=phases, seconds=seconds), top=top, words=str)
    for shape in re.findall(r'points="([^"]*)"', drawn):
        for point in shape.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 600
            assert 0 <= y <= 80


def test_every_curve_has_a_table_behind_it() -> None:
    text = "".join(run_parts(RUN, Details(use=use())))
    assert text.count("<polyline") == 8
    assert text.count("<details") == text.count("<polyline") + 1  # the phases have one too
    assert "GPU, a kernel ran: mean 50%, peak 50%" in text
    assert "GPU power: mean 50 W, limit 70 W" in text
    assert "Memory: peak 1.0 of 4.0 GiB" in text


def test_costs_add_up_by_day_and_by_recipe_and_rehearsals_cost_nothing() -> None:
    other = Run(**{**vars(RUN), "recipe": "", "began": NOON - timedelta(days=2), "cost": 1.0})
    local = Run(**{**vars(RUN), "endpoint": "local", "cost": 9.0})
    unknown = Run(**{**vars(RUN), "cost": None})
    assert sorted(amounts([RUN, RUN, other], recipe).values()) == [pytest.approx(0.252), 1.0]
    assert len(amounts([RUN, RUN, other], day)) == 2
    texts = Structure("".join(all_parts("shop", [RUN, other, local, unknown]))).texts
    assert texts[texts.index("cost in all") + 1] == "$1.13"
    assert texts[texts.index("of unknown cost") + 1] == "1"
    assert texts[texts.index("rehearsals, at no cost") + 1] == "1"


@pytest.mark.parametrize(
    ("cost", "words"), [(None, None), (0.0, "$0.00"), (0.001, "< $0.01"), (12.345, "$12.35")]
)
def test_an_amount_in_words(cost: float | None, words: str | None) -> None:
    assert dollars(cost) == words


def test_it_is_made_from_what_is_here_alone(project: ScratchProject) -> None:
    said = project.ec2tasks("report")
    assert (said.code, said.out) == (2, "")
    assert "nothing has run for this project yet" in said.err
    append(project.root, vars(RUN))
    kept.keep(project.root, RUN.job, kept.OUTPUT, b"epoch 1\n")
    said = project.ec2tasks("report", RUN.job[:11])
    assert said.code == 0, said.err
    path = Path(said.out.rstrip("\n"))
    assert path == project.root / ".ec2tasks" / "report.html"
    assert "epoch 1" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert project.ec2tasks("report", "--all", RUN.job).code == 2
    assert project.ec2tasks("report", "nope").code == 2


@pytest.mark.slow
def test_a_browser_sorts_the_table_and_lets_no_other_script_run(tmp_path: Path) -> None:
    runs = [
        Run(**{**vars(RUN), "job": f"20261101-12000{i}-1f4abcd", "cost": cost})
        for i, cost in enumerate((9, 10, 2))
    ]
    text = page("x", *all_parts("shop", runs), version="1")
    evil = "<script>document.title = 'run'; document.querySelectorAll('th button')[6].click()</script></body>"
    held = tmp_path / "held.html"
    held.write_text(text.replace("</body>", evil))
    dom = document(held.as_uri(), tmp_path)
    assert "<title>x</title>" in dom
    assert dom.count('<button type="button">') == 9
    # The same click where the policy does not keep it from running.
    free = tmp_path / "free.html"
    free.write_text(text.replace("</body>", evil).replace("Content-Security-Policy", "x"))
    dom = document(free.as_uri(), tmp_path)
    assert "<title>run</title>" in dom
    assert re.findall(r'data-value="(\d+)">\$', dom) == ["2", "9", "10"]
