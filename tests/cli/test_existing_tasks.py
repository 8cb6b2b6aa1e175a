"""What `init` says of a tasks.py that is there: with its lines `inv` finds both kinds of tasks."""

from __future__ import annotations

import re

import pytest
from support.project import ScratchProject
from support.repository import REPO

from ec2tasks.cli.existing_tasks import OWN_LINES, advice

TASK = "from invoke import Collection, task\n\n\n@task(aliases=['g'])\ndef gpu(c):\n    print('a GPU')\n"
GATHERED = ("from ec2tasks import ec2", "ns.add_collection(ec2)")
CASES = {
    TASK: OWN_LINES,
    "import invoke\n\n\n@invoke.task\ndef gpu(c):\n    print('a GPU')\n": OWN_LINES,
    f"{TASK}\n\nns = Collection(gpu)\n": GATHERED,
    f"{TASK}\n\nns: Collection = Collection(gpu)\n": GATHERED,
    f"{TASK}\n\nnamespace = Collection(gpu)\n": ("from ec2tasks import ec2", "namespace.add_collection(ec2)"),
    f"from ec2tasks import ec2\n{TASK}\nns = Collection(gpu, ec2)\n": (),
    f"from ec2tasks import with_ec2\nns = with_ec2(__name__)\n{TASK}": (),
    "from ec2tasks import ns\n": (),
    "from celery import Celery\n": (),
    "": (),
    "def (": OWN_LINES,
}


@pytest.mark.parametrize("text", CASES, ids=range(len(CASES)))
def test_which_lines_are_to_be_added(text: str) -> None:
    assert tuple(advice(text).lines) == tuple(CASES[text])


def test_a_task_that_the_import_of_ns_hides_is_named() -> None:
    found = advice(f"from ec2tasks import ns\n{TASK}")
    assert "does not find its own `gpu`" in found.what
    assert found.lines == OWN_LINES


@pytest.mark.long
@pytest.mark.parametrize("text", [text for text in CASES if "gpu" in text], ids=lambda text: str(len(text)))
@pytest.mark.parametrize("name", ["tasks.py", "tasks/__init__.py"])
def test_with_these_lines_inv_finds_both(text: str, name: str, project: ScratchProject) -> None:
    project.write(name, text)
    said = project.ec2tasks("init")
    assert said.code == 0
    assert project.read(name) == text
    assert f"kept {name} as it is: " in said.err
    assert (project.root / "tasks.py").exists() == (name == "tasks.py")
    lines = [line.strip() for line in said.err.splitlines() if line.startswith("    ")]
    project.write(name, "\n".join([text, *lines, ""]))
    listed = project.call("inv", "--list").out
    assert re.search(r"^  gpu\b", listed, re.MULTILINE)
    assert re.search(r"^  ec2\.run\b", listed, re.MULTILINE)
    assert project.call("inv", "gpu").out == "a GPU\n"


def test_the_file_of_init_finds_the_readme_s_task_before_and_behind_its_own_line(
    project: ScratchProject,
) -> None:
    page = (REPO / "README.md").read_text(encoding="utf-8")
    example = next(
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def gpu" in block
    )
    project.ec2tasks("init")
    text = project.read("tasks.py")
    for whole in (f"{text}\n{example}", f"{example}\n{text}"):
        project.write("tasks.py", whole)
        listed = project.call("inv", "--list").out
        assert re.search(r"^  gpu\b", listed, re.MULTILINE)
        assert re.search(r"^  ec2\.run\b", listed, re.MULTILINE)


def test_tasks_of_ec2_taken_to_be_called_are_not_listed_twice(project: ScratchProject) -> None:
    text = "from ec2tasks import ec2, with_ec2\nns = with_ec2(__name__)\n"
    taken = "up, down = (ec2.tasks[name] for name in ('up', 'down'))\n"
    project.write(
        "tasks.py", f"{text}{taken}{TASK}\n\n@task(default=True)\ndef first(c):\n    print('first')\n"
    )
    listed = project.call("inv", "--list").out
    assert not re.search(r"^  (up|down)\b", listed, re.MULTILINE)
    assert re.search(r"^  gpu \(g\)", listed, re.MULTILINE)
    assert project.call("inv").out == "first\n"
