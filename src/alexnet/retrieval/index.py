"""An index of images: the table of what they are, and two engines that find the nearest by features or by codes.

The folder:

    index.json            what the vectors are, the distance, the codes, where the engines keep their rows
    table.sqlite          path, label, digest and thumbnail of each image, by id
    encoder.safetensors   makes codes of features; not there without codes
    features/, codes/     the rows (`faiss_engine.py`); not there when they lie on a server
    lock                  held by the one process that changes the index

The table decides what the index holds. To add, ids are written down as strays, rows go to the engines, and the table
takes the images in, in one step; to delete, the table makes them strays in one step, and the engines follow. Strays
are never shown. Those of a killed process are taken out of the engines by the next change.
"""

import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from alexnet.data.lock import only_process
from alexnet.errors import InputError
from alexnet.files import write_json
from alexnet.retrieval.codes import Codes, load_codes
from alexnet.retrieval.engines import Engine, Kind, nothing_found
from alexnet.retrieval.faiss_engine import FaissEngine
from alexnet.retrieval.features import FeatureReader, query_reader
from alexnet.retrieval.settings import open_engines, read_settings, store_of
from alexnet.retrieval.table import Entry, Table

SHORTLIST = 200
"""Images that codes pick before their features are compared."""

By = Literal["features", "codes", "both"]
ROWS_AT_ONCE = 16384  # brought to length 1 at once


class Hit(NamedTuple):
    """An image that was found.

    Attributes:
        id: its number in the index, which it keeps for ever.
        path, label, thumbnail: as `Entry` has them.
        distance: L2 (not squared), 1 - cosine, or bits that differ, as was searched.
    """

    id: int
    path: str
    label: str | None
    distance: float
    thumbnail: bytes | None


class Index:
    """Images to be searched; made by `alexnet.open_index`.

    Any number of processes and threads may read. A change waits until no other process changes the index.

    Attributes:
        path: the folder.
        about: what index.json says.
    """

    def __init__(self, path: str | Path, run: str | Path | None = None, device: str = "auto"):
        """Open the index in folder `path`, in milliseconds: rows are mapped, no net is loaded before the first image.

        Args:
            path: the folder.
            run: a run's folder or file of weights that gives the features of queries; by default the one that
                gave those of the index.
            device: "auto", "cpu", "cuda" or "mps".

        Raises:
            InputError: no index, one of another version, or one of its files is missing, foreign or cut short.
        """
        self.path = Path(path)
        self.about: dict[str, Any] = read_settings(self.path)
        self._run = run if run is not None else self.about["features"]["run"]
        self._device = device
        self.table = Table(self.path / "table.sqlite")
        self._engines: dict[Kind, Engine] = {}
        self._seen = -1
        self._lock = threading.Lock()
        try:
            self._refresh()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.table)

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def columns(self) -> int:
        """Numbers of a vector."""
        return self.about["features"]["features"]

    @property
    def bits(self) -> int | None:
        """Bits of a code; None without codes."""
        return self.about["codes"]["bits"] if self.about["codes"] else None

    def search(self, image: Any, top: int = 10, by: By | None = None, shortlist: int = SHORTLIST) -> list[Hit]:
        """The images most similar to one image, the nearest first.

        Args:
            image: a path, the bytes of a file, a PIL image, or an array uint8 [h, w, 3] or [h, w].
            top: how many at most.
            by: "features" compares all features exactly, "codes" the codes alone, "both" picks by codes and
                compares the features of those; by default "both" where there are codes.
            shortlist: images that codes pick for "both".

        Raises:
            alexnet.images.ImageProblem: the image cannot be read.
            InputError: codes are asked for and there are none; `run` has other weights than the index.
        """
        self._chosen(by, top, shortlist)  # what cannot be is refused before a net is loaded
        return self.search_vectors(self.reader.vectors([image]), top, by, shortlist)[0]

    def search_vectors(
        self, queries: np.ndarray, top: int = 10, by: By | None = None, shortlist: int = SHORTLIST
    ) -> list[list[Hit]]:
        """As `search`, of features that are there already: float [n, d], one list for each."""
        by = self._chosen(by, top, shortlist)
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.columns:
            raise InputError(f"vectors {list(queries.shape)}; this index holds vectors of {self.columns} numbers")
        self._refresh()
        most = max(1, self.table.given())  # rows that the engines can have, strays among them
        top, shortlist = min(top, most), min(shortlist, most)
        ids, distances = self._neighbours(queries, top, by, shortlist)
        entries = self.table.entries(ids.ravel())
        strays = self._strays() if set(ids[ids >= 0].tolist()) - set(entries) else 0
        if strays:
            ids, distances = self._neighbours(queries, top + strays, by, shortlist + strays)
            entries = self.table.entries(ids.ravel())
        if self.about["metric"] == "cosine" and by != "codes":
            distances = distances**2 / 2  # of vectors of length 1
        return [
            [
                Hit(int(id), entries[id].path, entries[id].label, float(distance), entries[id].thumbnail)
                for id, distance in zip(of_one, far)
                if id in entries
            ][:top]
            for of_one, far in zip(ids.tolist(), distances.tolist())
        ]

    def add(self, rows: np.ndarray, entries: Sequence[Entry], origin: Path | None = None) -> range:
        """Take images in; when this returns they are there for good, whatever happens. Give their ids.

        Args:
            rows: float32 or float16 [n, d], their features.
            entries: what is known of each.
            origin: the .npy file that holds just these rows; it is then not copied into the folder.

        Raises:
            InputError: other numbers of rows, or vectors of another length.
        """
        with self._changing():
            return self._add(rows, entries, origin)

    def add_new(self, rows: np.ndarray, entries: Sequence[Entry], origin: Path | None = None) -> int:
        """As `add`, without the images of which one of the same path and bytes is there; give how many it took in."""
        with self._changing():  # so that nobody else takes them in between the look and the addition
            new = [row for row, entry in enumerate(entries) if not self.table.has(entry)]
            if len(new) == len(entries):
                return len(self._add(rows, entries, origin))
            return len(self._add(np.asarray(rows[new]), [entries[row] for row in new]))

    def delete(self, ids: Iterable[int]) -> int:
        """Take images out, for good; give how many of the ids were there. No id is ever given twice."""
        gone = np.unique(np.fromiter(ids, np.int64))
        with self._changing():
            count = self.table.delete(gone.tolist())
            self._take_out_strays()
            return count

    def compact(self) -> None:
        """Free the room that deleted images take, and join what many small additions left. Ids stay.

        A server does this by itself; there only the table is compacted.
        """
        with self._changing():
            for engine in self._engines.values():
                if isinstance(engine, FaissEngine):
                    engine.compact()
            self.table.compact()

    def move(self, store: str) -> None:
        """Bring the rows of this folder to a server; the table, the encoder and all ids stay as they are.

        Args:
            store: http://HOST:PORT or http://HOST:PORT/NAME.

        Raises:
            InputError: they are there already; the server has an index of that name; it does not answer.
        """
        with self._changing():
            if self.about["store"]:
                raise InputError(f"{self.path} has its rows at {self.about['store']} already: make another index")
            about: dict[str, Any] = self.about | {"store": store_of(store, self.path)}
            moved = open_engines(self.path, about, new=True)
            try:
                for kind, engine in self._engines.items():
                    assert isinstance(engine, FaissEngine)
                    for ids, rows in engine.blocks():
                        moved[kind].add(ids, rows)
            except BaseException:
                _close(moved)
                raise
            write_json(self.path / "index.json", about)
            self.table.settle()  # so that readers look again
            old, self.about, self._engines = self._engines, about, moved
            _close(old)
            for kind in moved:
                shutil.rmtree(self.path / kind)

    def check(self) -> list[str]:
        """What is wrong with the index, a line each: files that changed, rows that are missing. Reads every byte."""
        self._refresh()
        wrong = []
        for kind, engine in self._engines.items():
            if isinstance(engine, FaissEngine):
                wrong += [f"{path} is not what was indexed (checksum)" for path in engine.changed()]
            if engine.count() < len(self):
                wrong.append(f"{len(self) - engine.count():,} of {len(self):,} images have no {kind}")
        return wrong

    def ids_of(self, images: Iterable[str]) -> list[int]:
        """The ids of images that are given by id or by path.

        Raises:
            InputError: one of them is not in the index.
        """
        found: list[int] = []
        for image in images:
            of_path = self.table.of_path(image) or self.table.of_path(str(Path(image).resolve()))
            by_id = [int(image)] if image.isdecimal() and self.table.entries([int(image)]) else []
            if not of_path + by_id:
                raise InputError(f"{image} is not in {self.path}: give an id or a path that `alexnet search` prints")
            found += of_path or by_id
        return found

    def distance_of(self, by: By | None = None) -> str:
        """What the distances of a search are, in words."""
        if self._chosen(by, 1, 1) == "codes":
            return f"Hamming distance of codes of {self.bits} bits"
        stage = self.about["features"]["stage"]
        return f"{'1 - cosine' if self.about['metric'] == 'cosine' else 'L2 distance'} of {stage}"

    def described(self) -> dict[str, Any]:
        """What the index is: "features" (numbers a vector), "metric", "bits", "method", "store"."""
        codes = self.about["codes"] or {"bits": None, "method": None}
        return {
            "features": self.columns,
            "metric": self.about["metric"],
            "bits": codes["bits"],
            "method": codes["method"],
            "store": self.about["store"] or "folder",
        }

    def close(self) -> None:
        """Let go of files and connections."""
        _close(self._engines)
        self.table.close()

    @cached_property
    def reader(self) -> FeatureReader:
        """The net that gives the features of queries."""
        return query_reader(self._run, self.about["features"], self._device)

    @cached_property
    def codes(self) -> Codes | None:
        """What makes codes of features."""
        return load_codes(self.path / "encoder.safetensors") if self.about["codes"] else None

    def _chosen(self, by: By | None, top: int, shortlist: int) -> By:
        if top < 1 or shortlist < 1:
            raise InputError(f"{top} images of a short-list of {shortlist}; give 1 or more")
        if by in ("codes", "both") and not self.about["codes"]:
            raise InputError(f"{self.path} has no codes: search by features, or make an index with --codes 128")
        return by or ("both" if self.about["codes"] else "features")

    def _neighbours(self, queries: np.ndarray, top: int, by: By, shortlist: int) -> tuple[np.ndarray, np.ndarray]:
        if not len(queries):
            return nothing_found(0, top)
        among = None
        if by != "features":
            assert self.codes is not None
            found = self._engines["codes"].search(self.codes.encode(queries), top if by == "codes" else shortlist)
            if by == "codes":
                return found
            among = found[0]
        if self._made_unit:
            queries = unit(queries)
        return self._engines["features"].search(queries, top, among)

    @property
    def _made_unit(self) -> bool:
        """Whether vectors are brought to length 1 here; they may have come so."""
        return self.about["metric"] == "cosine" and self.about["features"]["normalised"] != "l2"

    def _add(self, rows: np.ndarray, entries: Sequence[Entry], origin: Path | None = None) -> range:
        if rows.ndim != 2 or rows.shape != (len(entries), self.columns):
            raise InputError(f"vectors {list(rows.shape)} of {len(entries)} images; give [images, {self.columns}]")
        if not len(rows):
            return range(0)
        ids = self.table.reserve(len(rows))
        numbers = np.arange(ids.start, ids.stop, dtype=np.int64)
        if self._made_unit:
            for start in range(0, len(rows), ROWS_AT_ONCE):
                piece = slice(start, start + ROWS_AT_ONCE)
                self._engines["features"].add(numbers[piece], unit(rows[piece]))
        else:
            self._engines["features"].add(numbers, rows, origin)
        if self.codes is not None:
            self._engines["codes"].add(numbers, self.codes.encode(rows))
        self.table.settle(ids, entries)
        return ids

    def _strays(self) -> int:
        """How many rows an engine has at most that the table does not know: of a change under way, or cut short."""
        return max([0, *(engine.count() - len(self) for engine in self._engines.values())])

    def _refresh(self) -> None:
        """See what other processes have changed since the last look."""
        with self._lock:
            seen = self.table.version()
            if seen != self._seen:
                about = read_settings(self.path)
                if not self._engines or not about["store"] or about["store"] != self.about["store"]:
                    # The old ones stay open for threads that search by them, and go with the last of these. A server
                    # shows what is new by itself.
                    self._engines = open_engines(self.path, about)
                self.about, self._seen = about, seen

    def _take_out_strays(self) -> None:
        """Bring the engines to what the table says."""
        strays = np.array(self.table.strays(), np.int64)
        if len(strays):
            for engine in self._engines.values():
                engine.delete(strays)
            self.table.settle()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Be the one process that changes the index, after taking out what a killed one left."""
        if not os.access(self.path, os.W_OK):
            raise InputError(f"{self.path} may only be read by this user: change it as its owner, or copy it")
        with only_process(self.path, wait=True):
            self._refresh()
            self._take_out_strays()
            yield


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [n, d] divided by their length, as float32; one of zeros stays so."""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _close(engines: dict[Kind, Engine]) -> None:
    for engine in engines.values():
        engine.close()
