"""What the project here and an instance last agreed on, kept in .ec2tasks/.

A small SQLite database for each folder on an instance: of a hundred thousand paths, only what is asked for
is read, and only what changed is written, all of it or nothing. It says what was so, and of what is planned
only what is about to be sent: after a crash at any moment it is at worst older than the files, and what both
sides show alike, or stands there as it was to be sent, is settled again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import OWN_FOLDER
from ec2tasks.sync.entries import NOTHING, Entry, Pair, settled

VERSION = 2
KEPT = 20  # folders there whose manifest is kept

SCHEMA = """
BEGIN;
DROP TABLE IF EXISTS kept;
DROP TABLE IF EXISTS settled;
DROP TABLE IF EXISTS sending;
CREATE TABLE kept (filters TEXT NOT NULL, moving INTEGER NOT NULL);
CREATE TABLE settled (
    path BLOB PRIMARY KEY, kind TEXT, mode INTEGER, size INTEGER, mtime INTEGER, target BLOB, there TEXT
) WITHOUT ROWID;
CREATE TABLE sending (path BLOB PRIMARY KEY, entry TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO kept VALUES ('{filters}', 1);
PRAGMA user_version = {version};
COMMIT;
"""
ALL = "SELECT path, kind, mode, size, mtime, target, there FROM settled"
SAME = ""  # what `there` says where it is as here


class DamagedError(Failure):
    """What was kept can't be read and is thrown away: the same can be begun anew without it."""


class Base:
    """What both sides were last settled on, by path.

    `complete`: every path on both sides is recorded. False on first use, after an interrupted transfer, or
    when ignore patterns changed.

    Where the database turns out to be damaged, each method that uses it raises DamagedError.
    """

    def __init__(self, database: sqlite3.Connection | None = None, *, complete: bool = False) -> None:
        self.database = database
        self.complete = complete
        self.moving = False
        self.noted = database is not None and bool(self._note("SELECT path FROM sending LIMIT 1"))
        self.changed: dict[str, Pair] = {}

    def __getitem__(self, path: str) -> Pair:
        if path in self.changed:
            return self.changed[path]
        for _, pair in self._pairs(f"{ALL} WHERE path = ?", _blob(path)):
            return pair
        return NOTHING

    def known(self, path: str, there: Entry | None) -> Pair:
        """What a path was settled on; where a sync that was cut off has sent what stands there, on that."""
        if self.noted and there is not None and path not in self.changed:
            note = self._note("SELECT entry FROM sending WHERE path = ?", _blob(path))
            return settled(there) if note == json.dumps(there) else self[path]
        return self[path]

    def _note(self, question: str, *values: bytes) -> object:
        with _guarded():
            return next((row[0] for row in self._rows(question, *values)), None)

    def settle(self, path: str, pair: Pair) -> None:
        """Settle a path; on nothing on both sides, forget it."""
        if self[path] != pair:
            self.changed[path] = pair

    def settle_new(self, entries: Iterable[tuple[str, Entry]]) -> None:
        """Settle paths of which nothing was known yet."""
        self.changed.update((path, settled(entry)) for path, entry in entries)

    def __iter__(self) -> Iterator[tuple[str, Pair]]:
        """What was kept, as far as it has not been settled anew."""
        return ((path, pair) for path, pair in self._pairs(ALL) if path not in self.changed)

    def _pairs(self, question: str, *values: bytes) -> Iterator[tuple[str, Pair]]:
        with _guarded():
            for path, *row in self._rows(question, *values):
                yield path.decode("utf-8", "surrogateescape"), _pair(*row)

    def _rows(self, question: str, *values: bytes) -> Iterable[tuple[Any, ...]]:
        with _guarded():
            return self.database.execute(question, values) if self.database is not None else ()

    def note(self, sending: Iterable[tuple[str, Entry]]) -> None:
        """Keep what is about to be sent, and that what is kept may fall behind the files. Raises Failure."""
        notes = [(_blob(path), json.dumps(entry)) for path, entry in sending]
        with self._writing() as database:
            database.executemany("INSERT OR REPLACE INTO sending VALUES (?, ?)", notes)
            database.execute("UPDATE kept SET moving = 1")
        self.moving = True

    def save(self, *, whole: bool) -> None:
        """Keep what was settled. `whole`: nothing that moved is missing from it. Raises Failure."""
        if self.changed or (whole and (self.moving or not self.complete)):
            rows = [(_blob(path), *_row(pair)) for path, pair in self.changed.items() if pair != NOTHING]
            gone = [(_blob(path),) for path, pair in self.changed.items() if pair == NOTHING]
            with self._writing() as database:
                database.executemany("INSERT OR REPLACE INTO settled VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                database.executemany("DELETE FROM settled WHERE path = ?", gone)
                if whole:
                    database.execute("UPDATE kept SET moving = 0")
                    database.execute("DELETE FROM sending")
            self.changed = {}

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        assert self.database is not None
        with _guarded(), self.database:
            yield self.database


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Tell a database that can't be used now from one that is damaged, in its pages or in its values."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Failure(
            f"what was settled could not be read or kept in `{OWN_FOLDER}/`: {error}",
            hint="free some space; the files that moved are in place, the next sync goes on from there",
        ) from error
    except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"what was settled is damaged: {error}", hint="the same command once more"
        ) from error


def _blob(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _row(pair: Pair) -> tuple[object, ...]:
    here = pair.here
    entry = (None,) * len(Entry._fields) if here is None else (*here[:-1], _blob(here.target))
    same = pair.there == here and not pair.apart
    return (*entry, SAME if same else json.dumps([pair.there, pair.apart]))


def _pair(kind: str | None, mode: int, size: int, mtime: int, target: bytes, there: str) -> Pair:
    here = Entry(kind, mode, size, mtime, target.decode("utf-8", "surrogateescape")) if kind else None
    if there == SAME:
        return Pair(here, here)
    found, apart = json.loads(there)
    return Pair(here, Entry(*found) if found else None, apart)


def digest_of(filters: Sequence[str]) -> str:
    """What stands for the paths that these options of rsync ignore."""
    ignore_file = next((one.partition("=")[2] for one in filters if one.startswith("--exclude-from=")), None)
    text = Path(ignore_file).read_bytes() if ignore_file else b""
    return hashlib.sha256("\0".join(filters).encode("utf-8", "surrogateescape") + text).hexdigest()[:16]


@contextlib.contextmanager
def kept(
    root: Path, instance_id: str, folder: str, filters: Sequence[str], *, forget: bool
) -> Iterator[Base]:
    """What was last agreed on with that absolute folder there; nothing where that is to be forgotten.

    What is settled inside is kept, also where it ends in a failure. Raises Failure where it can't be, and
    DamagedError.
    """
    key = hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    path = root / OWN_FOLDER / "synced" / f"{instance_id}-{key}.db"
    try:
        path.parent.mkdir(exist_ok=True)
        if forget:
            _throw_away(path)
        base = _opened(path, digest_of(filters))
    except (OSError, sqlite3.Error) as error:
        raise Failure(
            f"`{path}` can't be used: {error}", hint="check the folder's rights and the disk"
        ) from error
    assert base.database is not None
    with contextlib.closing(base.database):
        try:
            yield base
            base.save(whole=True)
        except DamagedError:
            _say_damaged(path)
            raise
        except BaseException:
            try:
                base.save(whole=False)
            except DamagedError:
                _say_damaged(path)
            raise


def _say_damaged(path: Path) -> None:
    output.warning(f"`{path}` can't be read: both sides are compared by content instead")
    _throw_away(path)


def _throw_away(path: Path) -> None:
    for one in (path, path.with_name(f"{path.name}-journal")):
        one.unlink(missing_ok=True)


def _opened(path: Path, filters: str) -> Base:
    known = path.exists()
    try:
        return _read(path, filters)
    except (sqlite3.DatabaseError, DamagedError) as error:
        if not known or isinstance(error, sqlite3.OperationalError):
            raise  # it is busy, or can't be written: no reason to throw it away
        _say_damaged(path)
        return _read(path, filters)


def _read(path: Path, filters: str) -> Base:
    # More than one thread reads; our own lock keeps other processes away.
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA synchronous = NORMAL")
        if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            database.executescript(SCHEMA.format(filters=filters, version=VERSION))
            prune(path.parent)
        row = database.execute("SELECT filters, moving FROM kept").fetchone()
        if row is None:
            raise sqlite3.DatabaseError("it holds nothing")
        before, moving = row
        if before != filters:
            database.execute("UPDATE kept SET filters = ?, moving = 1", (filters,))
            database.commit()
        return Base(database, complete=before == filters and not moving)
    except BaseException:
        database.close()
        raise


def prune(folder: Path) -> None:
    """Keep the manifests used last only: most instances are gone for good."""
    found = sorted(folder.glob("*.db"), key=lambda one: one.stat().st_mtime)
    for old in found[:-KEPT]:
        old.unlink(missing_ok=True)
