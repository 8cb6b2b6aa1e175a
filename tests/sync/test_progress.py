"""The biggest items of a push, and sizes as people read them."""

from __future__ import annotations

from ec2tasks.sync.entries import Entry, EntryKind
from ec2tasks.sync.progress import biggest, size_text


def test_the_biggest_items_are_named_where_they_are() -> None:
    files = {"data/images/a": 600, "data/images/b": 500, "data/rows": 1, "run/model.pt": 900, "x": 5}
    files |= {"run/big.bin": 20, "run/tiny/y": 2}
    entries = {path: Entry(EntryKind.FILE, 0o644, size * 10**6) for path, size in files.items()}
    assert biggest(entries) == [
        ("data/images", 1_100_000_000),
        ("run/model.pt", 900_000_000),
        ("run/big.bin", 20_000_000),
        ("x", 5_000_000),
        ("run/tiny/y", 2_000_000),
    ]
    assert [size_text(one) for one in (5, 1_500, 2_500_000_000)] == ["5 B", "1.5 kB", "2.5 GB"]
