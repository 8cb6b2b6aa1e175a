"""The other ways in: `inv`, people's own tasks, and the files that `init` writes."""

from __future__ import annotations

import json

import pytest
from conftest import REPO, Shop


def test_inv_runs_the_same_tasks_from_one_import_line(local_shop: Shop) -> None:
    local_shop.write("tasks.py", "from ec2tasks import ns\n")
    local_shop.write("Makefile", "eval:\n\techo fine > result; exit 3\n")
    listed = local_shop.call("inv", "--list")
    assert "ec2.run" in listed.out
    assert "ec2.local.up" in listed.out
    helped = local_shop.call("inv", "--help", "ec2.run")
    assert "--no-rsync" in helped.out
    assert "push, run, pull" in helped.out
    said = local_shop.call("inv", "ec2.run", "--stop", "make eval")
    assert said.code == 2
    assert local_shop.read("result") == "fine\n"
    assert "stopped" in said.err


def test_the_collection_fits_into_an_existing_one(shop: Shop) -> None:
    shop.write(
        "tasks.py",
        "from invoke import Collection, task\nfrom ec2tasks import ec2\n"
        "@task\ndef hello(c):\n    print('hello')\n"
        "ns = Collection(hello, ec2)\nns.configure({'ec2': {'region': 'eu-west-2'}})\n",
    )
    assert shop.call("inv", "hello").out == "hello\n"
    said = shop.call("inv", "ec2.config", "--json")
    assert json.loads(said.out)["region"] == {"value": "eu-west-2", "source": "Invoke's configuration"}


def test_a_task_of_one_s_own_gets_a_fabric_connection(warm: Shop) -> None:
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


def test_a_connection_to_no_instance_says_how_to_get_one(local_shop: Shop) -> None:
    local_shop.write(
        "tasks.py",
        "from invoke import task\nfrom ec2tasks import connect\n"
        "@task\ndef who(c):\n    with connect(c) as there:\n        there.run('true')\n",
    )
    said = local_shop.call("inv", "who")
    assert said.code == 125
    assert "ec2tasks up" in said.err
    assert "Traceback" not in said.err


def test_init_writes_what_is_missing_and_nothing_over_anything(shop: Shop) -> None:
    shop.write("ec2.yaml", "region: eu-west-1\n")
    said = shop.ec2tasks("init")
    assert said.code == 0
    assert shop.read("ec2.yaml") == "region: eu-west-1\n"
    assert shop.read("Makefile.inc") == (REPO / "templates" / "Makefile.inc").read_text()
    assert ".venv" in shop.read(".rsyncignore")
    assert shop.call("inv", "--list").code == 0
    assert shop.ec2tasks("config").code == 0
    assert "kept ec2.yaml" in said.err
    assert shop.ec2tasks("init").err.count("kept") == 4


@pytest.mark.parametrize(
    "text", ["train:\n\t@echo trains", "train:\n\t@echo trains\n", "train:\n\t@echo trains\nX = 1 \\\n"]
)
def test_init_lets_the_makefile_include_it_once(text: str, shop: Shop) -> None:
    shop.write("Makefile", text)
    assert "added `include Makefile.inc`" in shop.ec2tasks("init").err
    changed = shop.read("Makefile")
    assert changed.startswith(text)
    assert shop.call("make", "train").out == "trains\n"
    assert "ec2tasks make" in shop.call("make", "-n", "on-ec2-train").out
    assert "it includes Makefile.inc" in shop.ec2tasks("init").err
    assert shop.read("Makefile") == changed


def test_makefile_prints_the_template(shop: Shop) -> None:
    assert shop.ec2tasks("makefile").out == (REPO / "templates" / "Makefile.inc").read_text()


def test_status_and_ls_as_data(warm: Shop) -> None:
    status = json.loads(warm.ec2tasks("status", "--json").out)
    listed = json.loads(warm.ec2tasks("ls", "--json").out)
    assert status["state"] == "running"
    assert status["id"] in {one["id"] for one in listed}
    everywhere = json.loads(warm.ec2tasks("ls", "--all-regions", "--json").out)
    assert status["id"] in {one["id"] for one in everywhere}
    assert status["id"] in warm.ec2tasks("status").out
