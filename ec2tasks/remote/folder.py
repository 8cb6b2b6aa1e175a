"""The project's folder on the instance: how rsync reaches it, and what `tree.sh` does in it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import MEBIBYTE, Limits
from ec2tasks.base.process import Tools
from ec2tasks.remote.protocol import bash_argv
from ec2tasks.ssh.host import Host, rsync_shell, ssh_argv

TREE = Limits(out=256 * MEBIBYTE, seconds=600.0)  # a tree of a million files and more
SILENCE = 60  # seconds without a byte after which rsync gives up


class BrokenConnectionError(Failure):
    """The connection broke in the middle; over another one, the same goes on from where it was."""


@dataclass(frozen=True, kw_only=True)
class RemoteFolder:
    """The project's folder on the instance, and how it is reached.

    `login` is USER@ADDRESS as rsync takes it, `shell` its --rsh; `remotely` makes of a command the one that
    runs it on the instance. `folder` is below `home`, the login user's home. `empty`: nothing of the project
    is there yet.
    """

    instance_id: str
    login: str
    shell: str
    remotely: Callable[[Sequence[str]], list[str]]
    folder: str
    home: str
    empty: bool

    @property
    def path(self) -> str:
        """The folder's absolute path on the instance."""
        return f"{self.home}/{self.folder}"

    @property
    def rsync_path(self) -> str:
        """The folder as rsync takes it, as HOST:PATH/."""
        return f"{self.login}:{self.folder}/"


def remote_folder(host: Host, *, folder: str, home: str, empty: bool) -> RemoteFolder:
    """The project's folder on this host."""
    return RemoteFolder(
        instance_id=host.instance_id,
        login=host.login,
        shell=rsync_shell(host),
        remotely=lambda argv: ssh_argv(host, *argv, options=("-T",)),
        folder=folder,
        home=home,
        empty=empty,
    )


def rsync_options(folder: RemoteFolder) -> list[str]:
    """Rsync's options that reach the instance: its ssh, and how long it may be silent."""
    # Apple's rsync has no --protect-args; it is only for names that a shell there would read otherwise.
    protect = ["--protect-args"] if shlex.quote(folder.folder) != folder.folder else []
    return [*protect, f"--timeout={SILENCE}", f"--rsh={folder.shell}"]


def ask_tree(
    folder: RemoteFolder, tools: Tools, verb: str, *, stdin: bytes = b"", job_id: str = "", since: str = ""
) -> bytes:
    """Run a verb of `tree.sh` in the project's folder on the instance; its output.

    Raises BrokenConnectionError where the connection broke, Failure where it can't be done.
    """
    argv = bash_argv("tree.sh", verb, folder=folder.folder, job=job_id, since=since)
    answer = tools.capture(folder.remotely(argv), limits=TREE, stdin=stdin).within_limits()
    if answer.returncode != 0:
        last = answer.stderr.decode(errors="replace").strip().splitlines()[-1:]
        kind = BrokenConnectionError if answer.returncode == 255 else Failure  # ssh's own
        raise kind(
            f"the project's folder there could not be worked on ({verb}): {(last or ['no answer'])[0]}",
            hint="try again; `ec2tasks status` shows the instance",
        )
    return answer.stdout
