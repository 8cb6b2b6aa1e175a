from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.project import Project
from ec2tasks.config.environment import AUTO, EnvWish, env
from ec2tasks.environment.files import Source
from ec2tasks.environment.request import (
    EnvironmentRequest,
    build_request,
    environment_key,
    environment_request,
)
from environment.test_here import make

SOURCE = Source(kind="requirements", label="requirements.txt", main="requirements.txt", files={"a": "x"})


def asked(root: Path, wish: object = "auto", platform: str = "linux", **environ: str) -> EnvironmentRequest:
    return environment_request(Project(root=root, below=Path()), env(wish), "shop", environ, platform)


@pytest.mark.parametrize(
    ("wish", "wanted"),
    [
        ("none", "none"),
        ("nlp", "nlp"),
        ({"conda": "nlp"}, "conda:nlp"),
        ({"venv": "~/there"}, "venv:~/there"),
    ],
)
def test_what_is_named_is_not_built(wish: object, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy\n")
    assert asked(tmp_path, wish) == EnvironmentRequest(wanted=wanted)


@pytest.mark.parametrize(
    ("wish", "wanted"),
    [("auto", "auto"), ("nlp?", "nlp?"), ("requirements.txt", "built"), ({"uv": {}}, "built")],
)
def test_what_may_be_built_has_a_key(wish: object, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy\n")
    found = asked(tmp_path, wish)
    assert (found.wanted, found.label, bool(found.key)) == (wanted, "requirements.txt", True)


def test_versions_that_are_left_open_are_those_here(tmp_path: Path) -> None:
    make(tmp_path / ".venv", "numpy-1.5")
    (tmp_path / "requirements.txt").write_text("numpy\n")
    open_ = asked(tmp_path)
    assert open_.constraints == ("numpy==1.5",)
    (tmp_path / "requirements.txt").write_text("numpy==1.4\n")
    pinned = asked(tmp_path)
    assert pinned.constraints == ()
    assert pinned.key != open_.key


def test_what_is_active_here_is_taken_where_no_file_says_anything(tmp_path: Path) -> None:
    active = make(tmp_path / "nlp", "numpy-1.5")
    found = asked(tmp_path, VIRTUAL_ENV=str(active))
    assert found.source
    assert (found.source.kind, found.source.files) == ("explicit", {"frozen.txt": "numpy==1.5\n"})
    assert asked(tmp_path).key == ""
    (tmp_path / "requirements.txt").write_text("click\n")
    assert asked(tmp_path, VIRTUAL_ENV=str(active)).label == "requirements.txt"


@pytest.mark.parametrize(("platform", "kind"), [("linux", "conda-explicit"), ("darwin", "conda")])
def test_conda_s_goes_by_its_builds_from_linux_alone(platform: str, kind: str, tmp_path: Path) -> None:
    prefix = make(tmp_path / "c", "python-3.12.1", installer="conda")
    (prefix / "conda-meta").mkdir()
    (prefix / "conda-meta" / "python-3.12.1-h1.json").write_text('{"url": "https://c/python.conda"}')
    (prefix / "conda-meta" / "history").write_text("# update specs: ['python=3.12']\n")
    found = asked(tmp_path, platform=platform, CONDA_PREFIX=str(prefix), CONDA_DEFAULT_ENV="nlp")
    assert found.source
    assert found.source.kind == kind
    files = build_request(found, "shop", {})["files"]
    assert ("https://c/python.conda" if platform == "linux" else "python=3.12") in json.dumps(files)


@given(st.text(max_size=20), st.text(max_size=20))
def test_the_key_tells_contents_apart(one: str, other: str) -> None:
    keys = {environment_key(replace(SOURCE, files={"a": text}), (), "shop") for text in (one, other)}
    assert len(keys) == len({one, other})


def test_the_key_is_the_same_wherever_nothing_of_the_project_is_needed() -> None:
    assert environment_key(SOURCE, (), "a") == environment_key(replace(SOURCE, label="x"), (), "b")
    tree = replace(SOURCE, tree=True)
    assert environment_key(tree, (), "a") != environment_key(tree, (), "b")
    assert environment_key(SOURCE, ("x==1",), "a") != environment_key(SOURCE, (), "a")


def test_a_request_is_data(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("$(touch x); numpy\n")
    data = build_request(asked(tmp_path), "shop", {"UV_INDEX_X_PASSWORD": "hush"})
    assert json.loads(json.dumps(data)) == data
    assert data["variables"] == {"UV_INDEX_X_PASSWORD": "hush"}
    assert EnvWish(kind="auto") == AUTO
