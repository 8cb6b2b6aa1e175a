from __future__ import annotations

from pathlib import Path

import pytest
from support.keys import make_key

from ec2tasks.aws.client import Aws
from ec2tasks.aws.key_pairs import ensure_key_pair
from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools

TOOLS = Tools()


def in_aws(aws: Aws, name: str) -> str:
    pairs = aws.ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"]
    return " ".join(pairs[0]["PublicKey"].split()[:2])


def test_without_any_key_one_is_made_and_imported(aws: Aws, tmp_path: Path) -> None:
    ensure_key_pair(aws, "first-time", None, tmp_path, TOOLS)
    key = tmp_path / ".ssh" / "ec2tasks"
    assert key.stat().st_mode & 0o777 == 0o600
    assert in_aws(aws, "first-time") == " ".join(key.with_name("ec2tasks.pub").read_text().split()[:2])
    # Again: found, and its counterpart is here.
    ensure_key_pair(aws, "first-time", None, tmp_path, TOOLS)


def test_the_key_asked_for_is_the_one_imported(aws: Aws, tmp_path: Path) -> None:
    public = make_key(tmp_path / "mine.pem")
    ensure_key_pair(aws, "with-pem", tmp_path / "mine.pem", tmp_path, TOOLS)
    assert in_aws(aws, "with-pem") == " ".join(public.split()[:2])


def test_a_key_pair_without_its_counterpart_here_is_refused(aws: Aws, tmp_path: Path) -> None:
    ensure_key_pair(aws, "elsewhere", None, tmp_path / "laptop", TOOLS)
    with pytest.raises(Failure) as caught:
        ensure_key_pair(aws, "elsewhere", None, tmp_path / "desktop", TOOLS)
    assert "`elsewhere`" in caught.value.what
    assert "-i FILE" in str(caught.value.hint)
    # One whose public half only its passphrase would tell may be it: ssh will see.
    make_key(tmp_path / "desktop" / ".ssh" / "id_rsa", "a passphrase")
    (tmp_path / "desktop" / ".ssh" / "id_rsa.pub").unlink()
    ensure_key_pair(aws, "elsewhere", None, tmp_path / "desktop", TOOLS)
