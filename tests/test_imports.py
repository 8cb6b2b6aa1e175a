"""The data goes one way: a package imports only those before it, and a library only its owners."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TypeGuard

import pytest
from support.repository import REPO

# The packages, each of which imports only from those before it.
PACKAGES = (
    "base",
    "config",
    "usage",
    "make",
    "aws",
    "admin",
    "ssh",
    "environment",
    "remote",
    "sync",
    "records",
    "lifecycle",
    "commands",
    "local",
    "cli",
)
# Who may import a library: a module, or a whole package.
OWNERS = {
    "boto3": {"aws.login"},
    "botocore": {"aws.client", "aws.errors", "aws.login"},
    "fabric": {"ssh.connect"},
    "paramiko": {"ssh.connect"},
    "invoke": {"base.errors", "cli"},
    "subprocess": {
        *("base.exchange", "base.channel", "base.process", "base.project"),
        *("make.reading", "ssh.connect", "remote.follow"),
        "remote.build_step",  # on the instance
    },
    "rich": {"base.output"},
    "yaml": {"config.layers"},
    "dotenv": {"config.layers"},
}
ROOT = REPO / "ec2tasks"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.glob("*/*.py"))
    if path.stem != "__init__"
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(path: Path) -> frozenset[str]:
    """The modules a file imports, wherever in it, but those that only the type checker sees."""
    return frozenset(_imported(parsed(path)))


def _imported(tree: ast.Module) -> Iterator[str]:
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
    """The project's modules that a file imports, as `package.module`."""
    names = (name.removeprefix("ec2tasks.") for name in imported(path) if name.startswith("ec2tasks."))
    return {found for name in names if (found := ".".join(name.split(".")[:2])) in MODULES}


def package(module: str) -> str:
    return module.split(".")[0]


def test_every_package_has_its_place() -> None:
    assert {package(module) for module in MODULES} == set(PACKAGES)
    assert [path.stem for path in sorted(ROOT.glob("*.py"))] == ["__init__", "__main__"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_no_later_package(module: str) -> None:
    place = PACKAGES.index(package(module))
    later = {name for name in own_imports(MODULES[module]) if PACKAGES.index(package(name)) > place}
    assert not later


def test_no_module_imports_itself_by_way_of_others() -> None:
    order = TopologicalSorter({module: own_imports(path) for module, path in MODULES.items()})
    order.prepare()  # raises CycleError, which names the way round


@pytest.mark.parametrize("module", MODULES)
def test_a_name_with_an_underscore_stays_in_its_package(module: str) -> None:
    foreign = {
        name
        for name in imported(MODULES[module])
        if name.startswith("ec2tasks.") and name.split(".")[1] != package(module)
    }
    assert not {name for name in foreign if any(re.match("_[^_]", part) for part in name.split("."))}
    tree = parsed(MODULES[module])
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ec2tasks.")
        for alias in node.names
        if f"{node.module}.{alias.name}".removeprefix("ec2tasks.") in MODULES
    }
    reached = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and isinstance(node.value, ast.Name)
        and node.value.id in modules
    }
    assert not reached


@pytest.mark.parametrize("module", MODULES)
def test_a_library_is_imported_by_its_owners_alone(module: str) -> None:
    if package(module) == "local":
        return
    roots = {name.split(".")[0] for name in imported(MODULES[module])}
    owned = {library for library, owners in OWNERS.items() if not owners & {module, package(module)}}
    assert not roots & owned


# Who may print, and what: ec2tasks' own words go through one module, which escapes what is not ours.
PRINTERS = {
    "print": {"base.output", "local.server", "local.fleet"},  # the local EC2's log is its own
    "write": {"base.output", "remote.build_step"},  # there, its answer
    "print_exc": {"local.server"},
    "Console": {"base.output"},
}
# Who may read what a program on the other side says: each counts it, or hands on a command's own output.
READERS = {
    "communicate": {"base.process"},  # of a watcher, which says nothing
    "check_output": set[str](),
    "read1": set[str](),
    "Popen": {"base.process"},
    # Of these, `once` and `_attached` are at a command's own terminal or output; a sweep starts our calls.
    "start": {"base.process", "ssh.connect", "remote.session", "remote.job", "remote.follow", "sync.rsync"}
    | {"commands.supervise", "commands.sweep", "remote.environment"},
    "pump": {"base.process", "remote.job", "remote.environment", "sync.rsync"},
    "write_all": {"remote.follow"},
}


def called(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What a module calls: the last part of the name, and all of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            yield name, ast.unparse(node.func)


@pytest.mark.parametrize("module", MODULES)
def test_what_is_said_is_printed_in_one_place(module: str) -> None:
    tree = parsed(MODULES[module])
    prints = {
        name
        for name, whole in called(tree)
        if name in PRINTERS
        and (name != "write" or re.search(r"\b(stdout|stderr)(\.buffer)?\.write$", whole))
        and module not in PRINTERS[name]
    }
    assert not prints
    streams = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    printing = {"base.output", "base.terminal", "cli.program", "local.api", "local.server", "local.tasks"}
    if module not in printing | {"sync.progress", "remote.build_step"}:
        assert not streams & {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
    written = {ast.unparse(node.args[0]) for node in ast.walk(tree) if is_write_to_a_number(node)}
    assert not written & {"1", "2"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_asked_but_in_one_place(module: str) -> None:
    """There it is known whether anybody is at the keyboard; `base.terminal` only looks whether one is."""
    tree = parsed(MODULES[module])
    assert not {whole for _, whole in called(tree)} & {"input", "getpass", "getpass.getpass"}
    if module not in ("base.output", "base.terminal"):
        assert "sys.stdin" not in {
            ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)
        }


def is_write_to_a_number(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "os.write" and bool(node.args)


@pytest.mark.parametrize("module", MODULES)
def test_what_an_instance_says_is_read_in_one_place(module: str) -> None:
    if package(module) == "local":
        return
    tree = parsed(MODULES[module])
    reads = {
        name
        for name, whole in called(tree)
        if name in READERS
        and (name != "start" or whole.endswith("tools.start"))
        and module not in READERS[name]
    }
    assert not reads
    if module not in ("base.exchange", "base.channel", "base.process", "remote.follow"):
        read = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not {name for name in read if re.search(r"(?<!sys)\.(stdout|stderr)\.(read|raw|fileno)", name)}


def test_the_local_ec2_is_imported_by_the_tasks_and_their_edge_alone() -> None:
    users = {
        module
        for module, path in MODULES.items()
        if "local" in {package(name) for name in own_imports(path)} and package(module) != "local"
    }
    assert users == {"cli.context", "cli.tasks", "cli.answers"}


@pytest.mark.parametrize(
    "name", ["config", "usage", "make", "environment", "sync", "records", "lifecycle", "local"]
)
def test_a_package_s_first_page_lists_its_modules_in_the_order_of_their_imports(name: str) -> None:
    page = ast.get_docstring(parsed(ROOT / name / "__init__.py")) or ""
    order = [f"{name}.{line.split()[0]}" for line in page.splitlines() if "  " in line]
    assert set(order) == {module for module in MODULES if package(module) == name}
    for place, module in enumerate(order):
        assert not own_imports(MODULES[module]) & set(order[place:]), module


def test_the_local_ec2_knows_nothing_of_the_stages() -> None:
    modules = [module for module in MODULES if package(module) == "local"]
    known = {name for module in modules for name in own_imports(MODULES[module]) if package(name) != "local"}
    assert known <= {"base.errors", "base.endpoint", "base.output", "base.peer", "base.state"}


def modules_of(statement: str) -> set[str]:
    """The modules that a fresh Python has once it has run the statement."""
    code = f"{statement}\nimport sys; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    return set(said.stdout.split())


def test_a_list_of_tasks_imports_what_invoke_does_and_their_options_alone() -> None:
    """Every call waits for these: `--list`, completion, and each task before what does its work."""
    beyond = modules_of("import ec2tasks.cli.program, ec2tasks.cli.tasks") - modules_of(
        "import invoke.program"
    )
    own = {name.removeprefix("ec2tasks.") for name in beyond if name.startswith("ec2tasks.")}
    assert {package(name) for name in own} <= {"base", "config", "local", "cli"}
    assert len(own) <= 30
    assert {name for name in beyond if not name.startswith("ec2tasks")} <= {"__future__", "termios"}


def test_a_run_imports_nothing_that_only_a_launch_or_a_file_of_settings_needs() -> None:
    there = modules_of("import ec2tasks.cli.running")
    late = {"boto3", "botocore", "paramiko", "rich", "dotenv", "email.message", "http.client"}
    assert not there & {*late, "ec2tasks.aws.launch", "ec2tasks.lifecycle.bring_up", "ec2tasks.commands.plan"}
    assert len([name for name in there if name.startswith("ec2tasks.")]) <= 170
