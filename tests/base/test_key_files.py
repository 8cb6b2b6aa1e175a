from __future__ import annotations

from pathlib import Path

from support.keys import make_key

from ec2tasks.base import key_files
from ec2tasks.base.key_files import identity_files, public_half
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


def test_the_public_half_of_a_key(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key")
    (tmp_path / "key.pub").unlink()
    found = public_half(tmp_path / "key", TOOLS)
    assert found
    assert found.split()[:2] == public.split()[:2]
    make_key(tmp_path / "locked", "a passphrase")
    (tmp_path / "locked.pub").unlink()
    assert public_half(tmp_path / "locked", TOOLS) is None


def test_two_first_runs_at_once_agree_on_one_key(tmp_path: Path) -> None:
    private = tmp_path / ".ssh" / "ec2tasks"
    key_files.make_key(private, TOOLS)
    first = private.read_text()
    key_files.make_key(private, TOOLS)
    assert private.read_text() == first
    assert private.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in private.parent.iterdir()) == ["ec2tasks", "ec2tasks.pub"]
