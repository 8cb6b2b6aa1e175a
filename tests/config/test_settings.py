from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.project import ScratchProject
from support.repository import REPO

from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import Project
from ec2tasks.cli.options import RUN_OPTIONS, as_typed
from ec2tasks.config.settings import Settings, read_settings

CASES = yaml.safe_load((REPO / "tests" / "cases" / "settings.yaml").read_text(encoding="utf-8"))

TYPED = {
    option.setting: as_typed(option.names[0])
    for option in RUN_OPTIONS
    if option.setting and option.names != ("I",)
}


def read(root: Path, environ: dict[str, str] | None = None, **options: object) -> Settings:
    environ = {"HOME": str(root / "nobody"), "USER": "kim", **(environ or {})}
    targets = options.pop("targets", ())
    assert isinstance(targets, tuple)
    project = Project(root=root, below=Path())
    return read_settings(project, options=options, typed=TYPED, targets=targets, environ=environ)


@pytest.mark.parametrize("case", CASES["good"], ids=lambda case: case["name"])
def test_a_value_and_its_source(case: dict[str, Any], tmp_path: Path) -> None:
    for name, text in case.get("files", {}).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    settings = read(
        tmp_path,
        case.get("environ"),
        targets=tuple(case.get("targets", ())),
        **case.get("options", {}),
    )
    for key, (value, source) in case["expect"].items():
        actual = getattr(settings, key)
        assert (list(actual) if isinstance(actual, tuple) else actual, str(settings.sources[key])) == (
            value,
            source,
        )


@pytest.mark.parametrize("case", CASES["bad"], ids=lambda case: case["name"])
def test_a_mistake_is_named_with_its_place(case: dict[str, Any], tmp_path: Path) -> None:
    for name, text in case.get("files", {}).items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        read(tmp_path, case.get("environ"), targets=tuple(case.get("targets", ())), **case.get("options", {}))
    assert all(word in caught.value.what for word in case["says"]), caught.value.what
    assert "\n" not in caught.value.what
    assert caught.value.code == 2


def test_who_asked_for_a_value(tmp_path: Path) -> None:
    (tmp_path / "ec2.yaml").write_text("idle_stop: 2 h\n")
    settings = read(tmp_path, max_hours="3 h")
    names = ("name", "pull_every", "idle_stop", "max_hours")
    assert [(settings.given(name), settings.by_option(name)) for name in names] == [
        (False, False),
        (False, False),
        (True, False),
        (True, True),
    ]


def test_config_shows_values_and_sources(project: ScratchProject) -> None:
    project.write("ec2.yaml", "region: eu-west-1\n")
    result = project.ec2tasks("config", "--type", "g5.xlarge", AWS_FINAL_STATE="stop")
    assert result.code == 0
    rows = {line.split()[0]: line for line in result.out.splitlines()}
    assert "eu-west-1" in rows["region"]
    assert rows["region"].endswith("ec2.yaml")
    assert rows["final_state"].endswith("environment AWS_FINAL_STATE")
    assert rows["instance_type"].endswith("option --type")
    assert rows["name"].split()[1] == "tester-shop"


def test_a_broken_file_is_one_line_and_exit_2(project: ScratchProject) -> None:
    project.write("ec2.yaml", "region: [\n")
    result = project.ec2tasks("run", "true")
    assert result.code == 2
    assert result.err.startswith("ec2tasks: ec2.yaml, line ")
    assert "Traceback" not in result.err


def test_invoke_s_own_settings_are_read_by_inv_too(project: ScratchProject) -> None:
    project.write("tasks.py", "from ec2tasks import ns\n")
    project.write("invoke.yaml", "ec2:\n  region: eu-west-3\n")
    result = project.call("inv", "ec2.config")
    assert result.code == 0
    line = next(line for line in result.out.splitlines() if line.startswith("region"))
    assert line.split() == ["region", "eu-west-3", "invoke.yaml,", "key", "`ec2`"]
