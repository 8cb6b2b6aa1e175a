"""What was typed for the makes above: pure cases, and the real make above a real process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.makes import ENVIRON, MAKES, cases

from ec2tasks.make.caller import NOTHING_KNOWN, Process, Typed, ask_ps, find_typed, typed_for, with_typed


def process(argv: str, parent: int = 1, **environ: str) -> Process:
    return Process(argv=tuple(argv.split()), parent=parent, environ=environ)


@pytest.mark.parametrize("case", cases("typed.yaml"))
def test_typed(case: dict[str, Any]) -> None:
    *inner, outer = case["makes"]
    makes = [*map(process, inner), process(outer, **case.get("environ", {}))]
    typed = typed_for(makes)
    assert "".join(sorted(typed.width)) == case.get("width", "")
    assert typed.jobs == case.get("jobs")
    assert list(typed.assumed) == case.get("assumed", [])
    assert list(typed.makefiles) == case.get("makefiles", [])


def test_only_the_makes_of_this_level_count() -> None:
    table = {
        9: process("sh -c ec2tasks", 8),
        8: process("/usr/bin/gmake -W in on-ec2-x", 7),
        7: process("bash", 6),
        6: process("make -j4 -W other up", 5, MAKEFLAGS="k"),
    }
    one = find_typed({"MAKELEVEL": "1"}, pid=9, look=table.get)
    assert (one.assumed, one.width) == (("-W", "in"), frozenset())
    two = find_typed({"MAKELEVEL": "2"}, pid=9, look=table.get)
    assert (two.assumed, two.width) == (("-W", "in"), frozenset("j"))
    assert two.environ == frozenset({"MAKEFLAGS"})


def test_what_can_t_be_known_leaves_all_as_makeflags_tells_it() -> None:
    table = {9: process("python -m ec2tasks", 8), 8: process("sh", 9)}
    for level in ("1", "2", "7"):
        assert find_typed({"MAKELEVEL": level}, pid=9, look=table.get) == NOTHING_KNOWN
    assert NOTHING_KNOWN.width == {"j", "l"}
    assert NOTHING_KNOWN.environ is None


def test_with_no_make_above_the_environment_is_the_caller_s() -> None:
    for environ in ({"A": "1"}, {"A": "1", "MAKELEVEL": "0"}, {"A": "1", "MAKELEVEL": "x"}):
        assert find_typed(environ, look=lambda _: None).environ == environ.keys()


@pytest.mark.parametrize(
    ("targets", "typed", "words"),
    [
        ("x", Typed(), "x"),
        ("x 'A=b  c'", Typed(makefiles=("a.mk",)), "x 'A=b  c'"),
        ("x --file=a.mk", Typed(makefiles=("a.mk", "b c.mk")), "x --file=a.mk '--file=b c.mk'"),
        ("x --file=b", Typed(makefiles=("{here}/b c.mk",)), "x '--file=b c.mk'"),
        ("x --file=/else/a.mk", Typed(makefiles=("/else/a.mk",)), "x --file=/else/a.mk"),
        ("x", Typed(assumed=("-W", "{here}/in it", "-o", "out")), "x -W 'in it' -o out"),
    ],
)
def test_words_with_what_was_typed(targets: str, typed: Typed, words: str) -> None:
    here = str(Path.cwd())
    named = Typed(
        makefiles=tuple(name.format(here=here) for name in typed.makefiles),
        assumed=tuple(word.format(here=here) for word in typed.assumed),
    )
    assert with_typed(targets, named) == words


TELL = """
import json
from ec2tasks.make.caller import find_typed
typed = find_typed()
given = "A" in typed.environ
print(json.dumps({"f": typed.makefiles, "W": typed.assumed, "j": sorted(typed.width), "A": given}))
"""


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the process table is ps's")
@pytest.mark.parametrize("make", MAKES)
def test_the_real_make(make: str, tmp_path: Path) -> None:
    (tmp_path / "tell.py").write_text(TELL)
    (tmp_path / "a b.mk").write_text(
        f"export A ?= 1\nMAKEFLAGS += -j3\nx: ; @{sys.executable} tell.py\ny: ; @$(MAKE) -s -f 'a b.mk' x\n"
    )

    def told(*words: str, **environ: str) -> dict[str, Any]:
        argv = [shutil.which(make) or make, "-C", str(tmp_path), "-s", "-f", "a b.mk", *words]
        ran = subprocess.run(argv, env={**ENVIRON, **environ}, capture_output=True, check=True)
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    assert told("x") == {"f": ["a b.mk"], "W": [], "j": [], "A": False}
    more = told("x", "-W", "in it", "-kj2", A="2")
    assert more == {"f": ["a b.mk"], "W": ["-W", "in it"], "j": ["j"], "A": True}
    assert told("y", "-j2", "-Win")["j"] == ["j"]
    assert told("y", "-Win")["W"] == []
    assert told("y", MAKEFLAGS="-j2")["j"] == ["j"]


@pytest.mark.skipif(not shutil.which("ps"), reason="there is no ps")
def test_a_process_as_ps_tells_it() -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        found = ask_ps(sleeping.pid)
        sleeping.kill()
    assert found == Process(argv=("sleep", "60"), parent=os.getpid())
    assert ask_ps(sleeping.pid) is None


def test_without_ps_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert ask_ps(1) is None
