"""The other ways in: `inv`, people's own tasks, and the files that `init` writes."""

from __future__ import annotations

import json

import pytest
from support.project import ScratchProject
from support.repository import REPO


def test_inv_runs_the_same_tasks_from_one_import_line(local_project: ScratchProject) -> None:
    local_project.write("tasks.py", "from ec2tasks import ns\n")
    local_project.write("Makefile", "eval:\n\techo fine > result; exit 3\n")
    listed = local_project.call("inv", "--list")
    assert "ec2.run" in listed.out
    assert "ec2.local.up" in listed.out
    helped = local_project.call("inv", "--help", "ec2.run")
    assert "--no-rsync" in helped.out
    assert "push, run, pull" in helped.out
    said = local_project.call("inv", "ec2.run", "--stop", "make eval")
    assert said.code == 2
    assert local_project.read("result") == "fine\n"
    assert "stopped" in said.err


def test_the_collection_fits_into_an_existing_one(project: ScratchProject) -> None:
    project.write(
        "tasks.py",
        "from invoke import Collection, task\nfrom ec2tasks import ec2\n"
        "@task\ndef hello(c):\n    print('hello')\n"
        "ns = Collection(hello, ec2)\nns.configure({'ec2': {'region': 'eu-west-2'}})\n",
    )
    assert project.call("inv", "hello").out == "hello\n"
    said = project.call("inv", "ec2.config", "--json")
    assert json.loads(said.out)["region"] == {"value": "eu-west-2", "source": "Invoke's configuration"}


def test_a_task_of_one_s_own_gets_a_fabric_connection(warm: ScratchProject) -> None:
    warm.write(
        "tasks.py",
        "from invoke import task\nfrom ec2tasks import connect\n"
        "@task\ndef who(c):\n"
        "    with connect(c) as there:\n"
        "        print(there.run('hostname', hide=True).stdout.strip(), there.user)\n",
    )
    said = warm.call("inv", "who")
    (warm.root / "tasks.py").unlink()
    assert said.code == 0, said.err
    assert said.out.split()[1] == "ubuntu"
    assert said.out.split()[0] == warm.ec2tasks("run", "hostname").out.strip()


def test_a_connection_to_no_instance_says_how_to_get_one(local_project: ScratchProject) -> None:
    local_project.write(
        "tasks.py",
        "from invoke import task\nfrom ec2tasks import connect\n"
        "@task\ndef who(c):\n    with connect(c) as there:\n        there.run('true')\n",
    )
    said = local_project.call("inv", "who")
    assert said.code == 125
    assert "ec2tasks up" in said.err
    assert "Traceback" not in said.err


def test_init_writes_what_is_missing_and_nothing_over_anything(project: ScratchProject) -> None:
    project.write("ec2.yaml", "region: eu-west-1\n")
    said = project.ec2tasks("init")
    assert said.code == 0
    assert project.read("ec2.yaml") == "region: eu-west-1\n"
    assert project.read("Makefile.inc") == (REPO / "templates" / "Makefile.inc").read_text()
    assert ".venv" in project.read(".rsyncignore")
    assert project.call("inv", "--list").code == 0
    assert project.ec2tasks("config").code == 0
    assert "kept ec2.yaml" in said.err
    assert project.ec2tasks("init").err.count("kept") == 4


@pytest.mark.parametrize(
    "text", ["train:\n\t@echo trains", "train:\n\t@echo trains\n", "train:\n\t@echo trains\nX = 1 \\\n"]
)
def test_init_lets_the_makefile_include_it_once(text: str, project: ScratchProject) -> None:
    project.write("Makefile", text)
    assert "added `include Makefile.inc`" in project.ec2tasks("init").err
    changed = project.read("Makefile")
    assert changed.startswith(text)
    assert project.call("make", "train").out == "trains\n"
    assert "ec2tasks make" in project.call("make", "-n", "on-ec2-train").out
    assert "it includes Makefile.inc" in project.ec2tasks("init").err
    assert project.read("Makefile") == changed


def test_makefile_prints_the_template(project: ScratchProject) -> None:
    assert project.ec2tasks("makefile").out == (REPO / "templates" / "Makefile.inc").read_text()


def test_status_and_ls_as_data(warm: ScratchProject) -> None:
    status = json.loads(warm.ec2tasks("status", "--json").out)
    listed = json.loads(warm.ec2tasks("ls", "--json").out)
    assert status["state"] == "running"
    assert status["id"] in {one["id"] for one in listed}
    everywhere = json.loads(warm.ec2tasks("ls", "--all-regions", "--json").out)
    assert status["id"] in {one["id"] for one in everywhere}
    assert status["id"] in warm.ec2tasks("status").out
