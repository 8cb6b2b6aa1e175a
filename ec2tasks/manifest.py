"""What the project here and an instance last agreed on, kept in .ec2tasks/.

A small SQLite database an instance: of a hundred thousand paths, only what is asked for is read, and only
what changed is written, all of it or nothing. It says what was so, never what is planned: after a crash at
any moment it is at worst older than the files, and what both sides show alike is settled again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ec2tasks import report
from ec2tasks.errors import Failure
from ec2tasks.own_folder import OWN_FOLDER
from ec2tasks.tree import NOTHING, Entry, Pair, settled

VERSION = 1
KEPT = 20  # instances whose manifest is kept

SCHEMA = """
BEGIN;
DROP TABLE IF EXISTS kept;
DROP TABLE IF EXISTS settled;
CREATE TABLE kept (filters TEXT NOT NULL, moving INTEGER NOT NULL);
CREATE TABLE settled (
    path BLOB PRIMARY KEY, kind TEXT, mode INTEGER, size INTEGER, mtime INTEGER, target BLOB, there TEXT
) WITHOUT ROWID;
INSERT INTO kept VALUES ('{filters}', 1);
PRAGMA user_version = {version};
COMMIT;
"""
ALL = "SELECT path, kind, mode, size, mtime, target, there FROM settled"
SAME = ""  # what `there` says where it is as here


class Base:
    """What both sides were last settled on, by path.

    `complete`: every path on both sides is recorded. False on first use, after an interrupted transfer, or
    when ignore patterns changed.
    """

    def __init__(self, database: sqlite3.Connection | None = None, *, complete: bool = False) -> None:
        self.database = database
        self.complete = complete
        self.moving = False
        self.changed: dict[str, Pair] = {}

    def __getitem__(self, path: str) -> Pair:
        if path in self.changed:
            return self.changed[path]
        if self.database is None:
            return NOTHING
        row = self.database.execute(f"{ALL} WHERE path = ?", (_blob(path),)).fetchone()
        return _pair(*row[1:]) if row else NOTHING

    def settle(self, path: str, pair: Pair) -> None:
        """Settle a path; on nothing on both sides, forget it."""
        if self[path] != pair:
            self.changed[path] = pair

    def settle_new(self, entries: Iterable[tuple[str, Entry]]) -> None:
        """Settle paths of which nothing was known yet."""
        self.changed.update((path, settled(entry)) for path, entry in entries)

    def __iter__(self) -> Iterator[tuple[str, Pair]]:
        """What was kept, as far as it has not been settled anew."""
        if self.database is None:
            return
        for path, *row in self.database.execute(ALL):
            if (name := path.decode("utf-8", "surrogateescape")) not in self.changed:
                yield name, _pair(*row)

    def mark_moving(self) -> None:
        """Say that what is kept may fall behind the files from now on. Raises Failure."""
        self._write("UPDATE kept SET moving = 1", [])
        self.moving = True

    def save(self, *, whole: bool) -> None:
        """Keep what was settled. `whole`: nothing that moved is missing from it. Raises Failure."""
        if self.changed or (whole and (self.moving or not self.complete)):
            self._write("UPDATE kept SET moving = 0" if whole else "", self.changed.items())
            self.changed = {}

    def _write(self, mark: str, changes: Iterable[tuple[str, Pair]]) -> None:
        assert self.database is not None
        rows = [(_blob(path), *_row(pair)) for path, pair in changes if pair != NOTHING]
        gone = [(_blob(path),) for path, pair in changes if pair == NOTHING]
        try:
            with self.database:
                self.database.executemany("INSERT OR REPLACE INTO settled VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                self.database.executemany("DELETE FROM settled WHERE path = ?", gone)
                if mark:
                    self.database.execute(mark)
        except sqlite3.Error as error:
            raise Failure(
                f"what was settled could not be kept in `{OWN_FOLDER}/`: {error}",
                hint="free some space; the files that moved are in place, the next sync goes on from there",
            ) from error


def _blob(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _row(pair: Pair) -> tuple[object, ...]:
    here = pair.here
    entry = (None,) * len(Entry._fields) if here is None else (*here[:-1], _blob(here.target))
    return (*entry, SAME if pair.there == here else json.dumps(pair.there))


def _pair(kind: str | None, mode: int, size: int, mtime: int, target: bytes, there: str) -> Pair:
    here = Entry(kind, mode, size, mtime, target.decode("utf-8", "surrogateescape")) if kind else None
    if there == SAME:
        return Pair(here, here)
    found = json.loads(there)
    return Pair(here, Entry(*found) if found else None)


def digest_of(filters: Sequence[str]) -> str:
    """What stands for the paths that these options of rsync ignore."""
    ignore_file = next((one.partition("=")[2] for one in filters if one.startswith("--exclude-from=")), None)
    text = Path(ignore_file).read_bytes() if ignore_file else b""
    return hashlib.sha256("\0".join(filters).encode("utf-8", "surrogateescape") + text).hexdigest()[:16]


@contextlib.contextmanager
def kept(root: Path, instance_id: str, filters: Sequence[str], *, forget: bool) -> Iterator[Base]:
    """What was last agreed on with an instance; nothing where that is not known any more, or to be forgotten.

    What is settled inside is kept, also where it ends in a failure. Raises Failure where it can't be.
    """
    path = root / OWN_FOLDER / "synced" / f"{instance_id}.db"
    try:
        path.parent.mkdir(exist_ok=True)
        if forget:
            path.unlink(missing_ok=True)
        base = _opened(path, digest_of(filters))
    except (OSError, sqlite3.Error) as error:
        raise Failure(
            f"`{path}` can't be used: {error}", hint="check the folder's rights and the disk"
        ) from error
    assert base.database is not None
    with contextlib.closing(base.database):
        whole = False
        try:
            yield base
            whole = True
        finally:
            base.save(whole=whole)


def _opened(path: Path, filters: str) -> Base:
    known = path.exists()
    try:
        return _read(path, filters)
    except sqlite3.DatabaseError as error:
        if not known or isinstance(error, sqlite3.OperationalError):
            raise  # it is busy, or can't be written: no reason to throw it away
        report.warning(f"`{path}` can't be read: both sides are compared by content instead")
        path.unlink()
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
