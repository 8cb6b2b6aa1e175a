"""Keeps the launches that this machine has begun and nobody got on yet, each written before AWS is asked.

A client may die, or lose AWS's answer, between the request and the first command. What stands here lets the
next one ask with the same token, so that AWS launches nothing twice, and lets `reap` tell an instance that
nobody ever got on from one that is in use. It decides nothing about what exists: that is AWS's to say.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.state import State, write_atomically
from ec2tasks.base.writable import writing

# A lost launch shows in AWS's lists long before; until then its token is asked with again. AWS says of
# tokens only that they are kept for some time: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
TOKEN_LIFE = 3600.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a launch is for: an owner's instance of that name in a region; `key` is unique on this machine."""

    key: str
    account: str
    region: str
    owner: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A launch that was begun (seconds since the epoch) and that no client has got on yet.

    `prices` are those that it was begun with: they stand in the request, and AWS may tell others meanwhile.
    """

    place: Place
    nonce: str
    began: float
    prices: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def token(self, request: Mapping[str, Any]) -> str:
        """The client token of a request: equal requests get the same, different ones a different one.

        AWS refuses a token that comes with other parameters than before, and takes 64 characters at most.
        """
        text = json.dumps({**request, "ClientToken": ""}, sort_keys=True, default=str)
        return f"{self.nonce}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"

    def is_old(self, clock: Callable[[], float] = time.time) -> bool:
        """Whether its token is too old to be used again, or from the future, which a wrong clock wrote."""
        return not 0 <= clock() - self.began < TOKEN_LIFE

    def asked_for(self, token: str) -> bool:
        """Whether an instance with this token comes from this launch."""
        return token.startswith(f"{self.nonce}-")


def begin(
    state: State,
    place: Place,
    *,
    prices: Mapping[str, Sequence[float]] | None = None,
    anew: bool = False,
    clock: Callable[[], float] = time.time,
) -> Entry:
    """The entry for this place, where it is young enough, else a new one with these prices.

    It is on the disk before this returns. With `anew` it is a new one in any case.
    """
    known = read(state, place.key)
    if known and not anew and not known.is_old(clock):
        return known
    entry = Entry(place=place, nonce=secrets.token_hex(16), began=clock(), prices=prices or {})
    write_atomically(_folder(state) / place.key, json.dumps(asdict(entry)), durable=True)
    return entry


def read(state: State, key: str) -> Entry | None:
    """The entry under this key; None where there is none, or none that can be read."""
    try:
        values = json.loads((_folder(state) / key).read_text(encoding="utf-8"))
        return Entry(**{**values, "place": Place(**values["place"]), "began": float(values["began"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def finish(state: State, key: str) -> None:
    """Remove a launch: somebody got on its instance, or it has come to nothing."""
    with contextlib.suppress(FileNotFoundError):
        (_folder(state) / key).unlink()


def entries(state: State) -> list[Entry]:
    """All launches that are written down here, oldest first."""
    names = (path.name for path in _folder(state).iterdir() if not path.name.startswith("."))
    return sorted((entry for name in names if (entry := read(state, name))), key=lambda entry: entry.began)


def sweep(state: State, clock: Callable[[], float] = time.time) -> None:
    """Remove the drafts of clients that died while they wrote here."""
    for draft in _folder(state).glob(".*"):
        with contextlib.suppress(FileNotFoundError):
            if clock() - draft.stat().st_mtime > TOKEN_LIFE:
                draft.unlink()


def _folder(state: State) -> Path:
    folder = state.folder / "launches"
    with writing(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder
