"""What people install: the wheel, and the oldest versions of everything it stands on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.project import ScratchProject
from support.repository import REPO

pytestmark = pytest.mark.slow


def run(*argv: str, environ: Mapping[str, str], cwd: Path = REPO) -> str:
    done = subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    argv = [sys.executable, "-m", "build", "--wheel", "--installer", "uv", "--outdir", str(folder), str(REPO)]
    subprocess.run(argv, check=True, capture_output=True, timeout=240)
    return next(folder.glob("*.whl"))


def install(where: Path, environ: Mapping[str, str], *words: str) -> dict[str, str]:
    """A new environment with these packages; the environment variables of one who uses it."""
    run("uv", "venv", "-q", "--python", sys.executable, str(where), environ=environ)
    run("uv", "pip", "install", "-q", "--python", str(where / "bin" / "python"), *words, environ=environ)
    # `build` of this test run's own environment must not be found in its stead.
    return {**environ, "PATH": f"{where / 'bin'}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}


def test_an_installed_wheel_has_all_it_needs(wheel: Path, project: ScratchProject, tmp_path: Path) -> None:
    project.environ = install(tmp_path / "venv", project.environ, str(wheel))
    assert project.ec2tasks("--version").out.startswith("ec2tasks ")
    assert project.ec2tasks("makefile").out == (REPO / "templates" / "Makefile.inc").read_text()
    assert project.ec2tasks("init", "--agents").code == 0
    page = "from ec2tasks.records.page import page; assert 'figure' in page('x', version='1')"
    assert project.call("python", "-c", page).code == 0
    assert project.call("inv", "ec2.config").code == 0
    project.write("Makefile", "train:\n\techo x\ninclude Makefile.inc\n")
    assert "ec2tasks make" in project.call("make", "-n", "on-ec2-train").out
    # Without the extra, the local EC2 says what to install.
    said = project.ec2tasks("run", "--local", "true")
    assert said.code == 125
    assert "ec2tasks[local]" in said.err
    assert "Traceback" not in said.err


@pytest.mark.long
def test_the_lowest_versions_that_are_promised_do(
    wheel: Path, local_project: ScratchProject, tmp_path: Path
) -> None:
    """The client of the oldest versions, against the local EC2 that this test run has started."""
    local_project.ec2tasks("local.up")
    words = ["--resolution", "lowest-direct", f"{wheel}[local]"]
    local_project.environ = install(tmp_path / "venv", local_project.environ, *words)
    said = local_project.ec2tasks("run", "echo ran > result; exit 7")
    assert said.code == 7, said.err
    assert local_project.read("result") == "ran\n"
    assert "ec2.run" not in local_project.ec2tasks("--list").out
