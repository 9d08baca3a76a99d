"""Packs of any number of made-up images, written directly: what growth.py and gpu.py read.

A few distinct images are written again and again, each time to another place of the file, so that a hundred thousand of
them take a minute to write and are as many different pages to read.
"""

import hashlib
import io
import itertools
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet.bench.synthetic import synthetic_image
from alexnet.data import Packed, open_packed
from alexnet.data.packed import FORMAT, VERSION
from alexnet.data.source import NOT_GIVEN
from alexnet.data.stored import JPEG_QUALITY
from alexnet.files import write_json

DISTINCT = 256
BLOCK = 256e6  # bytes written at once


def write_made_pack(
    out: Path, count: int, side: int, layout: str, classes: int = 1000, distinct: int = DISTINCT
) -> Packed:
    """Write a pack of `count` square images; give it opened.

    Args:
        out: the new folder.
        count: images in all; none is given a part.
        side: of the images, in pixels.
        layout: "raw" or "jpeg".
        classes: labels go round.
        distinct: images that differ.
    """
    out.mkdir(parents=True)
    images = [synthetic_image(seed, side, side) for seed in range(min(distinct, count))]
    stored = [image.tobytes() if layout == "raw" else as_jpeg(image) for image in images]
    lengths = np.array([len(data) for data in stored])[np.arange(count) % len(stored)]
    shape = (count, side, side, 3) if layout == "raw" else (int(lengths.sum()),)
    with (out / "images.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        rows = itertools.islice(itertools.cycle(stored), count)
        at_once = max(1, int(BLOCK // max(map(len, stored))))
        while block := b"".join(itertools.islice(rows, at_once)):
            file.write(block)
    digests = [hashlib.sha256(row.to_bytes(8, "little")).digest() for row in range(count)]
    labels = np.arange(count, dtype=np.int64) % classes
    arrays = {
        "labels": labels,
        "given": np.full(count, NOT_GIVEN, np.uint8),
        "digests": np.frombuffer(b"".join(digests), np.uint8).reshape(count, 32),
        "paths": np.array([f"{row:08}".encode() for row in range(count)]),
        "offsets": np.concatenate([[0], lengths.cumsum()]).astype(np.int64),
        "shapes": np.tile(np.array([side, side, 3], np.int32), (count, 1)),
    }
    for name, array in arrays.items():
        if layout == "jpeg" or name not in ("offsets", "shapes"):
            np.save(out / f"{name}.npy", array)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "name": "made",
        "spec": "",
        "kind": "packed",
        "characters": False,
        "images": count,
        "classes": [f"{label:04}" for label in range(classes)],
        "counts": np.bincount(labels, minlength=classes).tolist(),
        "layout": layout,
        "jpeg_quality": JPEG_QUALITY if layout == "jpeg" else None,
        "shape": [side, side, 3],
        "native": False,
        "stored": side,
        "crop": "centre",
        "fingerprint": f"{count} images of {side} pixels as {layout}",
        "files": {},
        "skipped": [],
    }
    write_json(out / "manifest.json", manifest)
    return open_packed(out)


def as_jpeg(image: np.ndarray) -> bytes:
    """A JPEG file as packing writes it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
