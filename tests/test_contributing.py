"""CONTRIBUTING.md is a map: its packages are those of the imports' order, and each file it names is there."""

from __future__ import annotations

import re

import pytest
from support.repository import REPO
from test_imports import MODULES, PACKAGES

PAGE = (REPO / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROOTS = ("ec2tasks", "tests", "docs", "templates", "scripts")


def paths() -> set[str]:
    """Every path in the page: from the top of the repository, or from the package."""
    return set(re.findall(r"[\w.-]+(?:/[\w.-]+)+\.(?:py|sh|md|yaml|inc|json)\b", PAGE))


def test_the_map_has_the_packages_in_the_order_of_their_imports() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == PACKAGES


@pytest.mark.parametrize("path", sorted(paths()))
def test_a_file_that_is_named_is_there(path: str) -> None:
    base = REPO if path.split("/")[0] in ROOTS else REPO / "ec2tasks"
    assert (base / path).is_file()


def test_every_package_says_what_it_is_on_its_first_page() -> None:
    for package in PACKAGES:
        page = (REPO / "ec2tasks" / package / "__init__.py").read_text(encoding="utf-8")
        assert page.startswith('"""'), package
        assert not re.search(r"^(?:from|import) (?!__future__)", page, re.MULTILINE), package


def test_every_module_says_what_it_does() -> None:
    for module, path in MODULES.items():
        assert path.read_text(encoding="utf-8").startswith('"""'), module
