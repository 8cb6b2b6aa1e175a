"""`dataclasses.dataclass` for what is made a few times a call, without code that is compiled for each class.

That one writes and compiles six methods for a frozen class, half a millisecond for all: a run, with its
hundred classes, waited for that as long as for Invoke. Here all classes have the same ones. An instance takes
some microseconds more to make: what there are a hundred thousand of stays with `dataclasses`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, kw_only: bool, frozen: bool = False) -> Callable[[type[Any]], type[Any]]:
        """Make a class what `dataclasses` would, which type checkers take this for."""
        assert kw_only

        def made(cls: type[Any]) -> type[Any]:
            for method in (_init, _repr, _eq, *((_hash, _setattr, _delattr) if frozen else ())):
                setattr(cls, f"_{method.__name__}__", method)
            if not frozen:
                cls.__hash__ = None
            return dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)

        return made


def _init(self: Any, **given: Any) -> None:
    values = self.__dict__
    for field in dataclasses.fields(self):
        if field.name in given:
            values[field.name] = given.pop(field.name)
        elif field.default is not dataclasses.MISSING:
            values[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = field.default_factory()
        else:
            raise TypeError(f"{type(self).__name__} needs `{field.name}`")
    if given:
        raise TypeError(f"{type(self).__name__} has no field `{next(iter(given))}`")
    if hasattr(self, "__post_init__"):
        self.__post_init__()


def _repr(self: Any) -> str:
    shown = (field.name for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, field.name) for field in dataclasses.fields(self) if field.compare)


def _eq(self: Any, other: object) -> Any:
    return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _setattr(self: Any, name: str, value: object) -> None:  # noqa: ARG001  # Python's signature
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:  # noqa: ARG001
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
