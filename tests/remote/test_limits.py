"""Every way in which an instance is asked, with an ssh in its place that prints for ever, drips or hangs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.hostile import DRIPS, WAYS, hostile_argv, hostile_ssh
from support.two_sides import Sides
from support.values import ssh_host

from ec2tasks.base import exchange
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import KIBIBYTE, ExceededError, Limits, TooLongError, TooMuchError
from ec2tasks.base.process import Tools
from ec2tasks.remote import cloud_init, end_job, folder, follow, job, job_use, session, usage_mark
from ec2tasks.remote.folder import ask_tree, remote_folder
from ec2tasks.remote.follow import View
from ec2tasks.remote.session import SessionRequest, join
from ec2tasks.ssh import connect, host_keys, packages
from ec2tasks.ssh.host import Host
from ec2tasks.sync import rsync
from ec2tasks.sync.rsync import run_rsync

TOOLS = Tools()
SHORT = Limits(out=300 * KIBIBYTE, err=300 * KIBIBYTE, seconds=0.2)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each limit is a short one: none is waited for."""
    monkeypatch.setattr(exchange, "ENDING", 0.2)
    limits = (
        *((end_job, name) for name in ("SIGNALLING", "CANCELLING")),
        *((packages, name) for name in ("PROBING", "INSTALLING")),
        *(
            (cloud_init, "ANSWERING"),
            (job, "ANSWERING"),
            (job_use, "ASKING"),
            (usage_mark, "ASKING"),
            (folder, "TREE"),
            (rsync, "LIMITS"),
        ),
        *((connect, "QUICK"), (host_keys, "QUICK"), (session, "TALKING")),
    )
    for module, name in limits:
        monkeypatch.setattr(module, name, SHORT)
    monkeypatch.setattr(job, "saving_limits", lambda _log_mb: SHORT)
    monkeypatch.setattr(session, "ANSWER_LIMIT", 0.1)
    monkeypatch.setattr(session, "GUARD_LIMIT", 0.1)
    monkeypatch.setattr(follow, "BEGINNING_LIMIT", 0.2)


@pytest.fixture(params=[*WAYS, *DRIPS])
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose ssh does what no honest one would."""
    bin_folder = hostile_ssh(tmp_path / "bin", request.param)
    monkeypatch.setenv("PATH", f"{bin_folder}:/usr/bin:/bin")
    return ssh_host(tmp_path)


def joined(host: Host) -> None:
    with join(
        host, TOOLS, SessionRequest(job_id="j", remote_dir="shop", start="1"), {"command": "x" * 500_000}
    ):
        raise AssertionError("let in")


def look(host: Host) -> None:
    remote = remote_folder(host, folder="shop", home="/home/u", empty=False)
    ask_tree(remote, TOOLS, "look", stdin=b"./a\0")


ASKED: dict[str, Callable[[Host], object]] = {
    "jobs": lambda host: job.list_jobs(host, TOOLS),
    "samples": lambda host: job_use.fetch_samples(host, "j", TOOLS),
    "packages": lambda host: packages.install_missing(host, TOOLS),
    "session": joined,
    "tree": look,
    "cancel": lambda host: end_job.cancel_job(host, "j", TOOLS),
    "kept output": lambda host: job.save_output(host, "j", host.sockets, TOOLS, log_mb=1),
}


@pytest.mark.parametrize("asked", ASKED)
def test_who_needs_an_answer_fails_in_words(asked: str, host: Host) -> None:
    with pytest.raises(Failure) as caught:
        ASKED[asked](host)
    assert isinstance(caught.value, ExceededError) or "takes no session" in caught.value.what
    assert caught.value.what.startswith(("the instance", "instance"))
    assert caught.value.hint or "takes no session" in caught.value.what


def test_who_can_do_without_an_answer_goes_on(host: Host) -> None:
    assert cloud_init.boot_status(host, TOOLS) is None
    assert not end_job.send_signal(host, "j", "INT", TOOLS)
    assert not connect.is_connected(host, TOOLS)
    usage_mark.mark(host, TOOLS)
    job.release(host, "j", TOOLS)


@pytest.mark.parametrize("way", [*WAYS, *(way for way in DRIPS if "closes" not in way)])
@pytest.mark.parametrize("met", [False, True])
def test_following_a_job_gets_as_far_as_the_job_or_ends(
    way: str, met: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way in WAYS:
        monkeypatch.setattr(follow, "BEGINNING_LIMIT", 60.0)
    view = View(tools=TOOLS, met=met)
    if met and way in DRIPS:
        # The job goes on there: that is a connection which broke.
        assert view.once(lambda _marker: hostile_argv(way)) == (job.BROKEN, view_said(view))
        return
    with pytest.raises(ExceededError) as caught:
        view.once(lambda _marker: hostile_argv(way))
    assert isinstance(caught.value, TooLongError if way in DRIPS else TooMuchError)
    assert len(view.out.before) + len(view.err.before) <= 3 * 256 * KIBIBYTE


def view_said(view: View) -> str:
    return view.err.before.decode(errors="replace").strip()


@pytest.mark.parametrize("head", ["{} version=1 offset=0", "{} version=1 offset=", "{}"])
def test_half_a_head_is_not_waited_for(head: str) -> None:
    code = f"import sys, time; print({head!r}.format(sys.argv[1]), end='', flush=True); time.sleep(600)"
    with pytest.raises(TooLongError, match="did not get as far as the command"):
        View(tools=TOOLS).once(lambda marker: [sys.executable, "-c", code, marker])


def test_what_a_command_itself_prints_has_no_limit(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "BEGINNING_LIMIT", 60.0)
    code = """
import sys
for stream in (sys.stdout, sys.stderr):
    print(sys.argv[1], "version=1 offset=0", file=stream, flush=True)
for _ in range(64): print("y" * 65536, end="")
"""
    view = View(tools=TOOLS)
    assert view.once(lambda marker: [sys.executable, "-c", code, marker])[0] == 0
    assert len(capfd.readouterr().out) == 64 * 65536 == view.out.offset


@pytest.mark.parametrize("way", [*WAYS, *DRIPS])
def test_rsync_ends_whatever_its_other_side_does(way: str, tmp_path: Path) -> None:
    sides = Sides(tmp_path)
    (sides.local / "file").touch()
    script = tmp_path / "hostile"
    script.write_text("\n".join(hostile_argv(way)[4:]), encoding="utf-8")
    sides.use_shell(f"exec {sys.executable} -SE {script}")
    argv = ["rsync", "-r", f"--rsh={sides.shell}", f"{sides.local}/", "there:project/"]
    try:
        assert run_rsync(argv, TOOLS).code != 0
    except ExceededError:
        return


def test_names_without_end_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rsync, "LIMITS", Limits(out=300 * KIBIBYTE, seconds=60.0))
    held: list[bytes] = []
    with pytest.raises(TooMuchError):
        run_rsync(hostile_argv("prints for ever"), TOOLS, on_line=held.append)
    assert sum(map(len, held)) <= SHORT.out
