"""Which key opens the instance: the EC2 key pair, and the private keys here that may answer to it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code
from ec2tasks.base import output
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.process import Tools

OWN_KEY = "ec2tasks"
USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A key pair by the name that EC2 knows it by; `public` is its public key, where AWS tells it."""

    name: str
    public: str | None


def identity_files(key_file: Path | None, key_name: str, home: Path) -> tuple[Path, ...]:
    """The private keys to try, in order: the one asked for alone, else those that exist in ~/.ssh."""
    if key_file:
        return (key_file,)
    folder = home / ".ssh"
    names = (key_name, f"{key_name}.pem", OWN_KEY, *USUAL_KEYS)
    return tuple(path for name in names if "/" not in name and (path := folder / name).is_file())


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys to offer to sshd, which hears six at most: private key files, and one of the agent's.

    `in_agent` is the public half of that one; with `only_these`, the agent's others stay out of the way.
    """

    files: tuple[Path, ...]
    only_these: bool
    in_agent: Path | None = None


def keys_to_offer(
    key_file: Path | None, key_name: str, home: Path, known: Path, environ: Mapping[str, str] = os.environ
) -> Keys:
    """The keys for an instance; `known` is the file of the key pair's public key, where there is one."""
    files = identity_files(key_file, key_name, home)
    if key_file or not known.is_file():
        return Keys(files=files, only_these=key_file is not None)
    wanted = _material(known.read_text(encoding="utf-8"))
    others = [path for path in files if not _is_half_of(path, wanted)]
    if len(others) < len(files):
        return Keys(files=(*(path for path in files if path not in others), *others), only_these=True)
    # Without its private half beside it, ssh complains of a public key that the agent does not hold.
    in_agent = known if environ.get("SSH_AUTH_SOCK") else None
    return Keys(files=files, only_these=in_agent is not None, in_agent=in_agent)


def _is_half_of(path: Path, public: str) -> bool:
    beside = path.with_name(f"{path.name}.pub")
    return beside.is_file() and _material(beside.read_text(encoding="utf-8", errors="replace")) == public


def check_private(key_file: Path) -> None:
    """Refuse a private key that others can read, as ssh itself would, but before anything is launched."""
    mode = stat.S_IMODE(key_file.stat().st_mode)
    if mode & 0o077 and key_file.stat().st_uid == os.getuid():
        raise UsageError(
            f"key file `{key_file}` can be read by others (mode {mode:04o}); ssh refuses such a key",
            hint=f"chmod 600 {key_file}",
        )


def ensure_key_pair(aws: Aws, key_name: str, key_file: Path | None, home: Path, tools: Tools) -> KeyPair:
    """The key pair that a launch names: the region's, else imported there from a key of this machine.

    See https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html. Raises Failure
    where the region's key pair answers to none of the private keys here.
    """
    known = _public_key_in_aws(aws, key_name)
    if known is None:
        known = _import_key(aws, key_name, key_file, home, tools)
    elif known and not _opens(known, key_file, key_name, home, tools):
        raise Failure(
            f"key pair `{key_name}` exists in {aws.region}, but none of your private keys is its counterpart",
            hint=(
                f"copy it (~/.ssh/{OWN_KEY} of the machine that made it), name it with -i FILE,"
                " or take another key pair with --key-name"
            ),
        )
    return KeyPair(name=key_name, public=known or None)


def _public_key_in_aws(aws: Aws, key_name: str) -> str | None:
    """The key pair's public key; empty where AWS does not tell it, None where there is no such key pair."""
    try:
        pairs = aws.ec2.describe_key_pairs(KeyNames=[key_name], IncludePublicKey=True)["KeyPairs"]
    except Exception as error:
        if error_code(error) != "InvalidKeyPair.NotFound":
            raise
        return None
    return pairs[0].get("PublicKey", "") if pairs else None


def _opens(public_key: str, key_file: Path | None, key_name: str, home: Path, tools: Tools) -> bool:
    wanted = _material(public_key)
    files = identity_files(key_file, key_name, home)
    found = [public_of(path, tools) for path in files]
    if None in found:  # a key that does not tell its public half without its passphrase may be the one
        return True
    agent = [] if key_file else _agent_keys(tools)
    return wanted in {_material(line) for line in (*found, *agent) if line}


def _material(public_key: str) -> str:
    """A public key's type and body, without its comment."""
    return " ".join(public_key.split()[:2])


def _agent_keys(tools: Tools) -> list[str]:
    if not os.environ.get("SSH_AUTH_SOCK"):
        return []
    said = tools.capture(["ssh-add", "-L"], timeout=5)
    return said.stdout.decode().splitlines() if said.returncode == 0 else []


def public_of(path: Path, tools: Tools) -> str | None:
    """The public half of a private key; None where only its passphrase would tell it."""
    beside = path.with_name(path.name + ".pub")
    if beside.is_file():
        return beside.read_text(encoding="utf-8").strip()
    said = tools.capture(["ssh-keygen", "-y", "-P", "", "-f", str(path)], timeout=10)
    return said.stdout.decode().strip() if said.returncode == 0 else None


def _import_key(aws: Aws, key_name: str, key_file: Path | None, home: Path, tools: Tools) -> str:
    path = key_file or home / ".ssh" / OWN_KEY
    if not path.is_file():
        _generate(path, tools)
    public = public_of(path, tools)
    if public is None:
        raise Failure(
            f"`{path}` does not tell its public half",
            hint=f"ssh-keygen -y -f {path} > {path}.pub",
        )
    try:
        aws.ec2.import_key_pair(KeyName=key_name, PublicKeyMaterial=public.encode())
    except Exception as error:
        if error_code(error) != "InvalidKeyPair.Duplicate":  # another client was quicker
            raise
        return _public_key_in_aws(aws, key_name) or ""
    output.step(f"key pair {key_name} imported into {aws.region} from {path}.pub")
    return public


def _generate(path: Path, tools: Tools) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made under another name and linked into place, so that two first runs at once agree on one key.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ec2tasks", "-f", str(draft)]
    made = tools.capture(argv, timeout=30)
    if made.returncode != 0:
        raise Failure(f"no key could be made in `{path.parent}`: {made.stderr.decode().strip()}")
    try:
        os.link(f"{draft}.pub", f"{path}.pub")
        os.link(draft, path)
        output.step(f"made the SSH key {path}")
    except FileExistsError:
        pass
    finally:
        _remove([draft, Path(f"{draft}.pub")])


def _remove(paths: Sequence[Path] | Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
