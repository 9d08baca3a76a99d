"""Packed images as they lie on the disk: plain .npy files and one manifest.json.

A pack is a folder that `np.load(..., mmap_mode="r")` reads without this package:

    manifest.json   what all this is, and the SHA-256 of each other file
    labels.npy      int64 [n]          given.npy    uint8 [n]: 0 no part, 1 train, 2 validation, 3 test
    digests.npy     uint8 [n, 32]      SHA-256 of each image's file, or of its pixels for arrays
    paths.npy       bytes [n], UTF-8
    images.npy      uint8 [n, h, w, c] where all have one shape and lie raw; otherwise uint8 [bytes]:
    offsets.npy     int64 [n + 1]      image i is images[offsets[i] : offsets[i + 1]], raw or a JPEG file,
    shapes.npy      int32 [n, 3]       and has this h, w, c
"""

import hashlib
import json
import mmap
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from alexnet.data.jpeg import decoded
from alexnet.data.source import Problem
from alexnet.errors import InputError

FORMAT, VERSION = "alexnet-packed", 1
TOGETHER = 8  # images that one thread reads in one go: half a millisecond raw, some as JPEG


@dataclass(frozen=True)
class Cut:
    """One square patch of each image of a batch.

    Attributes:
        top, left: int64 [k], the patch's first row and column in the stored image.
        size: side of all patches in pixels.
    """

    top: np.ndarray
    left: np.ndarray
    size: int


class Paths(Sequence[str]):
    """Names that lie as UTF-8 in an array of bytes [n]: a list of a million of them takes over 100 MB."""

    def __init__(self, names: np.ndarray):
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> str:  # type: ignore[override]  # nobody needs slices
        return self.names[row].decode()


class Packed:
    """Images in a packed folder, read as they are asked for.

    Attributes:
        path: the folder.
        name, spec, kind, classes, characters: as in the `Source` it was made from.
        shape: (h, w, c) of all images, None where they differ.
        native: small images at their own size and channels, to be enlarged on the device.
        stored: their shorter side, in pixels.
        layout: "raw" or "jpeg".
        skipped: what could not be read, and why.
        fingerprint: digest of classes, labels and the images' digests: the same for the same images on
            every machine, in whatever order and under whatever names they lay.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]):
        self.path = path
        self.manifest = manifest
        self.name: str = manifest["name"]
        self.spec: str = manifest["spec"]
        self.kind: str = manifest["kind"]
        self.classes: list[str] = manifest["classes"]
        self.characters: bool = manifest["characters"]
        self.shape: tuple[int, int, int] | None = tuple(manifest["shape"]) if manifest["shape"] else None
        self.native: bool = manifest["native"]
        self.stored: int = manifest["stored"]
        self.layout: str = manifest["layout"]
        self.fingerprint: str = manifest["fingerprint"]
        self.skipped = [Problem(**problem) for problem in manifest["skipped"]]
        self.labels = self._array("labels")
        self.given = self._array("given")
        self.digests = self._array("digests")
        mapped = cast(np.memmap, self._array("images", mapped=True))
        self._map, self._header = cast(mmap.mmap, mapped.base), mapped.offset
        self._images = np.asarray(mapped)  # slices of a plain array are made faster
        self._offsets = None
        if not (self.layout == "raw" and self.shape):
            self._offsets = self._array("offsets")
            self._shapes = self._array("shapes")

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def paths(self) -> Sequence[str]:
        """Of each image's file, relative to the source's folder where it lay in it; read as they are asked for."""
        return Paths(self._array("paths", mapped=True))

    def read(
        self,
        rows: np.ndarray,
        pool: Executor | None = None,
        cut: Cut | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray | list[np.ndarray]:
        """Images `rows` (int64 [k]): uint8 [k, h, w, c], or a list of [h, w, 3] where shapes differ.

        Args:
            rows: which, in any order, also repeated.
            pool: threads that decode and copy.
            cut: give only these patches, uint8 [k, size, size, c]; nothing else is copied.
            out: write into this array, of the shape above, instead of a new one.
        """
        shape = self.shape if cut is None else (cut.size, cut.size, self.channels)
        jobs = [range(start, min(start + TOGETHER, len(rows))) for start in range(0, len(rows), TOGETHER)]
        work = pool.map if pool and len(jobs) > 1 else map
        if shape is None:
            self._fetch(rows)
            return list(work(lambda row: np.array(self._one(row)), rows))
        batch = np.empty((len(rows), *shape), np.uint8) if out is None else out
        self._fetch(rows)

        def copy(places: range) -> None:
            # One image after another: a fancy index over a memory map takes several times as long.
            for i in places:
                image = self._one(rows[i])
                if cut is not None:
                    top, left = cut.top[i], cut.left[i]
                    image = image[top : top + cut.size, left : left + cut.size]
                batch[i] = image

        for _ in work(copy, jobs):
            pass
        return batch

    def sizes(self, rows: np.ndarray) -> np.ndarray:
        """Height and width of images `rows` in pixels, int64 [k, 2]."""
        if self.shape:
            return np.full((len(rows), 2), self.shape[:2], np.int64)
        return self._shapes[rows, :2].astype(np.int64)

    @property
    def channels(self) -> int:
        """Of every image: 3, or 1 for small grey sets."""
        return self.shape[2] if self.shape else 3

    def verify(self) -> list[Problem]:
        """Files whose bytes are not those that were packed."""
        return [
            Problem(name, "checksum", "changed since it was packed; pack again")
            for name, facts in self.manifest["files"].items()
            if sha256_of(self.path / name) != facts["sha256"]
        ]

    def _fetch(self, rows: np.ndarray) -> None:
        """Ask the system for the bytes of all these images at once, which a disk delivers sooner than one by one.

        Measured on a virtual disk with raw images of 256 x 256: twice the images a second where nothing of the file is
        in memory, a twentieth fewer where all of it is.
        """
        if not hasattr(mmap, "MADV_WILLNEED"):  # Windows
            return
        if self._offsets is None:
            each = self._images[0].nbytes
            starts, ends = rows * each, (rows + 1) * each
        else:
            starts, ends = self._offsets[rows], self._offsets[rows + 1]
        if (ends - starts).max(initial=0) < mmap.PAGESIZE:  # many of them lie on one page
            return
        for start, end in zip((starts + self._header).tolist(), (ends + self._header).tolist()):
            page = start // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, page, end - page)

    def _one(self, row: int) -> np.ndarray:
        """Image `row`, uint8 [h, w, c]; where it lies raw, a view of the memory map."""
        if self._offsets is None:
            return self._images[row]
        data, shape = self._images[self._offsets[row] : self._offsets[row + 1]], self._shapes[row]
        if self.layout == "raw":
            return data.reshape(shape)
        try:
            return decoded(data, shape)
        except (OSError, ValueError) as error:
            raise InputError(f"image {row} of {self.path} is damaged ({error}); pack the images again") from error

    def _array(self, name: str, mapped: bool = False) -> np.ndarray:
        path = self.path / f"{name}.npy"
        try:
            return np.load(path, mmap_mode="r" if mapped else None)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} cannot be read ({error}); pack the images again") from error


def is_packed(path: Path | str) -> bool:
    """Whether `path` is a folder with a pack's manifest."""
    try:
        manifest = json.loads((Path(path) / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def open_packed(path: Path | str) -> Packed:
    """The packed images in folder `path`.

    Raises:
        InputError: it is no packed folder, of another version, or a file of it is damaged.
    """
    path = Path(path)
    if not is_packed(path):
        raise InputError(
            f"{path} is no packed folder (no manifest.json of one); make it with `alexnet pack SOURCE OUT`"
        )
    manifest = json.loads((path / "manifest.json").read_bytes())
    if manifest.get("version") != VERSION:
        raise InputError(
            f"{path} is a pack of version {manifest.get('version')} and this program reads {VERSION}; "
            "pack the images again"
        )
    return Packed(path, manifest)


def fingerprint_of(classes: Sequence[str], labels: np.ndarray, digests: np.ndarray) -> str:
    """Digest of a set of labelled images in any order, as 64 hexadecimal digits."""
    rank = np.argsort(sorted(range(len(classes)), key=classes.__getitem__))
    words = np.ascontiguousarray(digests).view(">u8").reshape(-1, 4)
    order = np.lexsort([*words.T[::-1], rank[labels]])  # as the lines below sort as texts
    digest = hashlib.sha256(json.dumps(list(classes)).encode())
    for start in range(0, len(order), 4096):
        rows = order[start : start + 4096]
        lines = (f"\n{classes[label]}\0{one.tobytes().hex()}" for label, one in zip(labels[rows], digests[rows]))
        digest.update("".join(lines).encode())
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
