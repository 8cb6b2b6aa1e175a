"""The SSH keys of this machine: private key files, their public halves, and the keys in the ssh agent."""

from __future__ import annotations

import os
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.exchange import Limits
from ec2tasks.base.process import Tools

OWN_KEY = "ec2tasks"  # the name in ~/.ssh of the key that ec2tasks makes
USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


def identity_files(key_file: Path | None, key_name: str, home: Path) -> tuple[Path, ...]:
    """The private key files to try, in order: the one asked for alone, else those that exist in ~/.ssh."""
    if key_file:
        return (key_file,)
    folder = home / ".ssh"
    names = (key_name, f"{key_name}.pem", OWN_KEY, *USUAL_KEYS)
    return tuple(path for name in names if "/" not in name and (path := folder / name).is_file())


def public_file(private: Path) -> Path:
    """Where the public half of a private key file usually stands: beside it, as `.pub`."""
    return private.with_name(f"{private.name}.pub")


def public_half(private: Path, tools: Tools) -> str | None:
    """The public key of a private key file; None where only its passphrase would tell it."""
    if public_file(private).is_file():
        return public_file(private).read_text(encoding="utf-8").strip()
    shown = tools.capture(["ssh-keygen", "-y", "-P", "", "-f", str(private)], limits=Limits(seconds=10.0))
    return shown.stdout.decode().strip() if shown.returncode == 0 else None


def without_comment(public_key: str) -> str:
    """A public key's type and body, by which two are the same."""
    return " ".join(public_key.split()[:2])


def agent_keys(tools: Tools) -> list[str]:
    """The public keys in the ssh agent; none where no agent runs."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        return []
    listed = tools.capture(["ssh-add", "-L"], limits=Limits(seconds=5.0))
    return listed.stdout.decode().splitlines() if listed.returncode == 0 else []


def make_key(private: Path, tools: Tools) -> None:
    """Make an ED25519 key without a passphrase, and its `.pub` beside it, unless another process just has.

    Raises Failure where ssh-keygen can't.
    """
    private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made under another name and linked into place, so that two first runs at once agree on one key.
    draft = private.with_name(f"{private.name}.{os.getpid()}")
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ec2tasks", "-f", str(draft)]
    try:
        made = tools.capture(argv, limits=Limits(seconds=30.0))
        if made.returncode != 0:
            raise Failure(
                f"no key could be made in `{private.parent}`: {' '.join(made.stderr.decode().split())}",
                hint=f"`df -h {private.parent}` shows whether there is room; -i FILE names a key of yours",
            )
        os.link(public_file(draft), public_file(private))
        os.link(draft, private)
        output.step(f"made the SSH key {private}")
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
        public_file(draft).unlink(missing_ok=True)
