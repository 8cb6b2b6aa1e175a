"""Which links lead out of a project."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from ec2tasks.sync.entries import is_outward


@pytest.mark.parametrize(
    ("link", "target", "outward"),
    [
        ("a", "b", False),
        ("sub/a", "../b", False),
        ("sub/a", "../../b", True),
        ("a", "sub/../../b", True),
        ("a", "/etc/hosts", True),
        ("a", "..b", False),
    ],
)
def test_which_links_lead_out(link: str, target: str, outward: bool) -> None:
    assert is_outward(link, target) is outward


def test_a_link_leads_out_where_rsync_says_so(tmp_path: Path) -> None:
    words = [one for n in range(1, 5) for one in itertools.product(("..", ".", "a", ""), repeat=n)]
    targets = sorted({start + "/".join(one) for one in words for start in ("", "/", "x/", "a..")} - {""})
    links = {}
    for folder in ("", "d/", "d/e/"):
        (tmp_path / "from" / folder).mkdir(parents=True, exist_ok=True)
        for number, target in enumerate(targets):
            links[f"{folder}l{number}"] = target
            (tmp_path / "from" / f"{folder}l{number}").symlink_to(target)
    argv = ["rsync", "-rln", "--safe-links", "--out-format=%n", f"{tmp_path}/from/", f"{tmp_path}/to/"]
    safe = set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines())
    assert {one: links[one] for one in links if is_outward(one, links[one]) is (one in safe)} == {}
