from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.instance_scripts import skip_without_linux
from support.two_sides import Sides

from ec2tasks.base.process import Tools
from ec2tasks.sync.ignored import IgnoredFiles, ignored_files


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    skip_without_linux()
    return Sides(tmp_path)


def _put(sides: Sides, **sizes: int) -> None:
    for name, size in sizes.items():
        path = sides.remote / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))


def _weigh(sides: Sides) -> IgnoredFiles:
    return ignored_files(sides.local, sides.way(), Tools())


def test_what_never_comes_here_is_counted_and_named_the_biggest_first(sides: Sides) -> None:
    (sides.local / ".rsyncignore").write_text("*.ckpt\n/data/\n")
    _put(sides, **{"a.ckpt": 10, "sub/b c.ckpt": 3000, "data/x/y": 500, "data/z": 1, "result": 9})
    assert _weigh(sides) == IgnoredFiles(count=4, size=3511, paths=("sub/b c.ckpt", "data", "a.ckpt"))
    assert str(_weigh(sides)) == "4 ignored files (3.5 kB: sub/b c.ckpt, data, a.ckpt)"


def test_what_tools_make_again_does_not_count(sides: Sides) -> None:
    (sides.local / ".rsyncignore").write_text(".venv\n/env/\n/work/\n*.pyc\n")
    _put(
        sides, **{".venv/lib/x": 10, "env/pyvenv.cfg": 1, "env/x": 9, "work/e/conda-meta/h": 1, "work/e/y": 9}
    )
    _put(sides, **{"work/c/CACHEDIR.TAG": 1, "work/c/y": 9, "work/node_modules/m": 1, "work/.git/o": 2})
    _put(sides, **{"work/e/conda-meta/h": 1, "work/e/y": 9, "work/kept": 7, "__pycache__/a.pyc": 1})
    assert _weigh(sides).paths == ("work", "__pycache__/a.pyc")
    assert _weigh(sides).count == 2


def test_nothing_ignored_is_nothing(sides: Sides) -> None:
    _put(sides, result=9, **{"node_modules/x": 4, ".ec2tasks/replaced/1/x": 5, "x.ec2tasks-draft": 3})
    assert _weigh(sides) == IgnoredFiles()


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(NAMES, st.integers(0, 999), min_size=1, max_size=4))
def test_any_name_is_counted(files: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> None:
    skip_without_linux()
    sides = Sides(tmp_path_factory.mktemp("sides"))
    (sides.local / ".rsyncignore").write_text("/kept/\n/far/*\n")
    for name, size in files.items():
        _put(sides, **{f"kept/{name}x": size, f"far/{name}x": size})
    weighed = _weigh(sides)
    assert (weighed.count, weighed.size) == (2 * len(files), 2 * sum(files.values()))
    assert set(weighed.paths) == {"kept", *(f"far/{name}x" for name in files)}
