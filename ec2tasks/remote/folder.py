"""The other side of a sync: the project's folder on the instance, and the way to it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.remote.session import remote_argv
from ec2tasks.ssh.host import Host, rsync_shell

SILENCE = 60  # seconds without a byte after which rsync gives up


class BrokenConnectionError(Failure):
    """The connection broke in the middle; over another one, the same goes on from where it was."""


@dataclass(frozen=True, kw_only=True)
class RemoteFolder:
    """The project's folder on the instance, and the way to it.

    `target` is what rsync names the host, `shell` its --rsh, `folder` is below `home`; `script` gives the
    command that runs one of our scripts there. `empty`: nothing of the project is there yet.
    """

    instance_id: str
    target: str
    shell: str
    script: Callable[[str, Sequence[str]], list[str]]
    folder: str
    home: str
    empty: bool

    @property
    def path(self) -> str:
        """The folder's absolute path on the instance."""
        return f"{self.home}/{self.folder}"

    @property
    def end(self) -> str:
        """The folder as rsync takes it."""
        return f"{self.target}:{self.folder}/"


def remote_folder(host: Host, *, folder: str, home: str, empty: bool) -> RemoteFolder:
    """The project's folder on this host."""
    return RemoteFolder(
        instance_id=host.instance_id,
        target=host.login,
        shell=rsync_shell(host),
        script=lambda name, words: remote_argv(host, name, *words),
        folder=folder,
        home=home,
        empty=empty,
    )


def shell_argv(there: RemoteFolder) -> list[str]:
    """How rsync gets to the instance."""
    # Apple's rsync has no --protect-args; it is only for names that a shell there would read otherwise.
    protect = ["--protect-args"] if shlex.quote(there.folder) != there.folder else []
    return [*protect, f"--timeout={SILENCE}", f"--rsh={there.shell}"]


def ask_tree(there: RemoteFolder, tools: Tools, *words: str, stdin: bytes = b"") -> bytes:
    """Run a verb of `tree.sh` in the project's folder there. Raises Failure where it can't be done."""
    verb, *rest = words
    said = tools.capture(there.script("tree.sh", [verb, there.folder, *rest]), stdin=stdin, timeout=600)
    if said.returncode != 0:
        last = said.stderr.decode(errors="replace").strip().splitlines()[-1:]
        kind = BrokenConnectionError if said.returncode == 255 else Failure  # ssh's own
        raise kind(
            f"the project's folder there could not be worked on ({verb}): {(last or ['no answer'])[0]}",
            hint="try again; `ec2tasks status` shows the instance",
        )
    return said.stdout
