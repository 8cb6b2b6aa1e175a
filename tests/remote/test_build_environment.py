"""Where the builder decides: what uv's refusal names, what is the image's, which environments stay."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.repository import REPO
from support.waiting import until

from ec2tasks.remote import build_environment, build_packages
from ec2tasks.remote.environment import MODULES

REFUSAL = """\
  x No solution found when resolving dependencies:
  ╰─▶ Because there is no version of
      lightning==7.7 and you require lightning, we can conclude that plain==1.0.1 is of no use.
"""


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (["lightning==7.7"], ["lightning==7.7"]),
        (["Lightning==7.7", "numpy==1"], ["Lightning==7.7"]),
        (["plain==1.0", "ightning==7.7", "lightning==7"], []),
        (["plain==1.0.1"], ["plain==1.0.1"]),
        ([], []),
    ],
)
def test_only_what_a_refusal_names_is_dropped(lines: list[str], named: list[str]) -> None:
    assert build_packages.named_in(REFUSAL, lines) == named


def test_the_image_s_torch_is_its_family_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_packages, "IMAGE", tmp_path)
    site = tmp_path / "lib" / "python3.12" / "site-packages"
    for name in ("torchvision-0.27.0", "nvidia_cublas_cu13-13.1", "numpy-2.0"):
        (site / f"{name}.dist-info").mkdir(parents=True)
    assert build_packages.image_torch() == {}
    (site / "torch-2.12.0+cu130.dist-info").mkdir()
    assert build_packages.image_torch() == {
        "torch": "2.12.0+cu130",
        "torchvision": "0.27.0",
        "nvidia-cublas-cu13": "13.1",
    }


def test_three_are_kept_and_what_runs_or_is_being_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_environment, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(build_environment, "in_use", lambda place: place.name == "running")
    for age, name in enumerate(("new", "second", "third", "fourth", "running", "built", "oldest")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "used").touch()
        os.utime(tmp_path / name / "used", (1000 - age, 1000 - age))
    with build_environment.locked("built"):
        build_environment.tidy("oldest")
    left = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert left == {"oldest", "new", "second", "running", "built"}


def test_an_environment_that_a_process_has_is_in_use(tmp_path: Path) -> None:
    assert not build_environment.in_use(tmp_path)
    with subprocess.Popen(
        ["sleep", "60"], env={"PATH": "/usr/bin:/bin", "VIRTUAL_ENV": f"{tmp_path}/venv"}
    ) as one:
        try:
            until(lambda: build_environment.in_use(tmp_path), "the process to have it")
        finally:
            one.kill()


def test_what_goes_to_an_instance_needs_nothing_but_its_python() -> None:
    for name in MODULES:
        tree = ast.parse((REPO / "ec2tasks" / "remote" / f"{name}.py").read_text(encoding="utf-8"))
        ast.parse(ast.unparse(tree), feature_version=(3, 9))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in imports:
            names = [node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            for one in names:
                assert str(one).removeprefix("ec2tasks.remote.") in MODULES or str(one).split(".")[0] in (
                    sys.stdlib_module_names
                ), one
