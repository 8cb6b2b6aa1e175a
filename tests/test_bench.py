"""The benchmarks run apart from the tests: here only that what their worker calls is there."""

from __future__ import annotations

import ast
import importlib
import inspect

from support.repository import REPO


def test_the_worker_of_the_sync_benchmark_calls_what_is_there() -> None:
    script = ast.parse((REPO / "scripts" / "bench_sync.py").read_text(encoding="utf-8"))
    (text,) = (
        ast.literal_eval(node.value)
        for node in script.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "WORKER"
    )
    worker = ast.parse(text)
    names = {
        alias.name: getattr(importlib.import_module(node.module), alias.name)
        for node in ast.walk(worker)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ec2tasks.")
        for alias in node.names
    }
    calls = [node for node in ast.walk(worker) if isinstance(node, ast.Call)]
    checked = [call for call in calls if ast.unparse(call.func) in names]
    assert {ast.unparse(call.func) for call in checked} == set(names)
    for call in checked:
        keywords = {str(keyword.arg): None for keyword in call.keywords}
        inspect.signature(names[ast.unparse(call.func)]).bind(*call.args, **keywords)
