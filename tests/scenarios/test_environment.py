"""A recipe runs in the packages that the project names, built once on the instance."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.background import start
from support.environment import clean_environment
from support.local_ec2 import instance_home
from support.project import ScratchProject
from support.wheels import give_image_a_torch, give_uv, make_wheel

WHERE = "python -c 'import torch; print(torch.__version__, torch.__file__)'"
IMAGE, OWN = "/opt/pytorch/lib/", "/.ec2tasks/env/"
LOCAL = "--no-index\n--find-links wheels\n"
LONG = pytest.mark.long


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, module_local_folder: Path) -> ScratchProject:
    """A project on an instance whose image has a torch; it installs wheels of its own, none of PyPI's."""
    base = tmp_path_factory.mktemp("user")
    root = base / "shop"
    root.mkdir()
    local = {"EC2_LOCAL": "1", "EC2_LOCAL_DIR": str(module_local_folder), "USER": f"u-{secrets.token_hex(4)}"}
    found = ScratchProject(
        root=root, environ={**clean_environment(base), **local, "AWS_FINAL_STATE": "leave", "UV_OFFLINE": "1"}
    )
    found.write("ec2.yaml", "forward_env: [UV_OFFLINE]\n")
    found.trust()
    for name, version, requires in (
        ("torch", "2.12.0", ()),
        ("torch", "2.8.0", ()),
        ("lightning", "1.0", ("torch>=2.1,<3",)),
        ("oldlight", "1.0", ("torch<2.9",)),
        ("plain", "1.0", ()),
        ("plain", "2.0", ()),
    ):
        make_wheel(root / "wheels", name, version, requires)
    found.ec2tasks("local.up")
    give_image_a_torch(module_local_folder)
    up = found.ec2tasks("up")
    assert up.code == 0, up.err
    give_uv(instance_home(found))
    return found


@pytest.fixture
def clean(shop: ScratchProject) -> Iterator[ScratchProject]:
    """The same without a list of packages, before and after."""
    yield shop
    for name in ("requirements.txt", "pyproject.toml", "uv.lock"):
        (shop.root / name).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("line", "torch", "place"),
    [
        ("torch==2.12.0", "2.12.0+cu130", IMAGE),
        pytest.param("torch==2.12.0+cu126", "2.12.0+cu130", IMAGE, marks=LONG),
        pytest.param("torch>=2.1", "2.12.0+cu130", IMAGE, marks=LONG),
        pytest.param("lightning", "2.12.0+cu130", IMAGE, marks=LONG),
        ("torch==2.8.0", "2.8.0", OWN),
        pytest.param("oldlight", "2.8.0", OWN, marks=LONG),
        pytest.param("plain", "2.12.0+cu130", IMAGE, marks=LONG),
    ],
)
def test_the_image_s_torch_is_used_where_it_is_what_is_pinned(
    line: str, torch: str, place: str, clean: ScratchProject
) -> None:
    clean.write("requirements.txt", f"{LOCAL}{line}\n")
    said = clean.ec2tasks("run", WHERE)
    assert said.code == 0, said.err
    version, path = said.out.split()
    assert (version, place in path) == (torch, True)
    if line == "torch==2.8.0":
        assert "torch 2.8.0 is pinned, the image has 2.12.0: a large download, once per disk" in said.err


@pytest.mark.parametrize("version", ["2.12.0", pytest.param("2.8.0", marks=LONG)])
def test_a_lock_file_of_uv_s_is_what_is_installed(version: str, clean: ScratchProject) -> None:
    text = (
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.8"\n'
        f'dependencies = ["torch=={version}", "plain<2"]\n'
        '[tool.uv]\nno-index = true\nfind-links = ["wheels"]\n'
    )
    clean.write("pyproject.toml", text)
    locked = clean.call("uv", "lock", "--quiet")
    assert locked.code == 0, locked.err
    said = clean.ec2tasks("run", f"{WHERE}; uv run python -c 'import plain; print(plain.__version__)'")
    assert said.code == 0, said.err
    assert (IMAGE in said.out) == (version == "2.12.0")
    assert said.out.splitlines()[-1] == "1.0"
    assert re.search(r"environment: uv\.lock, Python 3\.\d+, \d packages?, torch 2", said.err)
    assert not (clean.root / ".venv").exists()
    assert clean.ec2tasks("run", "ls .venv").code == 2


def test_the_second_run_finds_it_ready_and_a_change_builds_another(clean: ScratchProject) -> None:
    clean.write("requirements.txt", f"{LOCAL}plain==1.0\n")
    show = "python -c 'import plain; print(plain.__version__)'"
    first, second = clean.ec2tasks("run", show), clean.ec2tasks("run", show)
    assert (first.out, second.out) == ("1.0\n", "1.0\n"), first.err
    assert "to be built there, once" in first.err
    assert re.search(r"environment: requirements\.txt, Python 3\.\d+, 1 package · ready", second.err)
    explained = clean.ec2tasks("env")
    assert "it is the first in the project that says what it needs" in explained.out
    assert "· ready" in explained.out
    clean.write("requirements.txt", f"{LOCAL}plain==2.0\n")
    assert "not yet on i-" in clean.ec2tasks("env").out
    assert clean.ec2tasks("run", show).out == "2.0\n"
    third, *earlier = (run["environment"] for run in json.loads(clean.ec2tasks("runs", "--json").out))
    assert earlier[0] == earlier[1]
    assert re.fullmatch("[0-9a-f]{20}", third)
    assert third != earlier[0]


def test_two_runs_at_once_build_once(clean: ScratchProject) -> None:
    clean.write("requirements.txt", f"{LOCAL}plain\n# twice\n")
    runs = [start(clean, "ec2tasks", "run", "--no-rsync", "python -c 'import plain'") for _ in range(2)]
    ended = [run.end() for run in runs]
    assert [one.code for one in ended] == [0, 0], ended
    logs = list((instance_home(clean) / ".ec2tasks" / "env").glob("*.log"))
    made = [log for log in logs if "uv venv" in log.read_text(encoding="utf-8")]
    assert all(log.read_text(encoding="utf-8").count("uv venv") == 1 for log in made)


def test_what_can_t_be_built_ends_the_run_before_the_recipe(clean: ScratchProject) -> None:
    clean.write("requirements.txt", f"{LOCAL}plain==9.9\n")
    said = clean.ec2tasks("run", "touch ran")
    assert said.code == 125
    assert "could not be built from requirements.txt, at `uv pip install`:" in said.err
    assert "plain==9.9" in said.err
    assert "hint: mend requirements.txt; `--env none` runs without" in said.err
    assert not (clean.root / "ran").exists()
    assert clean.ec2tasks("run", "--env", "none", "true").code == 0


def test_what_a_recipe_made_there_comes_first(clean: ScratchProject) -> None:
    clean.write("requirements.txt", f"{LOCAL}plain\n")
    made = clean.ec2tasks("run", "--env", "none", "python3 -m venv --without-pip .venv")
    assert made.code == 0, made.err
    said = clean.ec2tasks("run", "echo $VIRTUAL_ENV; rm -r .venv")
    assert said.out == "/home/ubuntu/shop/.venv\n"
    assert "environment: .venv, made there by a recipe" in said.err


@LONG
def test_versions_of_here_are_taken_as_far_as_they_are_there(clean: ScratchProject) -> None:
    site = clean.root / ".venv" / "lib" / "python3.12" / "site-packages"
    for name in ("plain-1.0", "lightning-7.7"):
        (site / f"{name}.dist-info").mkdir(parents=True, exist_ok=True)
    (clean.root / ".venv" / "pyvenv.cfg").write_text("")
    clean.write("requirements.txt", f"{LOCAL}plain\nlightning\n")
    said = clean.ec2tasks("run", "python -c 'import plain; print(plain.__version__)'")
    assert said.out == "1.0\n", said.err
    assert "in this version not to be had there: lightning==7.7" in said.err
    assert "lightning: 7.7 here, 1.0 there" in clean.ec2tasks("env").out
