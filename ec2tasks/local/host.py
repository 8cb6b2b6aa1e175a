"""One instance as a running host: its files, its network and its sandboxed processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ec2tasks.local import rootfs
from ec2tasks.local.guestnet import GuestNet
from ec2tasks.local.requirements import GUEST_ID, SEARCH_PATH, as_guest_argv
from ec2tasks.local.rootfs import SSH_PORT, HostSpec
from ec2tasks.local.userdata import runnable_parts

BOOT_SECONDS = 20
END_SECONDS = 5
STEP_SECONDS = 0.01

# A child's "die with my parent" means the parent's *thread*, and threads of a server come and go: all
# children are started by this one (https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html).
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def spawn(argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a child from the one long-lived thread."""
    return _SPAWNER.submit(lambda: subprocess.Popen(argv, **options)).result()


def hold_argv(args_fd: int, uid: int) -> list[str]:
    """A new network namespace that waits for a line on stdin before the sandbox starts in it.

    It says a line on stdout once it is there. When the server dies meanwhile, stdin ends, and so does it.
    """
    user = [] if uid == 0 else ["--user", "--map-root-user"]
    # The options come over a pipe: as arguments, every process of the instance could read them in `ps`.
    script = 'echo ready; read -r go && exec bwrap --args "$@" >&2'
    shell = ["/bin/sh", "-c", script, "instance", f"{args_fd}", "--", "/bin/sh", rootfs.INIT]
    return ["unshare", *user, "--net", "--", *as_guest_argv(uid), *shell]


def pipe_with(content: bytes) -> int:
    """The read end of a pipe that holds this (at most the 64 KiB that a pipe takes)."""
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    return read


def give_to_guest(path: Path, uid: int) -> None:
    """Make the instances' user the owner, where we are root; else the owner is right already."""
    if uid == 0:
        os.chown(path, GUEST_ID, GUEST_ID, follow_symlinks=False)


def write_own_files(spec: HostSpec, uid: int) -> None:
    """Write the instance's folders and texts at each boot; disk, key and user data at the first one only."""
    folders = spec.folders
    first = not folders.root.exists()
    for folder in (folders.root, folders.etc, folders.ssh):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    caches = [spec.caches / name for name in rootfs.CACHES]
    for folder in (folders.home, folders.log, folders.cloud, folders.cloud / "instance", *caches):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        give_to_guest(folder, uid)
    for name, text in rootfs.etc_texts(spec).items():
        (folders.etc / name).write_text(text)
    folders.boot_id.write_text(f"{uuid.uuid4()}\n")
    _write_sys(folders.sys)
    (folders.ssh / "sshd_config").write_text(rootfs.sshd_text(spec))
    (folders.ssh / "authorized_keys").write_text(spec.public_key)
    if first:
        _write_first_files(spec, uid)


def _write_sys(folder: Path) -> None:
    """What /sys holds; the interfaces are links, as in the kernel's own, since programs look for links."""
    (folder / rootfs.CPUS.removeprefix("/sys/")).mkdir(mode=0o755, parents=True, exist_ok=True)
    links = folder / "class" / "net"
    links.mkdir(mode=0o755, parents=True, exist_ok=True)
    for interface, values in rootfs.INTERFACES.items():
        device = folder / "devices" / "virtual" / "net" / interface
        device.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name, text in values.items():
            (device / name).write_text(f"{text}\n")
        if not (links / interface).is_symlink():
            (links / interface).symlink_to(f"../../devices/virtual/net/{interface}")


def _write_first_files(spec: HostSpec, uid: int) -> None:
    folders = spec.folders
    skeleton = Path("/etc/skel")
    if skeleton.is_dir():
        shutil.copytree(skeleton, folders.home, dirs_exist_ok=True)
    (folders.home / ".cache" / "pip").mkdir(parents=True)
    for path in folders.home.rglob("*"):
        give_to_guest(path, uid)
    key = folders.ssh / "ssh_host_ed25519_key"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"root@{spec.hostname}", "-f", f"{key}"]
    spawn(make, stdin=subprocess.DEVNULL).wait()
    give_to_guest(key, uid)
    if spec.user_data:
        _write_user_data(spec, uid)


def _write_user_data(spec: HostSpec, uid: int) -> None:
    """User data, and what it holds as files of its own, where cloud-init keeps them."""
    here = spec.folders.cloud / "instance"
    (here / "user-data.txt").write_bytes(spec.user_data)
    for number, (folder, content) in enumerate(runnable_parts(spec.user_data), 1):
        (here / folder).mkdir(exist_ok=True)
        path = here / folder / f"part-{number:03}"
        path.write_bytes(content)
        path.chmod(0o700)
        give_to_guest(path, uid)


class Guest:
    """One boot of a host: from power on to power off."""

    def __init__(self, spec: HostSpec, *, home_mb: int | None = None, uid: int | None = None) -> None:
        self._spec = spec
        uid = os.geteuid() if uid is None else uid
        write_own_files(spec, uid)
        options = pipe_with("\0".join(rootfs.sandbox_argv(spec, home_mb=home_mb)).encode())
        with spec.folders.console.open("ab") as console:
            self._process = spawn(
                hold_argv(options, uid),
                pass_fds=(options,),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=console,
                cwd="/",
                # The instance can read the environment that the sandbox's process 1 was started with.
                env={"PATH": SEARCH_PATH},
                start_new_session=True,
            )
        os.close(options)
        self._net = GuestNet(self._process.pid, script=spec.tools / "netsetup.py", spawn=spawn, uid=uid)

    def open_network(self) -> tuple[socket.socket, socket.socket]:
        """Bring its network up; return the listeners for the metadata service and for the AWS API."""
        assert self._process.stdout is not None
        with self._process.stdout as line:
            if not line.readline():
                raise OSError("no network namespace")
        return self._net.open(self._spec.interface)

    @property
    def device(self) -> int | str:
        """The other end of its interface to the other instances; or why there is none."""
        return self._net.device

    def start(self) -> None:
        """Power on."""
        self._send("start")

    def wait_for_ssh(self) -> bool:
        """Whether sshd answers, within its time; False as well when the host ends meanwhile."""
        deadline = time.monotonic() + BOOT_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self._net.connect(SSH_PORT).close()
            except ConnectionError:
                time.sleep(STEP_SECONDS)
            else:
                return True
        return False

    def connect(self, port: int = SSH_PORT) -> socket.socket:
        """A connection to a port of the instance."""
        return self._net.connect(port)

    def request(self, end: str) -> None:
        """Ask the instance's init to end: `poweroff` or `reboot`, as the power button would."""
        self._send(end)

    def _send(self, word: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word.encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            return  # it has ended already, which is what the word would have led to

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code once the host has ended; None after the timeout."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Kill the instance's processes, as pulling the plug would."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    def end(self, seconds: float = END_SECONDS) -> None:
        """Power off; kill it where that takes longer than so many seconds."""
        self.request("poweroff")
        if self.wait(seconds) is None:
            self.kill()
            self.wait()

    def close(self) -> None:
        """Let go of everything of this boot."""
        self.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._net.close()
