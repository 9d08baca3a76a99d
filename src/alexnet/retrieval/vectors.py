"""Features of many images as they lie on the disk: plain .npy files and one manifest.json.

A folder of vectors is read by `np.load(..., mmap_mode="r")` without this package:

    manifest.json   what all this is: stage, net, weights, and the SHA-256 of each other file
    vectors.npy     float32 or float16 [n, d], row by row, so that it can be memory-mapped
    paths.npy       bytes [n], UTF-8, relative to the source's folder (`spec`) where the file lies in it
    labels.npy      int64 [n], numbers of `classes`; not there where the source has no classes
    digests.npy     uint8 [n, 32]      SHA-256 of each image's file, or of its pixels for arrays
    given.npy       uint8 [n]          the part that the source gives: 0 none, 1 train, 2 validation, 3 test
    rows.npy        int64 [n]          where the image stands in the pack (`packed`)
"""

import json
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from alexnet.data import Packed, Problem, is_packed, open_packed
from alexnet.data.packed import sha256_of
from alexnet.errors import InputError

FORMAT, VERSION = "alexnet-vectors", 1
THUMBNAIL = 96  # pixels of the longer side


class Vectors:
    """A folder of vectors, opened; made by `open_vectors`.

    Attributes:
        path: the folder.
        manifest: what manifest.json says.
        array: memory map, float32 or float16 [n, d].
        labels: int64 [n]; None where the source has no classes.
        classes: their names, in the order of the labels.
        digests: uint8 [n, 32], SHA-256 of each image.
        given: uint8 [n], the part that the source itself gives.
        rows: int64 [n], where each image stands in the pack `manifest["packed"]`.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]):
        self.path = path
        self.manifest = manifest
        self.classes: list[str] = manifest["classes"]
        self.array = self._array("vectors", mapped=True)
        self.labels = self._array("labels") if manifest["labelled"] else None
        self.digests = self._array("digests")
        self.given = self._array("given")
        self.rows = self._array("rows")

    def __len__(self) -> int:
        return len(self.array)

    @cached_property
    def paths(self) -> list[str]:
        """Of each image, as the source names it."""
        return [name.decode() for name in self._array("paths").tolist()]

    def label(self, row: int) -> str | None:
        """The name of an image's class; None where the source has no classes."""
        return None if self.labels is None else self.classes[self.labels[row]]

    def thumbnail(self, row: int) -> bytes | None:
        """A small picture of an image, a PNG or JPEG file; None where the pack that held it is gone or another."""
        if self._pack is None:
            return None
        image = self._pack.read(self.rows[row : row + 1])[0]
        picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
        small = max(picture.size) <= THUMBNAIL
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        file = BytesIO()
        picture.save(file, "PNG" if small else "JPEG", quality=85)
        return file.getvalue()

    @cached_property
    def _pack(self) -> Packed | None:
        path = Path(self.manifest["packed"])
        packed = open_packed(path) if is_packed(path) else None
        return packed if packed is not None and packed.fingerprint == self.manifest["fingerprint"] else None

    def verify(self) -> list[Problem]:
        """Files whose bytes are not those that were written."""
        return [
            Problem(name, "checksum", "changed since it was written; embed the images again")
            for name, facts in self.manifest["files"].items()
            if sha256_of(self.path / name) != facts["sha256"]
        ]

    def _array(self, name: str, mapped: bool = False) -> np.ndarray:
        path = self.path / f"{name}.npy"
        try:
            array = np.load(path, mmap_mode="r" if mapped else None)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path} cannot be read ({error}); embed the images again") from error
        if len(array) != self.manifest["images"]:
            raise InputError(
                f"{path} has {len(array)} rows and manifest.json says {self.manifest['images']}; embed the images again"
            )
        return array


def is_vectors(path: Path | str) -> bool:
    """Whether `path` is a folder with the manifest of vectors."""
    try:
        manifest = json.loads((Path(path) / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def open_vectors(path: Path | str) -> Vectors:
    """The vectors in folder `path`, in milliseconds: the large file is mapped, not read.

    Raises:
        InputError: it is no folder of vectors, of another version, or a file of it is damaged.
    """
    path = Path(path)
    if not is_vectors(path):
        begun = path.with_name(path.name + ".partial")
        if begun.is_dir():
            raise InputError(f"{path} is not finished ({begun.name}); give the same `alexnet embed` again, it goes on")
        raise InputError(f"{path} is no folder of vectors (no manifest.json of one); make it with `alexnet embed`")
    manifest = json.loads((path / "manifest.json").read_bytes())
    if manifest.get("version") != VERSION:
        raise InputError(
            f"{path} has vectors of version {manifest.get('version')} and this program reads {VERSION}; "
            "embed the images again"
        )
    for name, facts in manifest["files"].items():
        size = (path / name).stat().st_size if (path / name).is_file() else 0
        if size != facts["bytes"]:
            raise InputError(f"{path / name} has {size:,} bytes of {facts['bytes']:,}; copy it again or embed again")
    return Vectors(path, manifest)
