"""What an instance sees: the sandbox's options, and the texts of its own /etc."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ec2tasks.local.guestnet import API, INTERFACE, NAME_SERVER, Interface

TOOLS = "/opt/ec2-local"
GUEST_PATH = f"{TOOLS}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INIT = f"{TOOLS}/init"
SSH_PORT = 22
REBOOT_CODE = 3
LOGIN_ID = 1000

# Part of an image, and no secret of this machine: what programs look up in /etc.
ETC = (
    "alternatives", "bash.bashrc", "ca-certificates", "ca-certificates.conf", "debian_version", "fonts",
    "gai.conf", "host.conf", "inputrc", "java-17-openjdk", "java-21-openjdk", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "magic", "magic.mime", "mime.types", "os-release", "perl", "pki",
    "protocols", "python3", "python3.10", "python3.11", "python3.12", "python3.13", "rpc", "screenrc",
    "services", "skel", "ssl", "terminfo", "timezone", "vim",
)  # fmt: skip
CACHES = ("pip", "uv")  # of downloads, below ~/.cache
CPUS = "/sys/devices/system/cpu"
# What is said below /sys/class/net: UCX, and MPICH with it, take interfaces from there.
INTERFACES = {
    "lo": {"type": "772", "mtu": "65536", "operstate": "unknown"},
    INTERFACE: {"type": "65534", "mtu": "65520", "operstate": "up", "speed": "10000"},
}
ROOT_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where an instance's disk and own files lie on this machine."""

    root: Path

    @property
    def home(self) -> Path:
        """The login user's home: the disk, as far as people see it."""
        return self.root / "home"

    @property
    def log(self) -> Path:
        """/var/log: on the disk."""
        return self.root / "log"

    @property
    def cloud(self) -> Path:
        """/var/lib/cloud: on the disk."""
        return self.root / "cloud"

    @property
    def etc(self) -> Path:
        """The instance's own files of /etc."""
        return self.root / "etc"

    @property
    def boot_id(self) -> Path:
        """What tells one boot from another."""
        return self.root / "boot_id"

    @property
    def ssh(self) -> Path:
        """/etc/ssh: host key, sshd_config and the key pair's public key."""
        return self.root / "ssh"

    @property
    def sys(self) -> Path:
        """The instance's /sys: its network interfaces, and a place for this machine's processors."""
        return self.root / "sys"

    @property
    def console(self) -> Path:
        """What the instance's console showed."""
        return self.root / "console.log"


@dataclass(frozen=True, kw_only=True)
class HostSpec:
    """All that a host is made from."""

    instance_id: str
    hostname: str
    login: str
    region: str
    folders: Folders
    tools: Path
    caches: Path
    interface: Interface | None = None
    public_key: str = ""
    user_data: bytes = b""


def environment(spec: HostSpec) -> dict[str, str]:
    """What every process of the instance finds: no credentials, they come from the metadata service."""
    return {
        "PATH": GUEST_PATH,
        "LANG": "C.UTF-8",
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_ENDPOINT_URL": f"http://{API[0]}:{API[1]}",
    }


def passwd_text(login: str) -> str:
    """The users: the login user, and the few that programs look for."""
    return (
        "root:x:0:0:root:/root:/bin/bash\n"
        "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
        f"{login}:x:{LOGIN_ID}:{LOGIN_ID}::/home/{login}:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )


def group_text(login: str) -> str:
    """The groups of those users.

    None is named tty: sshd would give terminals to it, which takes root.
    """
    return f"root:x:0:\nsudo:x:27:{login}\n{login}:x:{LOGIN_ID}:\nnogroup:x:65534:\n"


def hosts_text(names: Mapping[str, str]) -> str:
    """/etc/hosts, which does what EC2's name server does: instances by their full name and the short one."""
    lines = ["127.0.0.1 localhost", "169.254.169.254 instance-data"]
    for name, address in names.items():
        lines.append(f"{address} {' '.join(dict.fromkeys((name, name.split('.')[0])))}")
    return "\n".join(lines) + "\n"


def profile_text(spec: HostSpec) -> str:
    """/etc/profile: a login shell gets what `ssh host command` gets."""
    lines = [f"export {name}='{value}'" for name, value in environment(spec).items()]
    lines += ["umask 022", '[ -n "$BASH_VERSION" ] && [ -f "$HOME/.bashrc" ] && . "$HOME/.bashrc"', ":"]
    return "\n".join(lines) + "\n"


def sshd_text(spec: HostSpec) -> str:
    """sshd_config for an sshd that runs as the login user and lets in nobody else."""
    pairs = " ".join(f"{name}={value}" for name, value in environment(spec).items())
    return f"""\
Port {SSH_PORT}
ListenAddress 0.0.0.0
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile .ssh/authorized_keys
AllowUsers {spec.login}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitUserEnvironment no
UsePAM no
StrictModes no
UseDNS no
PrintMotd no
PidFile none
MaxStartups 100
ClientAliveInterval 15
ClientAliveCountMax 3
AcceptEnv LANG LC_*
SetEnv {pairs}
Subsystem sftp internal-sftp
"""


def etc_texts(spec: HostSpec) -> dict[str, str]:
    """The instance's own files of /etc, by name."""
    return {
        "passwd": passwd_text(spec.login),
        "group": group_text(spec.login),
        "hosts": hosts_text({spec.hostname: "127.0.1.1"}),
        "hostname": f"{spec.hostname}\n",
        "profile": profile_text(spec),
        # slirp4netns answers DNS here, by this machine's resolver.
        "resolv.conf": f"nameserver {NAME_SERVER}\noptions timeout:2\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "shells": "/bin/sh\n/bin/bash\n/usr/bin/bash\n",
        "environment": "",
    }


def system_argv(root: Path = Path("/")) -> list[str]:
    """Programs and libraries, read-only: /usr and the few files of /etc that belong to an image."""
    argv = ["--ro-bind", f"{root / 'usr'}", "/usr"]
    for name in ROOT_LINKS:
        path = root / name
        if path.is_symlink():
            argv += ["--symlink", f"{path.readlink()}", f"/{name}"]
        elif path.is_dir():
            argv += ["--ro-bind", f"{path}", f"/{name}"]
    for name in ETC:
        argv += ["--ro-bind-try", f"{root / 'etc' / name}", f"/etc/{name}"]
    return [*argv, "--symlink", "/proc/self/mounts", "/etc/mtab"]


def own_argv(spec: HostSpec, home_mb: int | None) -> list[str]:
    """The instance's own files: its /etc, its disk, the shared cache of downloads."""
    folders, home = spec.folders, f"/home/{spec.login}"
    argv: list[str] = []
    for name in etc_texts(spec):
        argv += ["--ro-bind", f"{folders.etc / name}", f"/etc/{name}"]
    argv += ["--ro-bind", f"{folders.boot_id}", "/proc/sys/kernel/random/boot_id"]
    argv += ["--ro-bind", f"{folders.sys}", "/sys"]
    argv += ["--ro-bind-try", CPUS, CPUS]
    argv += ["--ro-bind", f"{folders.ssh}", "/etc/ssh", "--ro-bind", f"{spec.tools}", TOOLS]
    if home_mb is None:
        argv += ["--bind", f"{folders.home}", home]
    else:
        argv += ["--size", f"{home_mb * 1024 * 1024}", "--tmpfs", home]
    for name in CACHES:
        argv += ["--bind", f"{spec.caches / name}", f"{home}/.cache/{name}"]
    argv += ["--ro-bind-try", f"{spec.caches / 'pytorch'}", "/opt/pytorch"]
    return [*argv, "--bind", f"{folders.log}", "/var/log", "--bind", f"{folders.cloud}", "/var/lib/cloud"]


def sandbox_argv(spec: HostSpec, *, home_mb: int | None = None, root: Path = Path("/")) -> list[str]:
    """The whole sandbox, as bwrap's options."""
    user = f"{LOGIN_ID}"
    argv = ["--die-with-parent", "--new-session", "--unshare-user", "--uid", user, "--gid", user]
    argv += ["--unshare-pid", "--unshare-uts", "--unshare-ipc", "--unshare-cgroup-try"]
    argv += ["--hostname", spec.hostname, "--cap-drop", "ALL", "--clearenv"]
    for name, value in environment(spec).items():
        argv += ["--setenv", name, value]
    argv += ["--setenv", "HOME", f"/home/{spec.login}", "--setenv", "USER", spec.login]
    argv += ["--setenv", "LOGNAME", spec.login, "--setenv", "SHELL", "/bin/bash"]
    for folder in ("/etc", "/home", "/opt", "/var", "/var/lib", "/var/cache", "/var/spool", "/root"):
        argv += ["--perms", "0755", "--dir", folder]
    argv += system_argv(root)
    argv += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/var/tmp", "/run"):  # noqa: S108  # the instance's, not this machine's
        argv += ["--perms", "1777", "--tmpfs", folder]
    argv += ["--symlink", "/run", "/var/run"]
    argv += own_argv(spec, home_mb)
    # The sandbox's own root is a tmpfs that the login user could fill; a machine's root is not theirs.
    return [*argv, "--remount-ro", "/", "--chdir", f"/home/{spec.login}"]
