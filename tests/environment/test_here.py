from __future__ import annotations

import json
from pathlib import Path

import pytest

from ec2tasks.environment.here import asked_lines, environment_here, explicit_text, pinned_lines, pip_lines


def make(prefix: Path, *packages: str, installer: str = "uv") -> Path:
    for name in packages:
        info = prefix / "lib" / "python3.12" / "site-packages" / f"{name}.dist-info"
        info.mkdir(parents=True)
        (info / "INSTALLER").write_text(f"{installer}\n")
    (prefix / "pyvenv.cfg").write_text("")
    return prefix


def test_the_active_environment_comes_before_the_project_s(tmp_path: Path) -> None:
    make(tmp_path / ".venv", "numpy-1.0")
    active = make(tmp_path / "nlp", "numpy-2.0", "Zope.Interface-6.1", "torch-2.8.0+cpu", "pip-25.0")
    found = environment_here(
        tmp_path, {"VIRTUAL_ENV": str(active), "CONDA_PREFIX": "/c", "CONDA_DEFAULT_ENV": "c"}
    )
    assert found
    assert (found.active, found.python) == (True, "3.12")
    assert pinned_lines(found) == ["numpy==2.0", "torch==2.8.0", "zope-interface==6.1"]
    found = environment_here(tmp_path, {})
    assert found
    assert (found.active, pinned_lines(found)) == (False, ["numpy==1.0"])


def test_what_was_installed_from_a_folder_here_is_left_out(tmp_path: Path) -> None:
    make(tmp_path / ".venv", "mine-1.0", "numpy-1.0")
    (tmp_path / ".venv/lib/python3.12/site-packages/mine-1.0.dist-info/direct_url.json").write_text("{}")
    found = environment_here(tmp_path, {})
    assert found
    assert pinned_lines(found) == ["numpy==1.0"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"VIRTUAL_ENV": "/gone"},
        {"CONDA_PREFIX": "/c"},
        {"CONDA_PREFIX": "/c", "CONDA_DEFAULT_ENV": "base"},
    ],
)
def test_none_is_none(environ: dict[str, str], tmp_path: Path) -> None:
    assert environment_here(tmp_path, environ) is None


def test_conda_s_is_told_by_its_addresses_and_by_what_was_asked_for(tmp_path: Path) -> None:
    prefix = make(tmp_path, "numpy-2.0", installer="conda")
    make(tmp_path, "humanize-4.1")
    meta = tmp_path / "conda-meta"
    meta.mkdir()
    for name, md5 in (("python-3.12.1-h1_0", "ab"), ("numpy-2.0-py312_0", "")):
        (meta / f"{name}.json").write_text(
            json.dumps({"url": f"https://c/linux-64/{name}.conda", "md5": md5})
        )
    (meta / "history").write_text(
        "==> 2026-01-01 <==\n# update specs: ['python=3.12', \"conda-forge::numpy[version='>=2']\"]\n"
    )
    found = environment_here(tmp_path, {"CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": "nlp"})
    assert found
    assert (found.kind, found.builds) == ("conda", ("numpy-2.0-py312_0", "python-3.12.1-h1_0"))
    assert explicit_text(found).splitlines() == [
        "@EXPLICIT",
        "https://c/linux-64/numpy-2.0-py312_0.conda",
        "https://c/linux-64/python-3.12.1-h1_0.conda#ab",
    ]
    assert asked_lines(found) == ["numpy[version='>=2']", "python=3.12"]
    assert pip_lines(found) == ["humanize==4.1"]
