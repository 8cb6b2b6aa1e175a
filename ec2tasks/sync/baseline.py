"""The baseline: what both sides of a project were when they were last in sync, kept in .ec2tasks/.

A small SQLite database for each folder on an instance: of a hundred thousand paths, only what is asked for
is read, and only what changed is written, all of it or nothing. It says what was so, and of what is planned
only what is about to be sent: after a crash at any moment it is at worst older than the files, and what is
the same on both sides, or stands on the instance as it was to be sent, is recorded again.
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
from ec2tasks.sync.entries import KINDS, NOTHING, Entry, Pair, same_on_both

VERSION = 3
MOST_KEPT = 20  # baselines; the least recently used go

SCHEMA = """
BEGIN;
DROP TABLE IF EXISTS kept;
DROP TABLE IF EXISTS settled;
DROP TABLE IF EXISTS sending;
DROP TABLE IF EXISTS noted;
CREATE TABLE kept (filters TEXT NOT NULL, moving INTEGER NOT NULL, seen TEXT NOT NULL);
CREATE TABLE noted (kind TEXT NOT NULL, path BLOB NOT NULL, value BLOB NOT NULL);
CREATE TABLE settled (
    path BLOB PRIMARY KEY, kind TEXT, mode INTEGER, size INTEGER, mtime INTEGER, target BLOB, there TEXT
) WITHOUT ROWID;
CREATE TABLE sending (path BLOB PRIMARY KEY, entry TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO kept VALUES ('{filters}', 1, '');
PRAGMA user_version = {version};
COMMIT;
"""
ALL = "SELECT path, kind, mode, size, mtime, target, there FROM settled"
AT_ONCE = 500  # paths in one question; SQLite takes no more than 999 values everywhere
SAME = ""  # the column `there` where the remote entry is the local one


class DamagedError(Failure):
    """The baseline can't be read and was deleted: the same operation can begin anew without it."""


class Baseline:
    """The pair on which both sides were last in sync, by path.

    `complete`: every path on both sides is recorded. False on first use, after an interrupted transfer, or
    when ignore patterns changed.

    `seen`: the instance's time up to which its changes are known, but for those of the paths in `doubtful`,
    whose size and time are as recorded though their content may not be; `ours`: what the last push has put
    there, with the time of that. `environments`: the folders on either side that never move. `behind`: the
    folders behind links there, each with its inode.

    Where the database turns out to be damaged, each method that uses it raises DamagedError.
    """

    def __init__(self, database: sqlite3.Connection | None = None, *, complete: bool = False) -> None:
        self.database = database
        self.complete = complete
        self.transferring = False
        self.interrupted = database is not None and bool(self._value("SELECT path FROM sending LIMIT 1"))
        self.recorded: dict[str, Pair] = {}
        self._read: dict[str, Pair] = {}
        self.seen = str(self._value("SELECT seen FROM kept") or "")
        self.doubtful = set(self._noted("doubtful"))
        self.environments = set(self._noted("environment"))
        self.ours = self._noted("ours")
        self.behind = self._noted("behind")
        self._stored = self._told()

    def _told(self) -> tuple[object, ...]:
        folders = frozenset(self.doubtful), frozenset(self.environments)
        return self.seen, *folders, dict(self.ours), dict(self.behind)

    def _noted(self, kind: str) -> dict[str, bytes]:
        with _guarded():
            rows = self._rows("SELECT path, value FROM noted WHERE kind = ?", kind)
            return {_text(path): bytes(value) for path, value in rows}

    def __getitem__(self, path: str) -> Pair:
        if (pair := self.recorded.get(path) or self._read.get(path)) is not None:
            return pair
        for _, pair in self._pairs(f"{ALL} WHERE path = ?", _blob(path)):
            return pair
        return NOTHING

    def read(self, paths: Iterable[str]) -> None:
        """Read the pairs of these paths ahead, until something is stored: one by one, each is a question."""
        wanted = [path for path in paths if path not in self._read]
        self._read.update(dict.fromkeys(wanted, NOTHING))
        for first in range(0, len(wanted), AT_ONCE):
            some = wanted[first : first + AT_ONCE]
            places = ", ".join("?" * len(some))
            self._read.update(self._pairs(f"{ALL} WHERE path IN ({places})", *map(_blob, some)))

    def pair_for(self, path: str, remote: Entry | None) -> Pair:
        """The last pair of a path; of one that an interrupted push sent as it stands there, that on both."""
        if self.interrupted and remote is not None and path not in self.recorded:
            sent = self._value("SELECT entry FROM sending WHERE path = ?", _blob(path))
            return same_on_both(remote) if sent == json.dumps(remote) else self[path]
        return self[path]

    def _value(self, query: str, *values: bytes) -> object:
        with _guarded():
            return next((row[0] for row in self._rows(query, *values)), None)

    def record(self, path: str, pair: Pair) -> None:
        """Record the pair on which a path is in sync; `NOTHING` forgets the path."""
        self.doubtful.discard(path)
        if self[path] != pair:
            self.recorded[path] = pair

    def record_new(self, entries: Iterable[tuple[str, Entry]]) -> None:
        """Record entries that are the same on both sides, at paths that the baseline does not hold."""
        self.recorded.update((path, same_on_both(entry)) for path, entry in entries)

    def __iter__(self) -> Iterator[tuple[str, Pair]]:
        """The stored paths and pairs, as far as they have not been recorded anew."""
        return ((path, pair) for path, pair in self._pairs(ALL) if path not in self.recorded)

    def _pairs(self, query: str, *values: bytes) -> Iterator[tuple[str, Pair]]:
        with _guarded():
            for path, *row in self._rows(query, *values):
                yield _text(path), _pair(*row)

    def _rows(self, query: str, *values: bytes | str) -> Iterable[tuple[Any, ...]]:
        with _guarded():
            return self.database.execute(query, values) if self.database is not None else ()

    def announce(self, sending: Iterable[tuple[str, Entry]]) -> None:
        """Store what is about to be sent, and that the baseline may fall behind the files. Raises Failure."""
        rows = [(_blob(path), json.dumps(entry)) for path, entry in sending]
        with self._writing() as database:
            database.executemany("INSERT OR REPLACE INTO sending VALUES (?, ?)", rows)
            database.execute("UPDATE kept SET moving = 1")
        self.transferring = True

    def save(self, *, whole: bool) -> None:
        """Store what was recorded. `whole`: nothing that moved is missing from it. Raises Failure."""
        told = self._told()
        if self.recorded or told != self._stored or (whole and (self.transferring or not self.complete)):
            rows = [(_blob(path), *_row(pair)) for path, pair in self.recorded.items() if pair != NOTHING]
            forgotten = [(_blob(path),) for path, pair in self.recorded.items() if pair == NOTHING]
            with self._writing() as database:
                database.executemany("INSERT OR REPLACE INTO settled VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                database.executemany("DELETE FROM settled WHERE path = ?", forgotten)
                database.execute("UPDATE kept SET seen = ?", (self.seen,))
                if told[1:] != self._stored[1:]:
                    database.execute("DELETE FROM noted")
                    database.executemany("INSERT INTO noted VALUES (?, ?, ?)", self._notes())
                if whole:
                    database.execute("UPDATE kept SET moving = 0")
                    database.execute("DELETE FROM sending")
            self.recorded, self._read, self._stored = {}, {}, told

    def _notes(self) -> Iterator[tuple[str, bytes, bytes]]:
        yield from (("doubtful", _blob(path), b"") for path in self.doubtful)
        yield from (("environment", _blob(path), b"") for path in self.environments)
        yield from (("ours", _blob(path), time) for path, time in self.ours.items())
        yield from (("behind", _blob(path), inode) for path, inode in self.behind.items())

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
    except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise DamagedError(
            f"what was settled is damaged: {error}", hint="the same command once more"
        ) from error


def _blob(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _row(pair: Pair) -> tuple[object, ...]:
    local = pair.local
    columns = (
        (None,) * len(Entry._fields)
        if local is None
        else (local.kind.value, *local[1:-1], _blob(local.target))
    )
    is_same = pair.remote == local and not pair.blocked
    return (*columns, SAME if is_same else json.dumps([pair.remote, pair.blocked]))


def _pair(letter: str | None, mode: int, size: int, mtime: int, target: bytes, there: str) -> Pair:
    local = Entry(KINDS[letter], mode, size, mtime, _text(target)) if letter else None
    if there == SAME:
        return Pair(local, local)
    fields, blocked = json.loads(there)
    return Pair(local, Entry(KINDS[fields[0]], *fields[1:]) if fields else None, blocked)


def filters_digest(filters: Sequence[str]) -> str:
    """A digest of the paths that these options of rsync ignore."""
    prefix = "--exclude-from="
    ignore_file = next((option.removeprefix(prefix) for option in filters if option.startswith(prefix)), None)
    text = Path(ignore_file).read_bytes() if ignore_file else b""
    return hashlib.sha256("\0".join(filters).encode("utf-8", "surrogateescape") + text).hexdigest()[:16]


@contextlib.contextmanager
def open_baseline(
    root: Path, instance_id: str, folder: str, filters: Sequence[str], *, forget: bool
) -> Iterator[Baseline]:
    """Open the baseline with an absolute folder on an instance; an empty one with `forget`.

    What is recorded inside is saved, also where it ends in a failure. Raises Failure where it can't be, and
    DamagedError.
    """
    key = hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    path = root / OWN_FOLDER / "synced" / f"{instance_id}-{key}.db"
    try:
        path.parent.mkdir(exist_ok=True)
        if forget:
            _delete(path)
        baseline = _connect_or_replace(path, filters_digest(filters))
    except (OSError, sqlite3.Error) as error:
        raise Failure(
            f"`{path}` can't be used: {error}", hint="check the folder's rights and the disk"
        ) from error
    assert baseline.database is not None
    with contextlib.closing(baseline.database):
        try:
            yield baseline
            baseline.save(whole=True)
        except DamagedError:
            _delete_damaged(path)
            raise
        except BaseException:
            try:
                baseline.save(whole=False)
            except DamagedError:
                _delete_damaged(path)
            raise


def _delete_damaged(path: Path) -> None:
    output.warning(f"`{path}` can't be read: both sides are compared by content instead")
    _delete(path)


def _delete(path: Path) -> None:
    for file in (path, path.with_name(f"{path.name}-journal")):
        file.unlink(missing_ok=True)


def _connect_or_replace(path: Path, filters: str) -> Baseline:
    existed = path.exists()
    try:
        return _connect(path, filters)
    except (sqlite3.DatabaseError, DamagedError) as error:
        if not existed or isinstance(error, sqlite3.OperationalError):
            raise  # it is busy, or can't be written: no reason to delete it
        _delete_damaged(path)
        return _connect(path, filters)


def _connect(path: Path, filters: str) -> Baseline:
    # More than one thread reads; the sync's lock keeps other processes away.
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
        return Baseline(database, complete=before == filters and not moving)
    except BaseException:
        database.close()
        raise


def prune(folder: Path) -> None:
    """Delete all but the baselines used last: most instances are gone for good."""
    baselines = sorted(folder.glob("*.db"), key=lambda path: path.stat().st_mtime)
    for old in baselines[:-MOST_KEPT]:
        old.unlink(missing_ok=True)
