"""What is compared and sent: links and folders in each other's place, odd names, cuts and other folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.sync_page import cells
from support.two_sides import OWN, Sides, do, everything, put, snapshot

from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.remote.folder import RemoteFolder, ask_tree
from ec2tasks.sync import push
from ec2tasks.sync.baseline import Baseline
from ec2tasks.sync.entries import encode_paths


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with a folder and a file on both sides."""
    found = Sides(tmp_path)
    (found.local / ".rsyncignore").write_text("*.ignored\n")
    put(found.local / "store/m", "file stored")
    put(found.local / "code.py", "file print(1)")
    found.sync()
    return found


def beside(root: Path) -> set[str]:
    return {path.read_text() for path in root.rglob("*.ec2-*") if path.is_file()}


KNOWN = {"link": "link store", "folder": "folder base"}
DEEDS = {
    "link": {
        "unchanged": None,
        "changed": "link store-{side}",
        "deleted": "",
        "now a folder": "file {side}",
        "now a file": "file {side}",
    },
    "folder": {
        "unchanged": None,
        "changed": "file {side}, and longer",
        "deleted": "",
        "now a file": "file {side}",
        "now a link": "link store-{side}",
    },
}
WITHIN = {("link", "now a folder"): "m", ("folder", "changed"): "inner"}


def below(found: dict[str, str], name: str, job_id: str) -> tuple[dict[str, str], bool]:
    """What stands at a name and below it, and whether something arrived beside it."""
    own = {path: one for path, one in found.items() if f"{path}.".startswith((f"{name}.", f"{name}/"))}
    return {path: one for path, one in own.items() if job_id not in path}, any(job_id in one for one in own)


def test_the_cells_of_what_was_a_link_or_a_folder(sides: Sides) -> None:
    tried = {f"it{number:02}": one for number, one in enumerate(one for one in cells() if one[0] in KNOWN)}
    assert len({one[:3] for one in tried.values()}) == 50
    for root in (sides.local, sides.remote):
        for side in "ht":
            put(root / f"store-{side}/m", f"file stored {side}")
    for name, (which, *_) in tried.items():
        put(sides.local / name, KNOWN[which])
    sides.sync()
    for name, (which, local, remote, _) in tried.items():
        for root, deed, side in ((sides.local, local, "h"), (sides.remote, remote, "t")):
            inner = WITHIN.get((which, deed), "")
            if inner and which == "link":
                put(root / name, "")
            if (now := DEEDS[which][deed]) is not None:
                put(root / name / inner, now.format(side=f"{name} {side}" if "file" in now else side))
    before_here, before_there, had = snapshot(sides.local), snapshot(sides.remote), everything(sides)
    job_id = sides.sync()
    now_here, now_there = snapshot(sides.local), snapshot(sides.remote)
    assert had <= everything(sides), "something is gone for good"
    for name, (*case, cell) in {"store": ("=",), **tried}.items():
        was_here, was_there = below(before_here, name, job_id)[0], below(before_there, name, job_id)[0]
        expected = {
            "=": (was_here, was_there, False),
            "to there": (was_here, was_here, False),
            "to here": (was_there, was_there, False),
            "stays here": (was_here, was_there, False),
            "both": (was_here, was_here, True),
            "both stay": (was_here, was_there, True),
            "merge": (was_here, was_here, True),
        }[cell]
        is_here, arrived = below(now_here, name, job_id)
        assert (is_here, below(now_there, name, job_id)[0], arrived) == expected, (case, cell)
    assert sides.differences() == []


NAMES = st.sampled_from(["a", "d", "d/x", "d/y", "d/e/z", "e", "e/x"])
KINDS = st.sampled_from(["file", "file", "link d", "link e", "folder", "gone"])
HISTORY = st.lists(
    st.lists(st.tuples(st.sampled_from(["here", "there"]), NAMES, KINDS), max_size=5), min_size=1, max_size=3
)


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(HISTORY)
def test_links_that_lead_somewhere_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[tuple[str, str, str]]]
) -> None:
    sides = Sides(tmp_path_factory.mktemp("links"))
    put(sides.local / "d/x", "file first")
    put(sides.local / "e/x", "file second")
    sides.sync()
    for step, deeds in enumerate(history):
        for number, (side, name, kind) in enumerate(deeds):
            word, _, target = kind.partition(" ")
            do(sides, side, name, word, "../" * name.count("/") + target if target else f"{step}.{number}")
        had = everything(sides)
        sides.sync()
        assert had <= everything(sides)
    assert sides.differences() == []


def test_nothing_is_deleted_or_put_through_a_link(sides: Sides) -> None:
    (sides.remote / "way").symlink_to("store")
    paths = encode_paths(["way/m", "", "way/m"])
    stayed = ask_tree(sides.way(), Tools(), "clear", job_id="20260101-000000-abc", stdin=paths)
    assert stayed == b"way/m\0"
    assert (sides.remote / "store/m").read_text() == "stored"
    put(sides.local / "out/m", "file one")
    sides.sync()
    # Yours is deleted, and theirs changes before it can be; meanwhile here the folder becomes a link.
    shutil.rmtree(sides.local / "out")
    (sides.local / "out").symlink_to("store")
    during(sides, "mv", before=f"printf result >'{sides.remote}/out/m'")
    sides.sync()
    assert "result" in {path.read_text() for path in sides.local.glob("out.ec2-*/m")}
    assert sorted(one.name for one in (sides.local / "store").iterdir()) == ["m"]


def during(sides: Sides, tool: str, *, before: str = "true", after: str = "true") -> None:
    """What happens there just before and after a script of ours runs a tool."""
    folder = sides.home.parent / "tools"
    folder.mkdir()
    wrapper = folder / tool
    wrapper.write_text(f'#!/bin/bash\n{before}\n{shutil.which(tool)} "$@"\ncode=$?\n{after}\nexit $code\n')
    wrapper.chmod(0o755)
    _wrap(sides, ["env", f"PATH={folder}:{os.environ['PATH']}"])


def _wrap(sides: Sides, words: list[str]) -> None:
    plain: Callable[[], RemoteFolder] = sides.way

    def way() -> RemoteFolder:
        remote = plain()
        return replace(remote, remotely=lambda argv: [*words, *remote.remotely(argv)])

    sides.way = way  # type: ignore[method-assign]


def test_what_a_job_puts_in_the_place_of_what_is_being_deleted_stays(sides: Sides) -> None:
    put(sides.local / "early", "file 1")
    put(sides.local / "late", "file 2")
    sides.sync()
    (sides.local / "early").unlink()
    (sides.local / "late").unlink()
    remote = sides.remote
    during(
        sides,
        "mv",
        before=f"printf 'early result' >'{remote}/new' && /bin/mv '{remote}/new' '{remote}/early'",
        after=f"printf 'late result' >'{remote}/late'",
    )
    sides.sync()
    assert beside(sides.local) == {"early result"}
    sides.sync()
    assert (sides.local / "late").read_text() == (sides.remote / "late").read_text() == "late result"
    assert not (sides.remote / "early").exists()


def test_there_the_copies_of_this_run_are_never_pruned(sides: Sides) -> None:
    replaced = sides.remote / OWN / "replaced"
    for number in range(12):  # by clients whose clocks are ahead, the oldest with the latest name
        (replaced / f"209901{31 - number}-000000-abc").mkdir(parents=True)
        time.sleep(0.01)
    (sides.local / "code.py").unlink()
    during(sides, "mv", before=f"printf result >'{sides.remote}/code.py'")
    job_id = sides.sync()
    left = {one.name for one in replaced.iterdir()}
    assert left == {job_id, *(f"209901{31 - number}-000000-abc" for number in range(3, 12))}
    assert beside(sides.local) == {"result"}


def test_yours_that_could_not_be_sent_is_never_taken_for_theirs(sides: Sides) -> None:
    for name in ("gone", "file", "link"):
        put(sides.local / name, f"file mine {name}")
        put(sides.remote / name, "folder theirs")
    (sides.remote / "way").symlink_to("store")
    put(sides.local / "way/own", "file mine below")
    (sides.local / "code.py").unlink()
    put(sides.local / "code.py/new", "file mine new")
    sides.sync()
    assert sides.differences() == []
    for name, now in (("gone", ""), ("file", "file other"), ("link", "link store")):
        put(sides.remote / name, now)
    before = snapshot(sides.local)
    sides.sync()
    assert {path: one for path, one in snapshot(sides.local).items() if path in before} == before
    assert [(sides.remote / one).read_text() for one in ("gone", "file", "link")] == [
        f"mine {one}" for one in ("gone", "file", "link")
    ]
    assert "other" in beside(sides.local)
    assert sides.differences() == []


def test_yours_below_what_is_no_folder_there_is_sent_once_it_can_be(sides: Sides) -> None:
    put(sides.local / "out/a", "file base")
    sides.sync()
    put(sides.remote / "out", "file in the way")
    put(sides.local / "out/b", "file mine")
    sides.sync()
    assert sides.differences() == []
    put(sides.remote / "out", "")
    sides.sync()
    assert (sides.remote / "out/b").read_text() == "mine"


ODD = (
    b"bad\xff",
    b"new\nline",
    "u\u2028x".encode(),
    b"a\\#012b",
    b"tab\tx",
    b"x\xc2\x85y",
    "données".encode(),
    b'"q',
)


@pytest.mark.parametrize("what", ["link out", "link", "pipe"])
def test_what_can_t_travel_under_an_odd_name_holds_up_nothing(sides: Sides, what: str) -> None:
    put(sides.home / "big/in", "file far")
    for name in map(os.fsdecode, ODD):
        if what == "link out":
            put(sides.remote / name / "inner", "file x")
        elif what == "link":
            (sides.local / name).symlink_to("/nowhere")
            (sides.remote / f"t{name}").symlink_to("/nowhere")
        else:
            os.mkfifo(sides.local / name)
            os.mkfifo(sides.remote / f"t{name}")
    sides.sync()
    for name in map(os.fsdecode, ODD if what == "link out" else ()):
        put(sides.remote / name, "")
        (sides.remote / name).symlink_to(sides.home / "big")
    put(sides.remote / "result", "file dear")
    sides.sync()
    assert (sides.local / "result").read_text() == "dear"
    if what == "link out":
        assert all((sides.local / os.fsdecode(one) / "in").read_text() == "far" for one in ODD)
    assert sides.differences() == []


class KilledError(BaseException):
    """The client is gone."""


@pytest.mark.parametrize("first", [True, False])
def test_what_a_cut_push_sent_is_known_to_have_been_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, first: bool
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KilledError

    sides = Sides(tmp_path)
    put(sides.local / "code.py", "file 1")
    if not first:
        sides.sync()
    put(sides.local / "old_name.py", "file code")
    put(sides.local / "pack/edited", "file before")
    with monkeypatch.context() as patch:
        patch.setattr(push, "ANNOUNCING", 0.0)
        patch.setattr(Baseline, "save", killed)
        with pytest.raises(KilledError):
            sides.sync(pull=False)
    assert (sides.remote / "old_name.py").exists()
    (sides.local / "old_name.py").rename(sides.local / "new_name.py")
    put(sides.local / "pack/edited", "file after it")
    sides.sync()
    assert snapshot(sides.local) == snapshot(sides.remote)
    assert {"new_name.py", "old_name.py"} & snapshot(sides.local).keys() == {"new_name.py"}
    assert beside(sides.local) == set()


@pytest.mark.skipif(
    not shutil.which("setpriv") and os.geteuid() == 0, reason="root may look into every folder"
)
def test_what_is_in_a_folder_there_that_is_closed_is_not_deleted() -> None:
    with tempfile.TemporaryDirectory() as name:
        sides = Sides(Path(name))
        Path(name).chmod(0o755)
        put(sides.local / "closed/x", "file one")
        put(sides.local / "code.py", "file 1")
        if os.geteuid() == 0:
            as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            sides.use_shell(f'exec {" ".join(as_nobody)} sh -c "$*"')
            sides.way()
            subprocess.run(["chown", "-R", "65534:65534", sides.home], check=True)
            _wrap(sides, as_nobody)
        sides.sync()
        (sides.remote / "closed").chmod(0)
        for edit in ("", "file edited here", "file edited again"):
            put(sides.local / "closed/x", edit or "file one")
            put(sides.remote / "result", f"file after {edit}")
            with pytest.raises(Failure, match=r"closed \(not readable there\)"):
                sides.sync()
            assert (sides.local / "result").read_text() == f"after {edit}"
        (sides.remote / "closed").chmod(0o755)
        sides.sync()
        assert (sides.remote / "closed/x").read_text() == "edited again"
        # Of what is in a folder whose inode was changed nobody knows that it is the same: it is kept beside.
        assert beside(sides.local) <= {"one"}
