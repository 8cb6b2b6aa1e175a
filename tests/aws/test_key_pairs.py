from __future__ import annotations

from pathlib import Path

import pytest
from support.keys import make_key

from ec2tasks.aws.client import Aws
from ec2tasks.aws.key_pairs import check_private, ensure_key_pair, identity_files, keys_to_offer, public_of
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.process import Tools

TOOLS = Tools()


def test_the_keys_to_try_in_order(tmp_path: Path) -> None:
    folder = tmp_path / ".ssh"
    folder.mkdir()
    for name in ("id_rsa", "kim.pem", "ec2tasks", "other"):
        (folder / name).touch()
    found = [path.name for path in identity_files(None, "kim", tmp_path)]
    assert found == ["kim.pem", "ec2tasks", "id_rsa"]
    assert identity_files(folder / "other", "kim", tmp_path) == (folder / "other",)
    assert identity_files(None, "../kim", tmp_path)[0].name == "ec2tasks"


def test_the_key_that_fits_is_offered_before_sshd_loses_patience(tmp_path: Path) -> None:
    folder, known, agent = tmp_path / ".ssh", tmp_path / "known.pub", {"SSH_AUTH_SOCK": "/x"}
    make_key(folder / "id_ed25519")
    mine = make_key(folder / "ec2tasks")
    # As long as the key pair's key is not known, everything is tried, the agent's keys too.
    assert not keys_to_offer(None, "kim", tmp_path, known, agent).only_these
    known.write_text(f"{mine.rsplit(' ', 1)[0]} kim\n")
    found = keys_to_offer(None, "kim", tmp_path, known, agent)
    assert ([path.name for path in found.files], found.only_these) == (["ec2tasks", "id_ed25519"], True)
    assert found.in_agent is None
    # Nowhere but in the agent.
    known.write_text("ssh-ed25519 AAAA kim\n")
    found = keys_to_offer(None, "kim", tmp_path, known, agent)
    assert (found.in_agent, found.only_these) == (known, True)
    assert keys_to_offer(None, "kim", tmp_path, known, {}).in_agent is None
    assert keys_to_offer(folder / "ec2tasks", "kim", tmp_path, known, agent).files == (folder / "ec2tasks",)


@pytest.mark.parametrize(("mode", "good"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False)])
def test_a_key_others_can_read_is_refused(mode: int, good: bool, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(mode)
    key.chmod(mode)
    if good:
        check_private(key)
    else:
        with pytest.raises(UsageError, match="can be read by others"):
            check_private(key)


def test_the_public_half_of_a_key(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key")
    (tmp_path / "key.pub").unlink()
    found = public_of(tmp_path / "key", TOOLS)
    assert found
    assert found.split()[:2] == public.split()[:2]
    make_key(tmp_path / "locked", "a passphrase")
    (tmp_path / "locked.pub").unlink()
    assert public_of(tmp_path / "locked", TOOLS) is None


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
