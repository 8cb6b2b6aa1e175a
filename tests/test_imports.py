"""The data goes one way: a module imports only those before it, and a library only its owners."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import REPO

# A run's stages, in the order of the data.
ORDER = (
    "errors",
    "endpoint",
    "report",
    "process",
    "state",
    "journal",
    "project",
    "ending",
    "forms",
    "schema",
    "settings",
    "recipes",
    "aws",
    "image",
    "keypair",
    "network",
    "price",
    "scripts",
    "guard",
    "launch",
    "instance",
    "memory",
    "access",
    "outlook",
    "prepare",
    "traces",
    "ports",
    "session",
    "there",
    "tree",
    "merge",
    "own_folder",
    "manifest",
    "ignored",
    "rsync",
    "compare",
    "progress",
    "outgoing",
    "placing",
    "incoming",
    "sync",
    "difference",
    "job",
    "stream",
    "follow",
    "notebook",
    "arrival",
    "plan",
    "phases",
    "stay",
    "leaving",
    "boarding",
    "moving",
    "attend",
    "history",
    "comeback",
    "workflow",
    "reap",
    "policy",
    "account",
    "admin",
    "options",
    "scaffold",
    "local",
    "edge",
    "admin_tasks",
    "run_tasks",
    "fleet_tasks",
    "tasks",
    "program",
    "__main__",
)
OWNERS = {
    "boto3": {"aws"},
    "botocore": {"aws"},
    "fabric": {"access"},
    "paramiko": {"access"},
    "invoke": {"errors", "options", "edge", "admin_tasks", "run_tasks", "fleet_tasks", "tasks", "program"},
    "subprocess": {"process", "project", "recipes", "access", "session", "rsync", "follow"},
    "rich": {"progress"},
    "yaml": {"settings"},
    "dotenv": {"settings"},
}
PACKAGE = REPO / "ec2tasks"
MODULES = [path for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"]


def imported(path: Path) -> Iterator[str]:
    """The modules a file imports, wherever in it, but those that only the type checker sees."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    parts = (name.split(".") for name in imported(path) if name.startswith("ec2tasks."))
    return {part[1] for part in parts if part[1] in ORDER}


def test_every_module_has_its_place() -> None:
    assert {path.stem for path in MODULES} | {"local"} == set(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_only_those_before_it(path: Path) -> None:
    later = {name for name in own_imports(path) if ORDER.index(name) >= ORDER.index(path.stem)}
    assert not later


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_library_is_imported_by_its_owners_alone(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    assert not {library for library, owners in OWNERS.items() if library in roots and path.stem not in owners}


def test_the_local_ec2_is_imported_by_the_tasks_and_their_edge_alone() -> None:
    assert {path.stem for path in MODULES if "local" in own_imports(path)} == {"edge", "tasks"}


def test_the_local_ec2_s_own_modules_build_on_each_other_in_one_order() -> None:
    folder = PACKAGE / "local"
    page = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    order = [line.split()[0] for line in page.splitlines() if "  " in line]
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert set(order) == modules
    for name in order:
        used = {
            one.split(".")[2] for one in imported(folder / f"{name}.py") if one.startswith("ec2tasks.local.")
        }
        later = {one for one in used & modules if order.index(one) >= order.index(name)}
        assert not later, name


def test_the_local_ec2_knows_nothing_of_the_stages() -> None:
    known = {name for path in (PACKAGE / "local").glob("*.py") for name in own_imports(path)} - {"local"}
    assert known <= {"errors", "endpoint", "report"}


def test_listing_the_tasks_imports_nothing_that_connects() -> None:
    slow = "('boto3', 'fabric', 'paramiko', 'moto')"
    code = f"import ec2tasks.tasks, sys; print(*(one for one in {slow} if one in sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert said.stdout.split() == []
