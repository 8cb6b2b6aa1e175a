"""Which folders look like caches."""

from __future__ import annotations

import pytest

from ec2tasks.sync.caches import CACHES, WORTH_NAMING, Cache, caches
from ec2tasks.sync.entries import Entry, EntryKind

BIG = WORTH_NAMING


def file(size: int) -> Entry:
    return Entry(EntryKind.FILE, 0o644, size)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, []),
        ({"mlruns/0/a": BIG}, [("mlruns", BIG)]),
        ({"mlruns/0/a": BIG, "mlruns/b": 1}, [("mlruns", BIG + 1)]),
        ({"mlruns/0/a": BIG - 1}, []),  # not worth a word
        ({"mlruns": BIG}, []),  # a file
        ({"my_mlruns/a": BIG}, []),
        ({"a/b/.dvc/cache/files/md5/00/x": BIG}, [("a/b/.dvc/cache", BIG)]),
        ({".dvc/config": BIG}, []),
        ({"datasets/x/.cache/y": BIG, "datasets/z": BIG}, [("datasets", 2 * BIG)]),  # the outer one
        ({"wandb/a": BIG, "checkpoints/a": 2 * BIG}, [("checkpoints", 2 * BIG), ("wandb", BIG)]),
        ({"data/a": 10 * BIG}, []),
    ],
)
def test_folders_that_look_like_caches(files: dict[str, int], found: list[tuple[str, int]]) -> None:
    entries = {path: file(size) for path, size in files.items()}
    assert [(one.path, one.size) for one in caches(entries)] == found
    assert all(one.reason for one in caches(entries))


def test_each_kind_has_a_reason_and_is_found() -> None:
    for name, reason in CACHES.items():
        assert reason
        assert [one.path for one in caches({f"a/{name}/b": file(BIG)})] == [f"a/{name}"]


def test_the_line_that_keeps_one_here_means_that_one_alone() -> None:
    assert Cache(path="a/mlruns", size=1, reason="x").pattern == "/a/mlruns/"
    assert Cache(path="a*/mlruns", size=1, reason="x").pattern == r"/a\*/mlruns/"
