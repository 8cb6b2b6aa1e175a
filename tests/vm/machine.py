"""A machine that really boots: QEMU, a Debian with cloud-init and systemd, and EC2's metadata service."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
BOOT_LIMIT = 300.0  # seconds; some 20 where nothing else runs, without KVM
SERIAL = "ec2a1b2c-0000-4000-8000-00000000cafe"  # by its beginning cloud-init knows EC2


def metadata(user_data: str, public_key: str) -> dict[str, str]:
    """What the metadata service knows, by path below its version."""
    return {
        "meta-data/instance-id": "i-0123456789abcdef0",
        "meta-data/ami-id": "ami-0123456789abcdef0",
        "meta-data/instance-type": "t3.small",
        "meta-data/local-hostname": "ip-169-254-10-15",
        "meta-data/hostname": "ip-169-254-10-15",
        "meta-data/local-ipv4": "169.254.10.15",
        "meta-data/placement/availability-zone": "eu-central-1a",
        "meta-data/public-keys/": "0=tests",
        "meta-data/public-keys/0/": "openssh-key",
        "meta-data/public-keys/0/openssh-key": public_key,
        "dynamic/instance-identity/document": '{"region": "eu-central-1"}',
        "user-data": user_data,
    }


def answer(leaves: dict[str, str], path: str) -> str | None:
    """The value at a path, or the listing of what lies below it."""
    wanted = path.strip("/").partition("/")[2]
    if wanted in leaves or f"{wanted}/" in leaves:
        return leaves.get(wanted) or leaves[f"{wanted}/"]
    prefix = f"{wanted}/" if wanted else ""
    below = [leaf[len(prefix) :] for leaf in leaves if leaf.startswith(prefix)]
    names = dict.fromkeys(one.partition("/")[0] + ("/" if "/" in one else "") for one in below)
    return "\n".join(names) or None


class Metadata(http.server.BaseHTTPRequestHandler):
    """IMDSv2, as far as cloud-init asks."""

    leaves: dict[str, str]

    def do_PUT(self) -> None:
        self._give("a-token")

    def do_GET(self) -> None:
        known = self.headers.get("X-aws-ec2-metadata-token") == "a-token"
        self._give(answer(self.leaves, self.path) if known else None, missing=404 if known else 401)

    def _give(self, text: str | None, missing: int = 404) -> None:
        body = (text or "").encode()
        self.send_response(200 if text is not None else missing)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextmanager
def metadata_service(leaves: dict[str, str]) -> Iterator[int]:
    """Answers on a port of this machine's loopback."""
    handler = type("Handler", (Metadata,), {"leaves": leaves})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machine:
    """One machine; its disk stays between its boots."""

    def __init__(self, image: Path, folder: Path, service: int, key: Path) -> None:
        self.disk, self.kernel = folder / "disk.img", image / "vmlinuz"
        subprocess.run(["cp", "--sparse=always", f"{image / 'disk.img'}", f"{self.disk}"], check=True)
        self.console = folder / "console.log"
        self.console.touch()
        self.service, self.key, self.port = service, key, free_port()
        self.qemu: subprocess.Popen[bytes] | None = None

    def argv(self) -> list[str]:
        relay = HERE / "relay.sh"
        net = "user,id=n,restrict=on,net=169.254.0.0/16,host=169.254.10.2"
        forward = f"hostfwd=tcp:127.0.0.1:{self.port}-169.254.10.15:22"
        return [
            *("qemu-system-x86_64", "-accel", os.environ.get("EC2TASKS_VM_ACCEL", "tcg"), "-m", "768"),
            *("-display", "none", "-nodefaults", "-serial", f"file:{self.console}"),
            *("-kernel", f"{self.kernel}", "-append", "root=/dev/nvme0n1 rw console=ttyS0 panic=5"),
            *("-drive", f"file={self.disk},if=none,id=d,format=raw", "-device", "nvme,drive=d,serial=vol1"),
            *("-smbios", f"type=1,uuid={SERIAL},serial={SERIAL}", "-device", "virtio-net-pci,netdev=n"),
            *("-netdev", f"{net},{forward},guestfwd=tcp:169.254.169.254:80-cmd:bash {relay} {self.service}"),
        ]

    def boot(self) -> float:
        """Power on; the seconds until SSH takes commands."""
        assert not self.alive()
        began = time.monotonic()
        self.qemu = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL)
        self.wait_for_ssh()
        return time.monotonic() - began

    def wait_for_ssh(self) -> None:
        self.until(lambda: self.ssh("true").returncode == 0, "SSH")

    def until(self, question: Callable[[], bool], what: str, limit: float = BOOT_LIMIT) -> None:
        deadline = time.monotonic() + limit
        while not question():
            end = self.console.read_text(errors="replace")[-3000:]
            assert self.alive() or what == "off", f"it went off before {what}:\n{end}"
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{end}"
            time.sleep(0.5)

    def ssh_argv(self, *options: str) -> list[str]:
        usual = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        usual += ["ConnectTimeout=10", "BatchMode=yes", "IdentitiesOnly=yes"]
        words = [word for one in usual for word in ("-o", one)]
        return [
            "ssh",
            "-F",
            "none",
            *words,
            *options,
            "-i",
            f"{self.key}",
            "-p",
            f"{self.port}",
            "ubuntu@127.0.0.1",
        ]

    def ssh(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.ssh_argv(), command], capture_output=True, text=True, timeout=120)

    @contextmanager
    def kept_connection(self) -> Iterator[None]:
        """A control connection that has carried a command, and carries none now."""
        path = ("-o", f"ControlPath={self.key}.sock")
        subprocess.run(self.ssh_argv(*path, "-o", "ControlMaster=yes", "-f", "-N"), check=True)
        subprocess.run([*self.ssh_argv(*path), "true"], check=True)
        try:
            yield
        finally:
            subprocess.run(self.ssh_argv(*path, "-O", "exit"), check=False, capture_output=True)

    def said(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def state(self) -> dict[str, str]:
        """What the guard says."""
        lines = self.said("cat /run/ec2tasks-guard/state").splitlines()
        return {name: value for name, _, value in (line.partition(" ") for line in lines)}

    def boot_id(self) -> str:
        return self.said("cat /proc/sys/kernel/random/boot_id")

    def reboot(self) -> None:
        before = self.boot_id()
        self.ssh("sudo systemctl reboot")
        self.until(
            lambda: self.ssh("cat /proc/sys/kernel/random/boot_id").stdout.strip() not in ("", before), "SSH"
        )

    def cut_power(self) -> None:
        assert self.qemu
        self.qemu.kill()
        self.qemu.wait()

    def alive(self) -> bool:
        return self.qemu is not None and self.qemu.poll() is None


def image_folder() -> Path:
    """Where the disk is kept between the calls; built where it is missing."""
    import pwd

    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    folder = Path(os.environ.get("EC2TASKS_VM", home / ".cache" / "ec2tasks" / "vm"))
    subprocess.run([f"{HERE / 'image.sh'}", f"{folder}"], check=True)
    assert shutil.which("qemu-system-x86_64")
    return folder
