from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from ec2tasks.base.dataclass import dataclass


def make(decorate: Callable[[type], type], name: str = "Place") -> Any:
    """A class of the same fields, by that decorator."""

    class Place:
        """Where something is."""

        zone: str
        tags: tuple[str, ...] = ("a",)
        seen: list[str] = dataclasses.field(default_factory=list, compare=False)
        secret: str = dataclasses.field(default="", repr=False)

        @property
        def region(self) -> str:
            return self.zone[:-1]

    Place.__qualname__ = name
    return decorate(Place)


OURS = make(dataclass(frozen=True, kw_only=True))
THEIRS = make(dataclasses.dataclass(frozen=True, kw_only=True))
GIVEN: list[dict[str, Any]] = [
    {"zone": "a"},
    {"zone": "a", "tags": ()},
    {"tags": ("b",), "zone": "b", "secret": "x"},
    {"zone": "a", "seen": ["now"]},
]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One that pickle finds by its name."""

    name: str
    lines: tuple[str, ...] = ()


@pytest.mark.parametrize("given", GIVEN)
def test_it_holds_and_shows_what_a_dataclass_does(given: dict[str, Any]) -> None:
    ours, theirs = OURS(**given), THEIRS(**given)
    assert repr(ours) == repr(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert list(vars(ours)) == list(vars(theirs))
    assert repr(dataclasses.replace(ours, zone="z")) == repr(dataclasses.replace(theirs, zone="z"))
    assert ours.region == theirs.region


def test_two_are_equal_where_two_of_a_dataclass_are() -> None:
    def pairs(kind: Any) -> list[tuple[bool, bool]]:
        made = [kind(**given) for given in GIVEN]
        return [(one == other, hash(one) == hash(other)) for one in made for other in made]

    assert pairs(OURS) == pairs(THEIRS)
    assert OURS(zone="a") != THEIRS(zone="a")
    assert OURS(zone="a").seen is not OURS(zone="a").seen


def test_nothing_of_it_can_be_changed() -> None:
    one = OURS(zone="a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="zone"):
        one.zone = "b"
    with pytest.raises(dataclasses.FrozenInstanceError, match="zone"):
        del one.zone
    assert one == OURS(zone="a")


@pytest.mark.parametrize("given", [{}, {"zone": "a", "zoen": "b"}, {"tags": ()}])
def test_a_field_that_lacks_or_is_none_is_an_error(given: dict[str, Any]) -> None:
    for kind in (OURS, THEIRS):
        with pytest.raises(TypeError, match=r"Place.*(zone|zoen)"):
            kind(**given)


def test_one_that_is_not_frozen_changes_and_has_no_hash() -> None:
    one, same = (make(dataclass(kw_only=True))(zone="a") for _ in range(2))
    one.zone = "b"
    assert one.zone == "b"
    assert one != same
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_what_looks_at_its_fields_first_does() -> None:
    class Counted:
        text: str

        def __post_init__(self) -> None:
            self.length = len(self.text)

    assert dataclass(kw_only=True)(Counted)(text="four").length == 4  # type: ignore[call-arg]


def test_it_can_be_copied_and_pickled() -> None:
    one = Kept(name="a", lines=("b",))
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == copy.copy(one) == one  # noqa: S301
