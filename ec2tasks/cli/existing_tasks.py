"""What `init` says of a tasks.py that is there already: which lines bring the tasks of ec2tasks into it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from ec2tasks.base.dataclass import dataclass

NAMES = ("ns", "namespace")  # Invoke takes the first of these for all that a module has
OWN_LINES = ("from ec2tasks import with_ec2", "ns = with_ec2(__name__)")


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What is said of the file, and the lines to add to it; none where there is nothing to add."""

    what: str
    lines: Sequence[str] = ()


def advice(text: str) -> Advice:
    """What to do with a tasks.py of this text, so that `inv` shows its own tasks and ec2tasks'."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return Advice(what="it can't be read as Python; for `inv` it needs", lines=OWN_LINES)
    imported = set(_imported(tree))
    collection = next((one for one in NAMES if one in _assigned(tree)), None)
    if "ec2tasks" in imported:
        return _brought(tree, collection)
    if "invoke" not in imported and "fabric" not in imported:
        return Advice(what="it is none of Invoke's, and `ec2tasks` has all tasks without it")
    if collection:
        lines = ("from ec2tasks import ec2", f"{collection}.add_collection(ec2)")
        return Advice(what=f"for `inv`, add to it, behind its `{collection} = …`", lines=lines)
    return Advice(what="for `inv`, add to it", lines=OWN_LINES)


def _brought(tree: ast.Module, collection: str | None) -> Advice:
    """What to do where ec2tasks is imported: nothing, but where its `ns` hides the file's own tasks."""
    hides = any(
        alias.name == "ns" and (alias.asname or alias.name) in NAMES
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "ec2tasks"
        for alias in node.names
    )
    own = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and _is_task(node)]
    if not hides or collection or not own:
        return Advice(what="it has the tasks of ec2tasks")
    hidden = ", ".join(f"`{one}`" for one in own)
    return Advice(
        what=f"`inv` does not find its own {hidden}; in place of `from ec2tasks import ns` it needs",
        lines=OWN_LINES,
    )


def _is_task(function: ast.FunctionDef) -> bool:
    decorators = [one.func if isinstance(one, ast.Call) else one for one in function.decorator_list]
    return any(ast.unparse(one).rpartition(".")[2] == "task" for one in decorators)


def _imported(tree: ast.Module) -> Iterator[str]:
    """The packages that are imported, by their first name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _assigned(tree: ast.Module) -> set[str]:
    """The names that the module itself gives values to."""
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
