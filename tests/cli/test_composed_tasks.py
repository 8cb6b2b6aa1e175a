"""Every task as a part of other people's tasks: before or after one, by `call`, and called by Python code."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invoke.collection import Collection
from invoke.context import Context
from invoke.executor import Executor
from invoke.parser.context import ParserContext
from invoke.tasks import Task, call
from support.project import ScratchProject
from support.waiting import until

from ec2tasks.base.errors import UsageError
from ec2tasks.cli.options import Ec2Task, Option, from_code
from ec2tasks.cli.tasks import ec2


def _tasks(collection: Collection, prefix: str = "") -> Iterator[tuple[str, Task[Any]]]:
    for name, found in collection.tasks.items():
        yield f"{prefix}{name}", found
    for name, inner in collection.collections.items():
        yield from _tasks(inner, f"{prefix}{name}.")


TASKS = dict(_tasks(ec2))
OURS = {name: found for name, found in TASKS.items() if isinstance(found, Ec2Task)}


def _nothing(_c: Context) -> None:
    pass


def _execute(**beside: Any) -> None:
    Executor(Collection(Task(_nothing, name="whole", **beside))).execute("whole")


WAYS: dict[str, Callable[[Task[Any], dict[str, Any]], None]] = {
    "pre": lambda found, values: _execute(pre=[call(found, **values)] if values else [found]),
    "post": lambda found, values: _execute(post=[call(found, **values)] if values else [found]),
    "call": lambda found, values: _execute(pre=[call(found, **values)]),
    "direct": lambda found, values: found(Context(), **values),
}


def _needed(found: Ec2Task) -> dict[str, Any]:
    return {option.names[0]: "word" for option in found.options if option.positional}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OURS)
def test_a_task_gets_what_the_parser_would_give_it(
    name: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = OURS[name]
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(found, "body", lambda _c, **values: calls.append(values))
    WAYS[way](found, _needed(found))
    parsed = ParserContext(name, args=found.get_arguments())
    assert calls == [{**parsed.as_kwargs, **_needed(found)}]


@pytest.mark.parametrize("name", [name for name in TASKS if name not in OURS])
def test_the_local_ec2_s_tasks_need_no_arguments_either(name: str) -> None:
    TASKS[name].argspec(TASKS[name].body).bind()


def test_a_needed_argument_may_go_without_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(OURS["run"], "body", lambda _c, **values: calls.append(values))
    OURS["run"](Context(), "make eval", t=True)
    assert (calls[0]["command"], calls[0]["terminate"], calls[0]["stop"]) == ("make eval", True, False)


@pytest.mark.parametrize(
    ("name", "args", "values", "says"),
    [
        ("run", (), {}, "`ec2tasks run` needs `command`"),
        ("run", ("a", "b"), {}, "2 values without a name"),
        ("down", (True,), {}, "1 values without a name"),
        ("run", ("a",), {"command": "b"}, "`command` twice"),
        ("run", (), {"command": ["make", "eval"]}, r"`command` takes a text, not \['make', 'eval'\]"),
        ("down", (), {"stpo": True}, "`ec2tasks down` has no option `stpo`; did you mean `stop`"),
        ("down", (), {"stop": "no"}, "`stop` takes True or False, not 'no'"),
        ("down", (), {"stop": True, "s": True}, "two names"),
    ],
)
def test_what_the_parser_would_refuse_is_refused(
    name: str, args: tuple[str, ...], values: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        OURS[name](Context(), *args, **values)


VALUES = st.none() | st.booleans() | st.text() | st.integers() | st.lists(st.text() | st.none())


@given(st.data())
def test_an_option_goes_by_any_of_its_names_and_takes_its_kind_alone(data: st.DataObject) -> None:
    found = OURS[data.draw(st.sampled_from(sorted(OURS)))]
    if not found.options:
        return
    option: Option = data.draw(st.sampled_from(found.options))
    name, value = data.draw(st.sampled_from(option.names)), data.draw(VALUES)
    name = data.draw(st.sampled_from([name, name.replace("_", "-")]))
    wrong = not option.setting and value is not None and not _is_of(option.kind, value)
    with pytest.raises(UsageError, match="takes") if wrong else contextlib.nullcontext():
        values = from_code({name: value}, found.options, caller="it")
        assert list(values) == ([] if value is None else [option.names[0]])
        assert option.kind is not list or all(isinstance(words, list) for words in values.values())


def _is_of(kind: type, value: object) -> bool:
    if kind is list:
        return isinstance(value, str) or (
            isinstance(value, list) and all(isinstance(word, str) for word in value)
        )
    return isinstance(value, kind)


EACH = """
import sys, traceback
from invoke import Collection, Exit, task
from ec2tasks import ec2

def walk(collection, prefix=""):
    for name, found in collection.tasks.items():
        yield prefix + name, found
    for name, inner in collection.collections.items():
        yield from walk(inner, prefix + name + ".")

@task
def each(c):
    for name, found in walk(ec2):
        if name.startswith("local."):
            continue
        values = {"run": {"command": "true"}, "make": {"targets": "eval"}}.get(name, {})
        if any("dry" in option.names for option in found.options):
            values["dry"] = True
        try:
            found(c, **values)
        except Exit:
            pass
        except BaseException:
            print("FELL", name, traceback.format_exc())
        else:
            print("DID", name)
"""


def test_every_task_can_be_called_by_python_code(local_project: ScratchProject) -> None:
    local_project.write("tasks.py", EACH)
    local_project.write("Makefile", "eval:\n\techo fine\n")
    said = local_project.call("inv", "each")
    assert said.code == 0, said.err
    assert "FELL" not in said.out
    did = {line.split()[1] for line in said.out.splitlines() if line.startswith("DID ")}
    assert did >= {"up", "run", "make", "shell", "notebook", "sync", "down", "status", "ls", "reap", "config"}


STORY = """
from invoke import call, task
from ec2tasks import ec2

up, run, down = (ec2.tasks[name] for name in ("up", "run", "down"))

@task(pre=[up], post=[down])
def train(c):
    run(c, command="echo fine > result", leave=True)

@task(pre=[call(up, idle_stop="1s")], post=[call(down, stop=True)])
def guarded(c):
    raise ValueError("the body fails")

@task(pre=[call(run, command="touch made", leave=True)], post=[call(down, stop=True)])
def kept(c):
    pass
"""


def test_a_story_of_pre_and_post_leaves_nothing(local_project: ScratchProject) -> None:
    local_project.write("tasks.py", STORY)
    said = local_project.call("inv", "train")
    assert said.code == 0, said.err
    assert local_project.read("result") == "fine\n"
    assert local_project.status() is None
    said = local_project.call("inv", "kept")
    assert said.code == 0, said.err
    assert (local_project.root / "made").exists()
    assert local_project.ec2tasks("status", "--json").out.count('"stopped"') >= 1
    local_project.ec2tasks("down")


@pytest.mark.long
def test_where_the_body_fails_the_guard_ends_what_post_would_have(local_project: ScratchProject) -> None:
    local_project.write("tasks.py", STORY)
    said = local_project.call("inv", "guarded")
    assert said.code == 1
    assert "the body fails" in said.err
    until(lambda: (local_project.status() or {}).get("state") == "stopped", "the guard stops it")
    local_project.ec2tasks("down")
