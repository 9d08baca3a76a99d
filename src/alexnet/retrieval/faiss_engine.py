"""Rows in a folder, searched by faiss: memory-mapped, exact, for any number of readers and one writer.

    manifest.json     which of the other files count; replaced by one rename, and only that makes a change
    rows-000001.npy   the rows of one `add`, never changed; or a file elsewhere, with path and SHA-256
    ids-000001.npy    int64 [n], ascending
    gone-000002.npy   int64, ascending: rows that were deleted and still lie in a file of rows

A process killed at any moment leaves the manifest of before or of after, and at most files that nobody names;
the next change removes them. Compacting writes the remaining rows into one new file. Readers that have the old
files open keep them (on systems where an open file can be removed: not on Windows).

faiss compares blocks of the mapped rows (`faiss.knn`, `faiss.knn_hamming`), so that nothing but a block is ever
copied. Its flat indexes on disk would hold a second copy of the features, and cannot delete without reading all.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from alexnet.data.packed import sha256_of
from alexnet.errors import InputError
from alexnet.files import flush_to_disk, write_json
from alexnet.retrieval.engines import Kind, nothing_found

FORMAT, VERSION = "alexnet-rows", 1

BLOCK = 4 * 2**20
"""Bytes that are compared at once, and copied at most."""

SPARE = 8
"""Candidates beyond k whose distance is taken again, one by one: faiss compares many queries (from 20 on in some of its
releases) by way of a matrix product, which loses the last digits."""


Neighbours = tuple[np.ndarray, np.ndarray]
"""Ids, int64 [n, k], and distances, float32 [n, k]."""


@dataclass(frozen=True)
class Part:
    """The rows of one `add`.

    Attributes:
        rows: their file, relative to the engine's folder.
        ids: the file of their ids.
        count: how many.
        bytes, sha256: of the file of rows.
    """

    rows: str
    ids: str
    count: int
    bytes: int
    sha256: str


class FaissEngine:
    """Rows in a folder; see `alexnet.retrieval.engines.Engine` for the five methods."""

    def __init__(self, folder: Path, kind: Kind, columns: int):
        """Open what was last written into `folder`, in milliseconds; an empty or missing folder has no rows.

        Args:
            folder: of this engine alone.
            kind: "features" or "codes".
            columns: numbers, or bytes, of a row.

        Raises:
            InputError: the folder holds something else, or a file is missing, cut short or foreign.
        """
        self.folder, self.kind, self.columns = folder, kind, columns
        self._next, self._gone_name = 1, ""
        self._parts: list[Part] = []
        self._load()

    def add(self, ids: np.ndarray, rows: np.ndarray, origin: Path | None = None) -> None:
        """Take rows in; `origin` stays where it is, with its path and checksum written down."""
        if rows.shape != (len(ids), self.columns):
            raise InputError(f"rows {list(rows.shape)} for {len(ids)} ids; give [{len(ids)}, {self.columns}]")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        if origin is None:
            part = self._written(iter([(np.asarray(ids, np.int64), np.asarray(rows))]), len(ids))
        else:
            relative = os.path.relpath(origin.resolve(), self.folder.resolve())
            name = self._write_ids(np.asarray(ids, np.int64))
            part = Part(relative, name, len(ids), origin.stat().st_size, sha256_of(origin))
        self._commit([*self._parts, part], self._gone)

    def delete(self, ids: np.ndarray) -> None:
        """Take rows out of the count and of every search; their bytes go when the folder is compacted."""
        there = [part_ids[_places(part_ids, np.unique(ids))] for _, part_ids, _ in self._arrays]
        gone = np.unique(np.concatenate([self._gone, *there]))
        if len(gone) > len(self._gone):
            self._sweep()
            self._commit(self._parts, gone)

    def search(self, queries: np.ndarray, k: int, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows of each query, exactly."""
        dtype = np.uint8 if self.kind == "codes" else np.float32
        queries = np.ascontiguousarray(queries, dtype)
        if queries.ndim != 2 or queries.shape[1] != self.columns:
            raise InputError(f"queries {list(queries.shape)}; give [n, {self.columns}], as the rows are")
        if among is None and self.kind == "features":
            among = self._scanned(queries, k + SPARE)[0]
        if among is None:
            return self._scanned(queries, k)
        found = [self._among(queries[i : i + 1], k, among[i]) for i in range(len(queries))]
        if not found:
            return nothing_found(0, k)
        return np.concatenate([ids for ids, _ in found]), np.concatenate([distances for _, distances in found])

    def count(self) -> int:
        """How many rows there are, deleted ones not among them."""
        return sum(part.count for part in self._parts) - len(self._gone)

    def close(self) -> None:
        """Let go of the mapped files."""
        self._parts = []
        self._forget()

    def compact(self) -> None:
        """Write all rows that are left into one file of this folder, and remove what is no longer needed."""
        if not len(self._gone) and len(self._parts) <= 1:
            return
        self._sweep()
        count = self.count()
        self._commit([self._written(self.blocks(), count)] if count else [], np.empty(0, np.int64))
        self._sweep()

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All ids and rows, block by block, ascending: (int64 [m], [m, columns])."""
        step = max(1, BLOCK // (self.columns * (1 if self.kind == "codes" else 4)))
        for rows, ids, gone in self._arrays:
            for start in range(0, len(ids), step):
                stop = min(start + step, len(ids))
                dead = gone[np.searchsorted(gone, start) : np.searchsorted(gone, stop)] - start
                if len(dead):
                    alive = np.ones(stop - start, bool)
                    alive[dead] = False
                    kept = start + np.flatnonzero(alive)
                    yield ids[kept], np.take(rows, kept, axis=0)  # for short rows much faster than rows[kept]
                else:
                    yield ids[start:stop], rows[start:stop]

    def changed(self) -> list[str]:
        """Files of rows whose bytes are not those that were written; reads them all."""
        return [str(self._path(part)) for part in self._parts if sha256_of(self._path(part)) != part.sha256]

    def _scanned(self, queries: np.ndarray, k: int) -> Neighbours:
        """The k nearest of all rows, block by block."""
        best = nothing_found(len(queries), k)
        for ids, rows in self.blocks():
            if len(ids):
                best = _nearer(best, self._compared(queries, ids, rows, k), k)
        return best

    def _among(self, query: np.ndarray, k: int, among: np.ndarray) -> Neighbours:
        """The k nearest to one query [1, columns] of the rows with these ids."""
        best = nothing_found(1, k)
        wanted = np.unique(among[among >= 0])
        for rows, ids, gone in self._arrays:
            places = np.setdiff1d(_places(ids, wanted), gone)
            if len(places):
                best = _nearer(best, self._compared(query, ids[places], rows[places], k), k)
        return best

    def _compared(self, queries: np.ndarray, ids: np.ndarray, rows: np.ndarray, k: int) -> Neighbours:
        k = min(k, len(ids))
        if self.kind == "codes":
            distances, places = faiss.knn_hamming(queries, np.ascontiguousarray(rows), k)
        else:
            squares, places = faiss.knn(queries, np.ascontiguousarray(rows, np.float32), k)
            distances = np.sqrt(np.maximum(squares, 0))
        return np.asarray(ids)[places], distances.astype(np.float32)

    @cached_property
    def _arrays(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of each part: rows and ids, mapped, and the places of its deleted rows, ascending."""
        found = []
        for part in self._parts:
            rows, ids = self._mapped(self._path(part)), self._mapped(self.folder / part.ids)
            if len(rows) != part.count or len(ids) != part.count or rows.shape[1:] != (self.columns,):
                raise InputError(
                    f"{self._path(part)} holds rows {list(rows.shape)}, not [{part.count}, {self.columns}]: it is "
                    "another file than the one indexed; put that back or make the index again"
                )
            found.append((rows, ids, _places(ids, self._gone)))
        return found

    @cached_property
    def _gone(self) -> np.ndarray:
        return np.array(self._mapped(self.folder / self._gone_name)) if self._gone_name else np.empty(0, np.int64)

    def _mapped(self, path: Path) -> np.ndarray:
        try:
            return np.load(path, mmap_mode="r")
        except FileNotFoundError:
            raise
        except (OSError, ValueError, EOFError) as error:
            why = str(error).splitlines()[0]
            raise InputError(f"{path} is cut short or no .npy file ({why}): make the index again") from None

    def _path(self, part: Part) -> Path:
        return Path(os.path.normpath(self.folder.resolve() / part.rows))

    def _load(self) -> None:
        for attempt in range(20):  # a compaction may remove files between our reading the manifest and opening them
            try:
                self._read_manifest()
                self._forget()
                _ = self._arrays
                return
            except FileNotFoundError as error:
                if attempt == 19:
                    raise InputError(
                        f"{error.filename} is missing, which the index {self.folder.parent} needs: "
                        "put it back or make the index again"
                    ) from None

    def _read_manifest(self) -> None:
        path = self.folder / "manifest.json"
        if not path.exists():
            self._parts, self._gone_name, self._next = [], "", 1
            return
        try:
            manifest: dict[str, Any] = json.loads(path.read_bytes())
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format is {manifest['format']!r}")
            version, kind, columns = manifest["version"], manifest["kind"], manifest["columns"]
            self._parts = [Part(**part) for part in manifest["parts"]]
            self._gone_name, self._next = manifest["gone"], manifest["next"]
        except (ValueError, KeyError, TypeError) as error:
            why = str(error).splitlines()[0]
            raise InputError(f"{path} is no manifest of indexed rows ({why}): make the index again") from None
        if (version, kind, columns) != (VERSION, self.kind, self.columns):
            raise InputError(
                f"{path} has version {version}, {kind} of {columns} columns, and version {VERSION}, {self.kind} of "
                f"{self.columns} are wanted: make the index again"
            )
        for part in self._parts:
            size = self._path(part).stat().st_size
            if size != part.bytes:
                raise InputError(
                    f"{self._path(part)} has {size:,} bytes, not the {part.bytes:,} that were indexed: put the file "
                    "back or make the index again"
                )

    def _commit(self, parts: list[Part], gone: np.ndarray) -> None:
        """Make these parts, without these ids, what the folder holds: the one rename that counts."""
        name = ""
        if len(gone):
            name = f"gone-{self._next:06}.npy"
            _save(self.folder / name, gone)
        manifest = {"format": FORMAT, "version": VERSION, "kind": self.kind, "columns": self.columns}
        manifest |= {"next": self._next + 1, "gone": name, "parts": [asdict(part) for part in parts]}
        write_json(self.folder / "manifest.json", manifest)
        self._load()

    def _written(self, blocks: Iterator[tuple[np.ndarray, np.ndarray]], count: int) -> Part:
        """A new file of rows and one of ids, on the disk before this returns."""
        name = f"rows-{self._next:06}.npy"
        path, all_ids = self.folder / name, []
        with path.open("wb") as file:
            for ids, rows in blocks:
                if not all_ids:
                    header = {"descr": np.lib.format.dtype_to_descr(rows.dtype), "fortran_order": False}
                    np.lib.format.write_array_header_1_0(file, header | {"shape": (count, self.columns)})
                all_ids.append(np.array(ids))
                file.write(np.ascontiguousarray(rows).data)
        flush_to_disk(path)
        ids_name = self._write_ids(np.concatenate(all_ids))
        return Part(name, ids_name, count, path.stat().st_size, sha256_of(path))

    def _write_ids(self, ids: np.ndarray) -> str:
        name = f"ids-{self._next:06}.npy"
        _save(self.folder / name, ids)
        return name

    def _sweep(self) -> None:
        """Remove files that the manifest does not name: what a killed writer left, or a compaction made idle."""
        named = {name for part in self._parts for name in (part.rows, part.ids)} | {"manifest.json", self._gone_name}
        for path in self.folder.glob("*"):
            if path.name not in named:
                path.unlink()

    def _forget(self) -> None:
        for name in ("_arrays", "_gone"):
            self.__dict__.pop(name, None)


def _save(path: Path, array: np.ndarray) -> None:
    np.save(path, array)
    flush_to_disk(path)


def _places(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where those of the `wanted` ids that are there stand in `ids`; all are ascending."""
    places = np.searchsorted(ids, wanted)
    inside = places < len(ids)
    places, wanted = places[inside], wanted[inside]
    return places[ids[places] == wanted]


def _nearer(one: Neighbours, other: Neighbours, k: int) -> Neighbours:
    """The k nearest of two lists of neighbours, the nearest first, the lower id first among equals."""
    ids, distances = (np.concatenate(pair, axis=1) for pair in zip(one, other))
    order = np.lexsort((ids, distances))[:, :k]
    return np.take_along_axis(ids, order, 1), np.take_along_axis(distances, order, 1)
