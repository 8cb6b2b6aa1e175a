"""The guard ends when its machine shuts down, whatever it is at: a shutdown waits for each process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from support.instance_scripts import skip_without_linux
from support.waiting import until

from ec2tasks.base.scripts import remote_script

TIMES = 15
PATIENCE = 20.0  # seconds; it takes milliseconds
# So that it spends its time in its own functions, whose variables what it does at its end can see.
QUICK = ("timeout", "ps", "grep", "sleep", "systemctl", "shutdown", "poweroff")


def test_a_shutdown_never_waits_for_it(tmp_path: Path) -> None:
    skip_without_linux()
    home, tools, here = tmp_path / "home", tmp_path / "bin", tmp_path / "run"
    for folder in (home / ".ec2tasks" / "runs", tools, here):
        folder.mkdir(parents=True)
    (tmp_path / "passwd").write_text(f"kim:x:1000:1000::{home}:/bin/bash\n")
    (tmp_path / "settings").write_text("idle_stop 1800\nmax_seconds 0\n")
    for name in QUICK:
        (tools / name).symlink_to("/bin/true")
    text = remote_script("guard.sh")
    for old, new in (
        ("/run/ec2tasks-guard", here),
        ("/etc/passwd", tmp_path / "passwd"),
        ("/proc/1/cmdline", tmp_path / "cmdline"),
    ):
        assert old in text
        text = text.replace(old, str(new))
    for _ in range(TIMES):
        _shut_down(text, tmp_path, {"PATH": f"{tools}:{os.environ['PATH']}"})


def _shut_down(text: str, folder: Path, environ: dict[str, str]) -> None:
    state = folder / "run" / "state"
    state.unlink(missing_ok=True)
    (folder / "cmdline").write_text("/sbin/init\0")
    guard = subprocess.Popen(
        ["bash", "-c", text, "guard.sh", str(folder)],
        env=environ,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(state.exists, "its first look")
        time.sleep(random.random() / 20)  # noqa: S311  # no secret
        # As systemd does to all that is left; what one bash loses of a trap must not keep it.
        (folder / "cmdline").write_text("/lib/systemd/systemd-shutdown\0reboot\0")
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT):
            os.killpg(guard.pid, number)
            time.sleep(0.01)
        assert guard.wait(PATIENCE) == 0
    finally:
        if guard.poll() is None:
            os.killpg(guard.pid, signal.SIGKILL)
            guard.wait()
