from __future__ import annotations

import pytest

from ec2tasks.environment.pyproject import Pyproject, read_pyproject


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, Pyproject()),
        ("[tool.black]\n", Pyproject()),
        ("not toml", Pyproject()),
        ("project = 5\n", Pyproject()),
        ("[project]\ndynamic = 5\n", Pyproject()),
        (f"project = {'[' * 3000}", Pyproject()),
        (f'[project]\nrequires-python = "^{"9" * 5000}"\n', Pyproject(python=f"^{'9' * 5000}")),
        ("[project]\ndependencies = []\n", Pyproject(depends=True)),
        ('[project]\ndynamic = ["dependencies"]\n[build-system]\n', Pyproject(depends=True, package=True)),
        (
            "[project]\ndependencies = []\n[build-system]\n[tool.uv]\npackage = false\n",
            Pyproject(depends=True),
        ),
        (
            '[tool.poetry]\nname = "a"\n[tool.poetry.dependencies]\npython = "^3.10"\n[build-system]\n',
            Pyproject(depends=True, package=True, python=">=3.10,<4"),
        ),
        ('[tool.poetry.dependencies]\npython = "~3.10"\n', Pyproject(python=">=3.10,<3.11")),
        ("[tool.poetry]\npackage-mode = false\n[build-system]\n", Pyproject()),
        ('[project]\nrequires-python = ">=3.9"\n', Pyproject(python=">=3.9")),
        ("[dependency-groups]\ndev = []\n", Pyproject(dev=True)),
    ],
)
def test_what_counts(text: str | None, expected: Pyproject) -> None:
    assert read_pyproject(text) == expected
