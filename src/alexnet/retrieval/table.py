"""What is known of each indexed image, by id: SQLite, so that a change is there whole or not at all.

Many processes may read while one writes.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from alexnet.errors import InputError

FORMAT = 0x414C4558  # "ALEX", SQLite's own place for what kind of database a file is
VERSION = 1
LARGEST = 2**63 - 1  # number that SQLite holds

SCHEMA = """
CREATE TABLE images (id INTEGER PRIMARY KEY, path TEXT NOT NULL, label TEXT, digest BLOB, thumbnail BLOB);
CREATE INDEX images_by_digest ON images (digest);
CREATE TABLE strays (id INTEGER PRIMARY KEY);
CREATE TABLE state (next INTEGER NOT NULL);
INSERT INTO state VALUES (0);
"""


class Entry(NamedTuple):
    """What is known of one image.

    Attributes:
        path: of its file, as the source names it.
        label: name of its class; None where it has none.
        digest: SHA-256 of the file, or of the pixels.
        thumbnail: a small PNG or JPEG file; None where there is none.
    """

    path: str
    label: str | None = None
    digest: bytes | None = None
    thumbnail: bytes | None = None


class Table:
    """The images of an index."""

    def __init__(self, path: Path, new: bool = False):
        """Open the table in file `path`, or make a new one.

        Raises:
            InputError: it is missing, damaged, or no table of an index.
        """
        self.path = path
        if not new and not path.is_file():
            raise InputError(f"{path} is missing: put it back or make the index again")
        # A reader that may write the folder opens it so: it then can roll back what a killed writer left half done.
        mode = "rwc" if new else "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro"
        try:
            self._database = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=30, check_same_thread=False
            )
            if new:
                self._database.executescript(f"PRAGMA application_id={FORMAT}; PRAGMA user_version={VERSION}; {SCHEMA}")
            (kind,), (version,) = (self._one(f"PRAGMA {name}") for name in ("application_id", "user_version"))
            self._one("SELECT next FROM state")
            self._database.execute("PRAGMA synchronous=EXTRA")  # a commit returns when it is on the disk
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None
        if (kind, version) != (FORMAT, VERSION):
            raise InputError(
                f"{path} is a database of another kind or version ({kind}, {version}): make the index again"
            )

    def __len__(self) -> int:
        return self._one("SELECT count(*) FROM images")[0]

    def version(self) -> int:
        """A number that is another one after another connection has changed the table."""
        return self._one("PRAGMA data_version")[0]

    def entries(self, ids: Iterable[int]) -> dict[int, Entry]:
        """What is known of these ids; those that are not there are left out."""
        found, wanted = {}, sorted({int(id) for id in ids if 0 <= id <= LARGEST})
        for start in range(0, len(wanted), 500):  # an old SQLite takes 999 values in one query
            some = wanted[start : start + 500]
            marks = ",".join("?" * len(some))
            for id, *entry in self._all(
                f"SELECT id, path, label, digest, thumbnail FROM images WHERE id IN ({marks})", some
            ):
                found[id] = Entry(*entry)
        return found

    def ids(self) -> list[int]:
        """All ids, ascending."""
        return [id for (id,) in self._all("SELECT id FROM images ORDER BY id")]

    def of_path(self, path: str) -> list[int]:
        """The ids of the images with this path."""
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")  # as a name that is no text was written down
        return [id for (id,) in self._all("SELECT id FROM images WHERE path = ?", (shown,))]

    def of_digest(self, digest: bytes) -> list[int]:
        """The ids of the images of these bytes."""
        return [id for (id,) in self._all("SELECT id FROM images WHERE digest = ?", (digest,))]

    def has(self, entry: Entry) -> bool:
        """Whether an image of the same path and bytes is there."""
        found = self._all("SELECT 1 FROM images WHERE digest = ? AND path = ? LIMIT 1", (entry.digest, entry.path))
        return bool(found)

    def reserve(self, count: int) -> range:
        """New ids, never given before and never to be given again; they are strays until `settle` takes them in."""
        first = self.given()
        with self._database as database:
            database.execute("UPDATE state SET next = ?", (first + count,))
            database.executemany("INSERT INTO strays VALUES (?)", ((id,) for id in range(first, first + count)))
        return range(first, first + count)

    def given(self) -> int:
        """How many ids were ever given: all are below this."""
        return self._one("SELECT next FROM state")[0]

    def strays(self) -> list[int]:
        """Ids that the engines may have and that are not, or no longer, of the index."""
        return [id for (id,) in self._all("SELECT id FROM strays ORDER BY id")]

    def settle(self, ids: Sequence[int] = (), entries: Iterable[Entry] = ()) -> None:
        """Take these images in, and write down that the engines now have just what the index has: in one step."""
        with self._database as database:
            rows = ((id, *entry) for id, entry in zip(ids, entries))
            database.executemany("INSERT INTO images VALUES (?, ?, ?, ?, ?)", rows)
            database.execute("DELETE FROM strays")

    def delete(self, ids: Iterable[int]) -> int:
        """Make these images strays, in one step; give how many there were."""
        wanted = [(int(id),) for id in ids]
        with self._database as database:
            database.executemany("INSERT INTO strays SELECT id FROM images WHERE id = ?", wanted)
            return database.executemany("DELETE FROM images WHERE id = ?", wanted).rowcount

    def compact(self) -> None:
        """Give the room of deleted images back to the disk."""
        self._database.execute("VACUUM")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _one(self, query: str) -> tuple:
        return self._all(query)[0]

    def _all(self, query: str, values: Sequence[object] = ()) -> list[tuple]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None

    def _damaged(self, error: sqlite3.DatabaseError) -> InputError:
        return InputError(f"{self.path} is no table of an index, or damaged ({error}): make the index again")
