"""The benchmarks run apart from the tests: here only that what their worker calls is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import runpy

from support.repository import REPO


def test_the_worker_of_the_sync_benchmark_calls_what_is_there() -> None:
    worker = ast.parse(runpy.run_path(str(REPO / "scripts" / "bench_sync.py"))["WORKER"])
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
