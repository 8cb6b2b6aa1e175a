"""Files there and back: what moves, what is said of it, and what a cut leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.project import ScratchProject
from support.two_sides import OWN, Sides, put, snapshot
from support.waiting import until

from ec2tasks.base import project_dir as own_folder
from ec2tasks.base.errors import Failure
from ec2tasks.sync.apply import KEPT_REPLACED, prune_replaced
from ec2tasks.sync.pull import LivePull


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    """A project with a few files on both sides."""
    found = Sides(tmp_path)
    (found.local / ".rsyncignore").write_text("*.ignored\n")
    put(found.local / "code.py", "file print(1)")
    put(found.local / "data/rows", "file 1 2 3")
    found.sync()
    return found


def test_only_the_last_runs_replaced_files_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / ".ec2tasks" / "replaced"
    # The clock of another machine says otherwise, and so does a name: the older the run, the later its id.
    runs = [f"202601{n:02}-000000-abc" for n in range(KEPT_REPLACED + 4, 0, -1)]
    for age, run in enumerate(runs):
        (folder / run).mkdir(parents=True)
        os.utime(folder / run, (age, age))
    current = runs[0]
    prune_replaced(tmp_path, current)
    assert {one.name for one in folder.iterdir()} == {current, *runs[1 - KEPT_REPLACED :]}


def test_a_clock_that_is_off_changes_nothing(sides: Sides) -> None:
    for shift in (-600, 600):
        put(sides.local / "code.py", f"file mine {shift}")
        put(sides.remote / "data/rows", f"file theirs {shift}")
        moment = time.time() + shift
        os.utime(sides.remote / "data/rows", (moment, moment))
        sides.sync()
        expected = {"code.py": f"file mine {shift}", "data/rows": f"file theirs {shift}"}
        assert expected.items() <= snapshot(sides.local).items()
        assert expected.items() <= snapshot(sides.remote).items()
        assert not list(sides.local.rglob("*.ec2-*"))


def test_a_change_within_the_same_second_and_size_is_seen(sides: Sides) -> None:
    for round_ in range(3):
        (sides.local / "code.py").write_text(f"print({round_})")
        sides.sync()
        assert (sides.remote / "code.py").read_text() == f"print({round_})"


def test_another_machine_merges_by_content(sides: Sides, tmp_path: Path) -> None:
    put(sides.remote / "result", "file made there")
    other = sides.clone(tmp_path / "other")
    for path in other.local.rglob("*"):
        os.utime(path, (1_000_000, 1_000_000), follow_symlinks=False)
    times = {path: path.stat().st_mtime_ns for path in other.remote.rglob("*.py")}
    other.sync()
    assert snapshot(other.local) == snapshot(other.remote)
    assert not list(other.local.rglob("*.ec2-*"))
    assert times == {path: path.stat().st_mtime_ns for path in times}, "make there would make all anew"
    assert other.differences() == []
    assert [one.path for one in sides.differences()] == ["result"]
    put(other.local / "code.py", "")
    other.sync()
    assert not (other.remote / "code.py").exists()
    sides.sync()
    assert (sides.local / "code.py").exists(), "deleted there, so it stays here"
    assert not (sides.remote / "code.py").exists()


def test_what_a_job_made_is_never_deleted_by_a_push(sides: Sides) -> None:
    put(sides.remote / "data/result", "file dear")
    shutil.rmtree(sides.local / "data")
    sides.sync(pull=False)
    assert (sides.remote / "data/result").read_text() == "dear"
    assert not (sides.remote / "data/rows").exists()


def test_a_folder_taken_away_there_is_sent_again(sides: Sides) -> None:
    shutil.rmtree(sides.remote)
    sides.sync()
    assert snapshot(sides.local) == snapshot(sides.remote)


def test_what_can_t_travel_is_said_and_the_rest_moves(
    sides: Sides, capsys: pytest.CaptureFixture[str]
) -> None:
    (sides.local / "nowhere").symlink_to("/does/not/exist")
    os.mkfifo(sides.local / "pipe")
    put(sides.local / "vendored/.git/HEAD", "file ref")
    put(sides.local / "vendored/lib.py", "file x")
    sides.sync()
    said = capsys.readouterr().err
    for words in (
        "nowhere leads nowhere here",
        "pipe (no regular file)",
        "vendored/.git (a repository inside)",
    ):
        assert words in said
    assert (sides.remote / "vendored/lib.py").exists()
    assert not (sides.remote / "vendored/.git").exists()


# The file grows once two thirds of it are through, the first time that it is moved.
GROW_ONCE = """
case "$*" in *--backup-dir*|*--sender*) ;; *) exec sh -c "$*" ;; esac
echo one >>transfers
[ ! -e grown ] || exec sh -c "$*"
touch grown
through() {{ stdbuf -i0 -o0 head -c 20000000; echo more >>'{big}'; exec cat; }}
if [ {push} = True ]; then exec sh -c "$*" < <(through); fi
# rsync made it non-blocking, which `head` takes for an error.
python3 -c 'import os; os.set_blocking(1, True)'
sh -c "$*" | through
"""


@pytest.mark.parametrize("push", [True, False], ids=["push", "pull"])
def test_a_file_that_grows_while_it_moves_is_moved_again(sides: Sides, push: bool) -> None:
    big = (sides.local if push else sides.remote) / "big"
    big.write_bytes(os.urandom(30_000_000))
    sides.use_shell(GROW_ONCE.format(big=big, push=push))
    sides.sync(push=push, pull=not push)
    assert big.read_bytes().endswith(b"more\n"), "it did not grow"
    assert (sides.remote / "big").read_bytes() == (sides.local / "big").read_bytes()
    assert (sides.home / "transfers").read_text().count("one") >= 2
    assert sides.differences() == []


def test_a_file_that_grows_while_it_is_sent_is_no_conflict(sides: Sides) -> None:
    big = sides.local / "big"
    big.write_bytes(os.urandom(30_000_000))
    sides.use_shell(GROW_ONCE.format(big=big, push=True))
    sides.sync()
    assert not list(sides.local.rglob("*.ec2-*"))


def test_an_edit_between_comparing_and_fetching_stays(sides: Sides) -> None:
    put(sides.remote / "code.py", "file theirs")
    edit = f"printf mine >'{sides.local}/code.py'"
    sides.use_shell(f'case "$*" in *--sender*) {edit} ;; esac\nexec sh -c "$*"')
    job_id = sides.sync(push=False)
    assert (sides.local / "code.py").read_text() == "mine"
    assert (sides.local / f"code.py.ec2-{job_id}").read_text() == "theirs"


def test_a_change_there_between_comparing_and_sending_comes_home(sides: Sides) -> None:
    put(sides.local / "code.py", "file mine")
    change = f"printf result >'{sides.remote}/code.py'"
    sides.use_shell(f'case "$*" in *--backup-dir*) {change} ;; esac\nexec sh -c "$*"')
    job_id = sides.sync(pull=False)
    assert (sides.remote / "code.py").read_text() == "mine"
    assert (sides.local / f"code.py.ec2-{job_id}").read_text() == "result"


# The way there dies after some of the bytes of the first transfer, as ssh does when the network goes.
CUT_ONCE = """
case "$*" in *--partial-dir*) way=push ;; *--sender*) way=pull ;; *) exec sh -c "$*" ;; esac
if [ -e cut ]; then exec sh -c "$*"; fi
touch cut
mkfifo in out
sh -c "$*" <in >out &
if [ $way = push ]; then
    cat <out & stdbuf -o0 head -c 20000000 >in
else
    cat <&0 >in & stdbuf -o0 head -c 20000000 <out
fi
kill -9 $!
exit 255
"""


@pytest.mark.slow
@pytest.mark.parametrize("push", [True, False], ids=["push", "pull"])
def test_after_a_cut_nothing_half_stands_and_the_next_sync_goes_on(sides: Sides, push: bool) -> None:
    root = sides.local if push else sides.remote
    for number in range(20):
        (root / f"big{number}").write_bytes(os.urandom(4_000_000))
    sides.use_shell(CUT_ONCE)
    with pytest.raises(Failure, match="is not complete"):
        sides.sync(push=push, pull=not push)
    for side in (sides.local, sides.remote):
        for path in side.glob("big*"):
            assert path.read_bytes() == (root / path.name).read_bytes(), "half a file under its name"
    sides.sync()
    assert snapshot(sides.local) == snapshot(sides.remote)
    assert sides.differences() == []


def test_two_syncs_at_once_wait_for_each_other(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(own_folder, "PATIENCE", 0.0)
    put(sides.local / "more", "file x")
    with ThreadPoolExecutor() as pool:
        with own_folder.sync_lock(sides.local):
            other = pool.submit(sides.sync)
            until(lambda: other.done() or "another sync" in capsys.readouterr().err, "the other waits")
            assert not other.done()
            assert not (sides.remote / "more").exists()
        other.result()
    assert snapshot(sides.local) == snapshot(sides.remote)


@pytest.mark.slow
def test_beside_a_running_command_nothing_half_written_is_fetched(sides: Sides) -> None:
    put(sides.remote / "done", "file whole")
    deeds = "echo x >>growing; echo y >.new; mv .new replaced"
    writer = subprocess.Popen(["sh", "-c", f"cd '{sides.remote}'; while sleep 0.2; do {deeds}; done"])
    live = LivePull()
    try:
        made = [sides.remote / "growing", sides.remote / "replaced"]
        until(lambda: all(one.exists() and one.stat().st_size for one in made), "what the command writes")
        sides.sync(push=False, live=live)
        assert (sides.local / "done").read_text() == "whole"
        assert not (sides.local / "growing").exists()
        for _ in range(10):  # it may change in the middle of one look, or get an inode of before
            if all((sides.local / one).exists() for one in ("growing", "replaced")):
                break
            sides.sync(push=False, live=live)
    finally:
        writer.kill()
        writer.wait()
    assert set((sides.local / "growing").read_text().split()) == {"x"}
    assert (sides.local / "replaced").read_text() == "y\n"
    sides.sync(push=False)
    assert (sides.local / "growing").read_text() == (sides.remote / "growing").read_text()


NAMES = ["plain", "a b", 'it\'s "quoted"', "new\nline", "é☃", "-dash", "$HOME", "sub/deep/file", "*star?"]


def test_files_of_any_name_go_there_and_come_back(warm: ScratchProject) -> None:
    for name in NAMES:
        warm.write(f"names/{name}", name)
    script = warm.write("names/run me", "#!/bin/sh\n")
    script.chmod(0o755)
    (warm.root / "names" / "empty").mkdir()
    (warm.root / "names" / "link").symlink_to("plain")
    command = (
        'cd names && find . -type f -print0 | while IFS= read -r -d "" f; do cp -p -- "$f" "$f.back"; done; '
        "test -x 'run me' && test -d empty && test -L link && mkdir came && date > came/new"
    )
    said = warm.ec2tasks("run", command)
    assert said.code == 0, said.err
    for name in NAMES:
        assert warm.read(f"names/{name}.back") == name
    assert os.access(warm.root / "names" / "run me.back", os.X_OK)
    assert (warm.root / "names" / "came" / "new").exists()
    assert (warm.root / "names" / "link").is_symlink()


def test_what_a_pull_replaces_is_kept(warm: ScratchProject) -> None:
    warm.write("kept.txt", "mine\n")
    assert warm.ec2tasks("sync", "--push").code == 0
    assert warm.ec2tasks("run", "--no-rsync", "echo theirs > kept.txt").code == 0
    assert warm.ec2tasks("sync", "--pull").code == 0
    assert warm.read("kept.txt") == "theirs\n"
    copies = list((warm.root / ".ec2tasks" / "replaced").glob("*/kept.txt"))
    assert [one.read_text() for one in copies] == ["mine\n"]


def test_a_folder_there_that_can_t_be_looked_into_is_not_fetched(warm: ScratchProject) -> None:
    made = "mkdir closed && echo dear > closed/result && chmod 0 closed"
    assert warm.ec2tasks("run", "--no-rsync", made).code == 0
    said = warm.ec2tasks("sync", "--pull")
    assert (said.code, "not complete" in said.err) == (125, True), said.err
    assert warm.ec2tasks("run", "--no-rsync", "chmod 755 closed").code == 0
    assert warm.ec2tasks("sync", "--pull").code == 0
    assert warm.read("closed/result") == "dear\n"


def test_verbose_shows_each_file_and_its_direction(warm: ScratchProject) -> None:
    warm.write("shown-push", "x")
    said = warm.ec2tasks("run", "--no-quiet", "touch shown-pull")
    assert "push shown-push" in said.err
    assert "pull shown-pull" in said.err
    assert "shown-push" not in warm.ec2tasks("run", "touch shown-push; true").err


def test_no_rsync_moves_nothing(warm: ScratchProject) -> None:
    warm.write("stays-here", "")
    said = warm.ec2tasks("run", "--no-rsync", "ls; touch stays-there")
    assert "stays-here" not in said.out
    assert not (warm.root / "stays-there").exists()


def test_git_sees_nothing_of_ours(warm: ScratchProject) -> None:
    warm.call("git", "init", "-q")
    said = warm.call("git", "status", "--porcelain", "--untracked-files=all", ".ec2tasks")
    assert said.out == ""


def test_what_an_earlier_run_left_unfetched_comes_before_the_next_one_begins(warm: ScratchProject) -> None:
    assert warm.ec2tasks("run", "--no-rsync", "echo A > gold").code == 0
    assert warm.ec2tasks("run", "echo B > gold").code == 0
    assert warm.read("gold") == "B\n"
    copies = {one.read_text() for one in (warm.root / OWN / "replaced").glob("*/gold")}
    assert copies == {"A\n"}
