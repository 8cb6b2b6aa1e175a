"""An rsync that can't do what a sync needs is told before anything costs, by a table of the options used."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support.repository import REPO

from ec2tasks.base.errors import Failure
from ec2tasks.base.process import Tools
from ec2tasks.base.state import open_state
from ec2tasks.sync.rsync import RsyncResult, check_rsync, rsync_failure
from ec2tasks.sync.rsync_kind import OPTIONS, is_openrsync, lacking, unfit_error
from ec2tasks.sync.transfer import Direction

# As macOS 15 prints it.
OPENRSYNC = "openrsync: protocol version 29\nrsync version 2.6.9 compatible\n"
WORD = re.compile(r'"--([a-z0-9][a-z0-9-]*)(=-1)?[="\s{]')


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        ("rsync  version 3.5.0  protocol version 32", []),
        ("rsync  version v3.4.1  protocol version 32\nCopyright (C) 1996-2025", []),
        ("rsync  version 3.1.3  protocol version 31", []),
        ("rsync  version 3.1.2  protocol version 31", ["modify-window=-1"]),
        ("rsync  version 3.0.9  protocol version 30", ["modify-window=-1", "debug", "info", "outbuf"]),
        ("rsync  version 2.6.9  protocol version 29", ["modify-window=-1", "debug", "info", "outbuf"]),
        (OPENRSYNC, ["modify-window=-1", "debug", "info", "outbuf"]),
        ("", []),
        ("something else altogether", []),
    ],
)
def test_what_an_rsync_lacks_is_told_by_its_version(version: str, missing: list[str]) -> None:
    assert lacking(version)[:4] == missing
    assert bool(unfit_error(version)) is bool(missing)
    assert is_openrsync(version) is (version == OPENRSYNC)


def test_each_option_that_is_used_stands_in_the_table() -> None:
    used = set[str]()
    package = REPO / "ec2tasks"
    places = [*package.glob("sync/*.py"), package / "remote/folder.py", package / "commands/preflight.py"]
    for place in places:
        used |= {name + window for name, window in WORD.findall(place.read_text())}
    assert used - {"version", "leave"} == set(OPTIONS), "but for our own option in a hint"


def _stand_in(folder: Path, version: str) -> Path:
    """An rsync that tells this version, counts how often it is asked, and knows no newer option."""
    rsync = folder / "rsync"
    rsync.write_text(
        f"#!/bin/sh\necho asked >>'{folder}/asked'\n[ \"$1\" = --version ] && exec printf '{version}'\n"
        "echo 'rsync: unrecognized option `--debug=FILTER1' >&2\nexit 1\n"
    )
    rsync.chmod(0o755)
    return rsync


def test_openrsync_is_refused_before_anything_is_asked_of_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_state({"HOME": str(tmp_path)})
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    _stand_in(tmp_path, OPENRSYNC.replace("\n", r"\n"))
    for _ in range(2):
        with pytest.raises(Failure) as caught:
            check_rsync(state, Tools())
        assert caught.value.what == (
            "the rsync here lacks --modify-window=-1, --debug, --info:"
            " `openrsync: protocol version 29`; 3.1.3 or newer is needed"
        )
        assert "brew install rsync" in str(caught.value.hint)
    _stand_in(tmp_path, "rsync  version 3.4.1  protocol version 32")
    (tmp_path / "asked").unlink()
    for _ in range(3):
        check_rsync(state, Tools())
    assert (tmp_path / "asked").read_text() == "asked\n", "it is asked once"


def test_one_that_refuses_an_option_all_the_same_says_which_is_needed() -> None:
    result = RsyncResult(
        code=1, errors="rsync: unrecognized option `--debug=FILTER1'\nusage: rsync [-0468BC…"
    )
    failure = rsync_failure(Direction.PUSH, result, hint="")
    assert "this rsync lacks an option" in failure.what
    assert "brew install rsync" in str(failure.hint)
