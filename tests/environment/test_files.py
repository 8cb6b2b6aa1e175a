"""What is taken of a project's files, and how."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.project import ScratchProject

from ec2tasks.base.errors import UsageError
from ec2tasks.config.environment import AUTO, EnvWish
from ec2tasks.environment.files import Source, find_source, requirement_lines

APP = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["numpy"]\n'
PACKAGE = APP + '[build-system]\nrequires = ["hatchling"]\n'
LOCK = 'version = 1\n[[package]]\nname = "app"\nsource = { virtual = "." }\n'
# In the order in which they are taken; each stands beside all that come after it.
ORDER = {
    "uv.lock": LOCK,
    "pixi.lock": "version: 6\n",
    "poetry.lock": "",
    "pdm.lock": "",
    "conda-lock.yml": "version: 1\n",
    "environment.yml": "name: nlp\ndependencies: [python=3.12]\n",
    "requirements.txt": "numpy\n",
    "pyproject.toml": APP,
}


def source(root: Path, files: dict[str, str], wish: EnvWish = AUTO, below: str = ".") -> Source | None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return find_source(root, Path(below), wish)


@pytest.mark.parametrize("name", ORDER)
def test_the_first_of_the_order_is_taken(name: str, tmp_path: Path) -> None:
    names = list(ORDER)
    found = source(tmp_path, {one: ORDER[one] for one in names[names.index(name) :]})
    assert found
    assert (found.label, found.main, found.files[name]) == (name, name, ORDER[name])


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pyproject.toml": "[tool.ruff]\nline-length = 100\n"},
        {"pyproject.toml": "[project\n"},
        {"requirements-a.txt": "a\n", "requirements-b.txt": "b\n"},
        {"Makefile": "train:\n"},
    ],
    ids=["nothing", "tools' settings alone", "broken", "several, none of the usual name", "no list"],
)
def test_what_says_nothing_is_not_taken(files: dict[str, str], tmp_path: Path) -> None:
    assert source(tmp_path, files) is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"pyproject.toml": APP, "uv.lock": LOCK}, {"kind": "uv", "tree": False, "python": ">=3.11"}),
        ({"pyproject.toml": PACKAGE, "uv.lock": LOCK}, {"kind": "uv", "tree": True, "package": True}),
        ({"uv.lock": LOCK + 'source = { path = "x.whl" }\n'}, {"tree": True}),
        ({"uv.lock": LOCK + 'source = { registry = "https://i" }\n'}, {"tree": False}),
        ({"uv.lock": LOCK, ".python-version": "# ours\n3.12\n"}, {"python": "3.12"}),
        ({"pyproject.toml": APP, ".python-version": "3.11.4\n"}, {"python": "3.11.4", "open": True}),
        ({"pyproject.toml": APP + "[dependency-groups]\ndev = []\n"}, {"groups": ("dev",)}),
        ({"poetry.lock": 'type = "directory"\n'}, {"kind": "poetry", "tree": True}),
        ({"requirements.txt": "a==1\nb==2 --hash=sha256:00\n"}, {"open": False, "tree": False}),
        ({"requirements.txt": "a>=1\n"}, {"open": True}),
        ({"requirements.txt": "-e .\n"}, {"tree": True}),
        ({"requirements.txt": "./a-1-py3-none-any.whl\n"}, {"tree": True}),
        ({"requirements.txt": "a @ file:///a\n"}, {"tree": True}),
        ({"requirements.txt": "--extra-index-url https://i/simple\na @ https://a/a.whl\n"}, {"tree": False}),
        ({"requirements.txt": "-r ../other.txt\n"}, {"tree": True}),
        ({"requirements-gpu.txt": "a\n"}, {"label": "requirements-gpu.txt"}),
        ({"environment.yml": "name: nlp\n"}, {"kind": "conda", "conda_name": "nlp", "tree": False}),
        ({"environment.yml": "name: a\ndependencies:\n- pip:\n  - -r requirements.txt\n"}, {"tree": True}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_what_a_file_asks_for(files: dict[str, str], expected: dict[str, object], tmp_path: Path) -> None:
    found = source(tmp_path, files)
    assert found
    assert {name: getattr(found, name) for name in expected} == expected


def test_files_that_are_included_go_along(tmp_path: Path) -> None:
    files = {"requirements.txt": "-r req/a.txt\n", "req/a.txt": "-c b.txt\nx\n", "req/b.txt": "x==1\n"}
    found = source(tmp_path, files)
    assert found
    assert not found.tree
    assert found.files == files


def test_the_nearest_folder_counts(tmp_path: Path) -> None:
    files = {"requirements.txt": "a\n", "service/requirements.txt": "b\n", "other/x": ""}
    found = source(tmp_path, files, below="service/deep")
    assert found
    assert (found.folder, found.label) == ("service", "service/requirements.txt")
    assert (source(tmp_path, {}, below="other") or found).label == "requirements.txt"


def test_a_member_of_a_workspace_has_the_lock_file_above(tmp_path: Path) -> None:
    found = source(tmp_path, {"uv.lock": LOCK, "pyproject.toml": APP, "a/pyproject.toml": APP}, below="a")
    assert found
    assert (found.kind, found.folder, found.tree) == ("uv", "a", True)


def test_a_file_can_be_named(tmp_path: Path) -> None:
    files = {"uv.lock": LOCK, "req/gpu.txt": "a\n"}
    found = source(tmp_path, files, EnvWish(kind="file", name="req/gpu.txt"))
    assert found
    assert (found.kind, found.folder, found.main) == ("requirements", "req", "gpu.txt")
    for name in ("req/none.txt", "../gpu.txt", "/etc/hosts.txt"):
        with pytest.raises(UsageError, match="there is no file"):
            source(tmp_path, {}, EnvWish(kind="file", name=name))


def test_groups_and_extras_can_be_named(tmp_path: Path) -> None:
    wish = EnvWish(kind="uv", groups=("gpu",), extras=("plots",))
    found = source(tmp_path, {"uv.lock": LOCK}, wish)
    assert found
    assert (found.groups, found.extras) == (("gpu",), ("plots",))


def test_no_file_is_read_that_a_link_leads_out_of_the_project_to(project: ScratchProject) -> None:
    secret = project.root.parent / "secret"
    secret.write_text("numpy\n")
    (project.root / "requirements.txt").symlink_to(secret)
    assert find_source(project.root, Path(), AUTO) is None
    project.write("lists/real.txt", "numpy\n")
    (project.root / "requirements.txt").unlink()
    (project.root / "requirements.txt").symlink_to("lists/real.txt")
    assert find_source(project.root, Path(), AUTO)
    project.write("lists/real.txt", f"-r {secret}\n")
    found = find_source(project.root, Path(), AUTO)
    assert found
    assert list(found.files) == ["requirements.txt"]


@given(st.text("ab=>.-#@ \n\\[];", max_size=60))
def test_requirement_lines_are_those_that_name_something(text: str) -> None:
    for line in requirement_lines(text):
        assert line.strip() == line
        assert line
        assert not line.startswith(("-", "#"))
