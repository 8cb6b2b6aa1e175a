"""Which keys to offer to an instance's sshd, which hears six at most."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import UsageError
from ec2tasks.base.key_files import identity_files, public_file, without_comment


@dataclass(frozen=True, kw_only=True)
class OfferedKeys:
    """The keys to offer: private key files, and one of the agent's.

    `in_agent` is the public half of that one; with `only_these`, the agent's others stay out of the way.
    """

    files: tuple[Path, ...]
    only_these: bool
    in_agent: Path | None = None


def keys_to_offer(
    key_file: Path | None,
    key_name: str,
    home: Path,
    key_pair_file: Path,
    environ: Mapping[str, str] = os.environ,
) -> OfferedKeys:
    """The keys to offer to an instance, the one that fits its key pair first.

    `key_pair_file` holds the public key of that key pair, where it is known.
    """
    files = identity_files(key_file, key_name, home)
    if key_file or not key_pair_file.is_file():
        return OfferedKeys(files=files, only_these=key_file is not None)
    public_key = without_comment(key_pair_file.read_text(encoding="utf-8"))
    others = [path for path in files if not _is_half_of(path, public_key)]
    if len(others) < len(files):
        return OfferedKeys(files=(*(path for path in files if path not in others), *others), only_these=True)
    # Without its private half beside it, ssh complains of a public key that the agent does not hold.
    in_agent = key_pair_file if environ.get("SSH_AUTH_SOCK") else None
    return OfferedKeys(files=files, only_these=in_agent is not None, in_agent=in_agent)


def _is_half_of(private: Path, public_key: str) -> bool:
    public = public_file(private)
    return public.is_file() and public_key == without_comment(
        public.read_text(encoding="utf-8", errors="replace")
    )


def check_permissions(key_file: Path) -> None:
    """Raise UsageError for a private key file that others can read: ssh would refuse it after the launch."""
    mode = stat.S_IMODE(key_file.stat().st_mode)
    if mode & 0o077 and key_file.stat().st_uid == os.getuid():
        raise UsageError(
            f"key file `{key_file}` can be read by others (mode {mode:04o}); ssh refuses such a key",
            hint=f"chmod 600 {key_file}",
        )
