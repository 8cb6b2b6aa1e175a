from __future__ import annotations

from pathlib import Path

import pytest
from support.keys import make_key

from ec2tasks.base.errors import UsageError
from ec2tasks.ssh.keys import check_permissions, keys_to_offer


def test_the_key_that_fits_is_offered_before_sshd_loses_patience(tmp_path: Path) -> None:
    folder, known, agent = tmp_path / ".ssh", tmp_path / "known.pub", {"SSH_AUTH_SOCK": "/x"}
    make_key(folder / "id_ed25519")
    mine = make_key(folder / "ec2tasks")
    # As long as the key pair's key is not known, everything is tried, the agent's keys too.
    assert not keys_to_offer(None, "kim", tmp_path, known, agent).only_these
    known.write_text(f"{mine.rsplit(' ', 1)[0]} kim\n")
    keys = keys_to_offer(None, "kim", tmp_path, known, agent)
    assert ([path.name for path in keys.files], keys.only_these) == (["ec2tasks", "id_ed25519"], True)
    assert keys.in_agent is None
    # Nowhere but in the agent.
    known.write_text("ssh-ed25519 AAAA kim\n")
    keys = keys_to_offer(None, "kim", tmp_path, known, agent)
    assert (keys.in_agent, keys.only_these) == (known, True)
    assert keys_to_offer(None, "kim", tmp_path, known, {}).in_agent is None
    assert keys_to_offer(folder / "ec2tasks", "kim", tmp_path, known, agent).files == (folder / "ec2tasks",)


@pytest.mark.parametrize(("mode", "good"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False)])
def test_a_key_others_can_read_is_refused(mode: int, good: bool, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(mode)
    key.chmod(mode)
    if good:
        check_permissions(key)
    else:
        with pytest.raises(UsageError, match="can be read by others"):
            check_permissions(key)
