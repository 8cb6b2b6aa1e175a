"""The EC2 key pair that a launch names: found in the region, or imported from a key of this machine.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-key-pairs.html
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import error_code
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure
from ec2tasks.base.key_files import (
    OWN_KEY,
    agent_keys,
    identity_files,
    make_key,
    public_half,
    without_comment,
)
from ec2tasks.base.process import Tools


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A key pair by the name that EC2 knows it by; `public` is its public key, where AWS tells it."""

    name: str
    public: str | None


def ensure_key_pair(
    aws: Aws,
    key_name: str,
    key_file: Path | None,
    home: Path,
    tools: Tools,
    *,
    known: Callable[[], str | None] | None = None,
) -> KeyPair:
    """The region's key pair of this name, else one imported there from a key of this machine.

    `known` gives the answer of `described_key_pair`, where that was asked already.
    Raises Failure where the region's key pair answers to none of the private keys here.
    """
    public_key = known() if known else described_key_pair(aws, key_name)
    if public_key is None:
        public_key = _import_key(aws, key_name, key_file, home, tools)
    elif public_key and not has_private_half(public_key, key_file, key_name, home, tools):
        raise no_counterpart(key_name, aws.region)
    return KeyPair(name=key_name, public=public_key or None)


def no_counterpart(key_name: str, region: str) -> Failure:
    """The failure that the region's key pair answers to none of the private keys here."""
    return Failure(
        f"key pair `{key_name}` exists in {region}, but none of your private keys is its counterpart",
        hint=f"copy it (~/.ssh/{OWN_KEY} of the machine that made it), name it with -i FILE,"
        " or take another key pair with --key-name",
    )


def described_key_pair(aws: Aws, key_name: str) -> str | None:
    """The key pair's public key; empty where AWS does not tell it, None where there is no such key pair."""
    try:
        pairs = aws.ec2.describe_key_pairs(KeyNames=[key_name], IncludePublicKey=True)["KeyPairs"]
    except Exception as error:
        if error_code(error) != "InvalidKeyPair.NotFound":
            raise
        return None
    return pairs[0].get("PublicKey", "") if pairs else None


def has_private_half(public_key: str, key_file: Path | None, key_name: str, home: Path, tools: Tools) -> bool:
    """Whether a private key of this machine, in a file or in the agent, belongs to a public key."""
    halves = [public_half(path, tools) for path in identity_files(key_file, key_name, home)]
    if None in halves:  # a key that does not tell its public half without its passphrase may be the one
        return True
    in_agent = [] if key_file else agent_keys(tools)
    return without_comment(public_key) in {without_comment(half) for half in (*halves, *in_agent) if half}


def _import_key(aws: Aws, key_name: str, key_file: Path | None, home: Path, tools: Tools) -> str:
    """Import a key of this machine, made where there is none; return the key pair's public key.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html
    """
    private = key_file or home / ".ssh" / OWN_KEY
    if not private.is_file():
        make_key(private, tools)
    public_key = public_half(private, tools)
    if public_key is None:
        raise Failure(
            f"`{private}` does not tell its public half", hint=f"ssh-keygen -y -f {private} > {private}.pub"
        )
    try:
        aws.ec2.import_key_pair(KeyName=key_name, PublicKeyMaterial=public_key.encode())
    except Exception as error:
        if error_code(error) != "InvalidKeyPair.Duplicate":  # another client was quicker
            raise
        return described_key_pair(aws, key_name) or ""
    aws.made.add(key_name)
    output.step(f"key pair {key_name} imported into {aws.region} from {private}.pub")
    return public_key
