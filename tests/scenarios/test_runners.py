"""The recipes of docs/runners.md, run by the real runners, here and on an instance of the local EC2.

A runner that is not installed here is skipped; `make test-engines` has all of them.
"""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.environment import clean_environment
from support.project import ScratchProject
from support.repository import REPO

from ec2tasks.remote.first_word import lacking_text

pytestmark = pytest.mark.long

PAGE = (REPO / "docs" / "runners.md").read_text(encoding="utf-8")
MADE = "trained 5 epochs\n"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a section of the page says: files, the command here and there, what brings the runner there."""

    runner: str
    files: dict[str, str]
    here: str
    there: str
    needs: str

    @property
    def installed(self) -> bool:
        """Whether the runner is on this machine."""
        # What pip does not bring, the local EC2's instances have from the system of this machine.
        pip = not self.needs or self.needs.startswith("pip ")
        return shutil.which(self.runner, path=None if pip else "/usr/local/bin:/usr/bin:/bin") is not None


def recipe(section: str) -> Recipe:
    commands: dict[str, str] = {
        place: command
        for command, place in re.findall(r"^([^#\n]+?) +# (here|there)$", section, re.MULTILINE)
    }
    needs = re.search(r"^On the instance: `([^`]+)`", section, re.MULTILINE)
    return Recipe(
        runner=commands.get("here", commands["there"]).split()[0],
        files=dict(re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```", section, re.DOTALL | re.MULTILINE)),
        here=commands.get("here", ""),
        there=commands["there"],
        needs=needs[1] if needs else "",
    )


SECTIONS = [section for section in re.split(r"^## ", PAGE, flags=re.MULTILINE) if "# there" in section]
RECIPES = [recipe(section) for section in SECTIONS]
RUNNERS = {found.runner: found for found in RECIPES}
IGNORED = re.search(r"`\.rsyncignore`:\n\n```\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_has_a_recipe_for_each() -> None:
    assert list(RUNNERS) == ["just", "nox", "poe", "duty", "doit", "npm", "snakemake", "dvc"]
    assert all(found.files for found in RECIPES)


def test_what_the_instance_needs_is_what_a_run_says_there() -> None:
    for found in RECIPES:
        if found.needs:
            assert f"`{found.needs} &&`" in lacking_text(found.runner, bare=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, local_folder: Path) -> Iterator[ScratchProject]:
    """A project with all recipes, whose instance has the runners that are installed here."""
    base = tmp_path_factory.mktemp("user")
    root = base / "shop"
    root.mkdir()
    local = {"EC2_LOCAL": "1", "EC2_LOCAL_DIR": str(local_folder), "USER": f"user-{secrets.token_hex(4)}"}
    project = ScratchProject(root=root, environ={**clean_environment(base), **local})
    assert project.ec2tasks("init").code == 0
    assert IGNORED
    project.write(".rsyncignore", project.read(".rsyncignore") + IGNORED[1])
    for found in RECIPES:
        for name, text in found.files.items():
            project.write(name, text)
    needs = [found.needs for found in RECIPES if found.installed and found.needs.startswith("pip install")]
    packages = " ".join(need.removeprefix("pip install ") for need in needs)
    said = project.ec2tasks(
        "run", "--leave", f"python3 -m venv .venv && .venv/bin/pip install -q {packages or 'pip'}"
    )
    assert said.code == 0, said.err
    yield project
    project.ec2tasks("down", "--no-rsync")


@pytest.mark.parametrize("runner", [found.runner for found in RECIPES if found.here])
def test_a_recipe_does_the_same_here_and_there(runner: str, shop: ScratchProject) -> None:
    found = RUNNERS[runner]
    if not found.installed:
        pytest.skip(f"{runner} is not installed")
    model = shop.root / "model.txt"
    for command in (found.here, found.there):
        model.unlink(missing_ok=True)
        said = shop.call("sh", "-c", command)
        assert said.code == 0, said.err + said.out
        assert model.read_text() == MADE
        assert ("left running" in said.err + said.out) == (command == found.there)
    failing = found.there.replace("train", "nothing-of-that-name").replace("--cores all", "--nothing")
    assert shop.call("sh", "-c", failing).code not in (0, 125)
    if runner == "snakemake":
        assert "Nothing to be done" in shop.call("sh", "-c", found.here).err


def test_a_stage_of_dvc_runs_there_and_once(shop: ScratchProject) -> None:
    found = RUNNERS["dvc"]
    if not found.installed:
        pytest.skip("dvc is not installed")
    (shop.root / "model.txt").unlink(missing_ok=True)
    assert shop.call("sh", "-c", "git init -q . && dvc init -q").code == 0
    said = shop.call(*shlex.split(found.there))
    assert said.code == 0, said.err
    assert "left running" in said.err + said.out
    assert shop.read("model.txt") == MADE
    again = shop.call(*shlex.split(found.there))
    assert "didn't change, skipping" in again.out
    assert "left running" not in again.err + again.out
    shop.write("dvc.yaml", shop.read("dvc.yaml").replace("echo", "nothing-of-that-name"))
    assert shop.call(*shlex.split(found.there)).code != 0
