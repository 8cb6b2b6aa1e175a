"""The examples beside examples/project: each runs on an instance, in its packages, by its Makefile."""

from __future__ import annotations

import re
import shutil

import pytest
from support.local_ec2 import instance_home
from support.micromamba import give_micromamba
from support.project import ScratchProject
from support.repository import REPO

EXAMPLES = REPO / "examples"
NAMES = ("uv", "conda", "notebook", "sweep")


@pytest.mark.parametrize("name", NAMES)
def test_no_makefile_knows_of_ec2(name: str) -> None:
    text = (EXAMPLES / name / "Makefile").read_text(encoding="utf-8")
    rules = re.sub(r"^#.*$", "", text, flags=re.MULTILINE).replace("include Makefile.inc", "")
    assert "ec2" not in rules.lower()
    template = (REPO / "templates" / "Makefile.inc").read_text(encoding="utf-8")
    assert (EXAMPLES / name / "Makefile.inc").read_text(encoding="utf-8") == template


@pytest.fixture
def example(request: pytest.FixtureRequest, local_project: ScratchProject) -> ScratchProject:
    """A copy of an example, its instance up."""
    shutil.rmtree(local_project.root)
    shutil.copytree(EXAMPLES / request.param, local_project.root)
    local_project.environ["EC2_FINAL_STATE"] = "leave"
    up = local_project.ec2tasks("up")
    assert up.code == 0, up.err
    return local_project


@pytest.mark.long
@pytest.mark.parametrize("example", ["uv"], indirect=True)
def test_uv(example: ScratchProject) -> None:
    said = example.call("make", "on-ec2-report")
    assert said.code == 0, said.err
    assert "1.0 trillion" in example.read("out/report.txt")
    assert re.search(r"on ip-[\d-]+$", example.read("out/report.txt"), re.MULTILINE)
    assert "environment: pyproject.toml, Python 3" in said.err
    example.write("report.py", example.read("report.py") + "# changed\n")
    again = example.call("make", "on-ec2-report")
    assert "environment: uv.lock, Python 3" in again.err


@pytest.mark.long
@pytest.mark.parametrize("example", ["conda"], indirect=True)
def test_conda(example: ScratchProject) -> None:
    give_micromamba(instance_home(example))
    said = example.call("make", "on-ec2-means")
    assert said.code == 0, said.err
    assert re.search(r"^height +1\.7$", said.out, re.MULTILINE)
    assert "environment: environment.yml, Python 3.12" in said.err
    prefix = example.ec2tasks("run", "--leave", "echo $CONDA_PREFIX $CONDA_DEFAULT_ENV").out
    assert re.fullmatch(r"/home/ubuntu/\.ec2tasks/env/\w+/conda shop\n", prefix)


@pytest.mark.long
@pytest.mark.parametrize("example", ["notebook"], indirect=True)
def test_notebook(example: ScratchProject) -> None:
    said = example.call("make", "on-ec2-run")
    assert said.code == 0, said.err
    assert "0.5" in example.read("waves.ipynb")


@pytest.mark.long
def test_sweep(local_project: ScratchProject) -> None:
    shutil.rmtree(local_project.root)
    shutil.copytree(EXAMPLES / "sweep", local_project.root)
    said = local_project.call("make", "-j3", "on-each-ec2-sweep")
    assert said.code == 0, said.err
    assert "6 of 6 variants made, on 3 machines" in said.err
    steps = sorted(line.split(",")[0] for line in local_project.read("results.csv").splitlines())
    assert steps == ["0.001", "0.01", "0.1", "0.3", "0.5", "1.1"]
