from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.errors import Failure
from ec2tasks.ssh.user_config import add_line, includes, is_included, take_line, without

LINE = "Include /state/ssh_config"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / ".ssh" / "config"


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        (b"", False),
        (b"# mine\n\n  Include /state/ssh_config  \r\nHost *\n", True),
        (b"Host a\nInclude /state/ssh_config\n", False),
        (b"\tmatch all\nInclude /state/ssh_config\n", False),
        (b"Hostkeyalias x\nInclude /state/ssh_config\n", True),
        (b"#Include /state/ssh_config\n", False),
    ],
)
def test_the_line_counts_where_it_is_for_every_host(content: bytes, counts: bool) -> None:
    assert includes(content, LINE) is counts


@given(st.lists(st.sampled_from([b"Host *\n", b"\xff \xe9\r\n", b"\n", b"  User x\n"])), st.booleans())
def test_what_the_user_wrote_stays_to_the_byte(lines: list[bytes], ends: bool) -> None:
    mine = b"".join(lines) + (b"" if ends else b"IdentityFile y")
    assert without(LINE.encode() + b"\n" + mine, LINE) == mine


def test_it_is_put_there_once_and_taken_away_again(config: Path) -> None:
    assert add_line(config, LINE)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    config.write_bytes(config.read_bytes() + b"Host \xff\n  User nina")
    config.chmod(0o644)
    assert not add_line(config, LINE)
    assert take_line(config, LINE)
    assert config.read_bytes() == b"Host \xff\n  User nina"
    assert stat.S_IMODE(config.stat().st_mode) == 0o644
    assert not take_line(config, LINE)
    assert add_line(config, LINE)
    assert config.read_bytes() == LINE.encode() + b"\nHost \xff\n  User nina"
    assert is_included(config, LINE)
    assert [one.name for one in config.parent.iterdir()] == ["config"]


def test_a_link_is_left_as_it_is(config: Path, tmp_path: Path) -> None:
    config.parent.mkdir()
    (tmp_path / "dotfiles").write_text("Host *\n")
    config.symlink_to(tmp_path / "dotfiles")
    with pytest.raises(Failure, match="is a link, to") as caught:
        add_line(config, LINE)
    assert caught.value.hint == f"put this line at its top yourself: {LINE}"
    assert (tmp_path / "dotfiles").read_text() == "Host *\n"
    (tmp_path / "dotfiles").write_text(f"{LINE}\nHost *\n")
    with pytest.raises(Failure, match="is a link, to"):
        take_line(config, LINE)
    assert config.is_symlink()


@pytest.mark.parametrize("what", ["folder", "another's", "unwritable"])
def test_what_is_not_ours_to_write_is_left_as_it_is(
    what: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.parent.mkdir()
    if what == "folder":
        config.mkdir()
    else:
        config.write_text("Host *\n")
    if what == "another's":
        monkeypatch.setattr("ec2tasks.ssh.user_config.os.getuid", lambda: os.geteuid() + 1)
    if what == "unwritable":
        monkeypatch.setattr("ec2tasks.ssh.user_config.os.access", lambda *_: False)
    with pytest.raises(Failure) as caught:
        add_line(config, LINE)
    assert str(caught.value.hint).endswith(LINE)
    assert what == "folder" or config.read_text() == "Host *\n"
