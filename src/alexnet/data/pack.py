"""Packing: every image decoded once, at its stored size, into plain .npy files.

The pack is written into OUT.partial/ and renamed when it is whole. There a journal says, block by
block, which images are on the disk; packing that was interrupted cuts the images' file back to the
last block in the journal and goes on after it. `packed.py` tells what the files hold.
"""

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from alexnet.data.journal import Journal
from alexnet.data.lock import only_process
from alexnet.data.packed import FORMAT, VERSION, Packed, fingerprint_of, is_packed, open_packed, sha256_of
from alexnet.data.parallel import in_threads
from alexnet.data.source import Problem, Source, printable
from alexnet.data.state import state_of
from alexnet.data.stored import JPEG_QUALITY, Crop, Format, Prepared, Storage, prepare, storage_for
from alexnet.data.usable import refuse_unusable
from alexnet.errors import InputError
from alexnet.files import flush_to_disk, readable_bytes, write_json
from alexnet.images import BACKGROUND
from alexnet.progress import note, track

HEADER_BYTES = 128  # of images.npy, written last, when its shape is known
BLOCK_IMAGES, BLOCK_BYTES = 256, 32e6  # what an interruption costs at most


def pack(
    source: Source,
    out: Path,
    stored: int | None = None,
    crop: Crop = "centre",
    format: Format = "auto",
    size: int = 224,
) -> Packed:
    """Write the images of `source` into the new folder `out`, in the source's order.

    Small images of one shape (at most 64 pixels a side) keep their size and channels, unless `stored`
    says otherwise; all others become RGB with their shorter side at `stored`, by default
    round(size * 256 / 224) pixels.

    Args:
        source: what to pack; a packed one is not packed again.
        out: a path where nothing is yet.
        stored: shorter side in pixels.
        crop: "centre" squares, or "none" for whole images.
        format: "raw", "jpeg" (quality 95), or "auto": raw as long as that stays under 4 GB.
        size: the side of the net's input in pixels.

    Raises:
        InputError: `out` exists, the disk is too full, or the source has a class without a readable
            image. What was packed by then stays in OUT.partial, and the same call goes on from there.
    """
    out = Path(out)
    if source.kind == "packed":
        raise InputError(f"{source.spec} is packed already; use it as it is")
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} exists and is not overwritten; choose another place or remove it")
    refuse_unusable(source.classes, source.labels, source.spec, to_train=source.to_train)
    return write_pack(source, out, storage_for(source, stored, crop, format, size), wait=False)


def write_pack(source: Source, out: Path, storage: Storage, wait: bool) -> Packed:
    """Write, or go on writing, the pack `out`; with `wait`, another process that does so is waited for."""
    partial = out.with_name(out.name + ".partial")
    try:
        with only_process(partial, wait):
            if is_packed(out):  # the process waited for has done it
                shutil.rmtree(partial)
                return open_packed(out)
            journal = _write_images(source, partial, storage)
            _finish(source, partial, storage, journal)
            partial.rename(out)
            for name in ("journal.jsonl", "purpose.json", "lock"):
                (out / name).unlink(missing_ok=True)
            flush_to_disk(out.parent)
    except OSError as error:
        explained = _explained(error, out.absolute().parent)
        if explained:
            raise explained from error
        raise
    packed = open_packed(out)
    tell_skipped(packed)
    return packed


def _explained(error: OSError, place: Path) -> InputError | None:
    """What a person can do where `place` is full or closed; None for other errors."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(
            f"the disk of {place} is full; make room and pack again, which goes on where it stopped, "
            "or choose another place or --format jpeg"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return InputError(
            f"{place} cannot be written ({error.strerror}); choose another place (for the cache: $ALEXNET_CACHE)"
        )
    return None


def tell_skipped(packed: Packed) -> None:
    """Note how many files were skipped, and for what; nothing where none was."""
    if packed.skipped:
        kinds = Counter(problem.kind for problem in packed.skipped)
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        note(f"skipped: {counts}; `alexnet check` and {packed.path}/manifest.json name each file")


def _write_images(source: Source, partial: Path, storage: Storage) -> Journal:
    journal = _journal_for(source, partial, storage)
    _refuse_full_disk(partial, storage.estimated_bytes(len(source)) - journal.end)
    images = partial / "images.npy"
    images.touch()
    with images.open("r+b") as file:
        file.truncate(HEADER_BYTES + journal.end)
        file.seek(0, os.SEEK_END)
        if journal.next:
            note(f"going on with {partial}: {journal.next:,} of {len(source):,} images are there")
        rows = range(journal.next, len(source))
        prepared = in_threads(lambda row: prepare(source, row, storage), rows)
        for block in _blocks(track(prepared, "packing", total=len(rows))):
            file.writelines(item.data for item in block if isinstance(item, Prepared))
            file.flush()
            os.fsync(file.fileno())
            journal.add(block)
        _write_header(file, storage, journal)
    return journal


def _journal_for(source: Source, partial: Path, storage: Storage) -> Journal:
    """The journal in `partial`; an empty one where it was about other images or another way to store them."""
    journal = Journal(partial / "journal.jsonl", len(source))
    purpose = {"version": VERSION, "state": state_of(source), "storage": storage.described()}
    with suppress(OSError, ValueError):
        if json.loads((partial / "purpose.json").read_bytes()) == purpose:
            journal.recover()
            return journal
    journal.path.unlink(missing_ok=True)
    write_json(partial / "purpose.json", purpose)
    return journal


def _blocks(items: Iterator[Prepared | Problem]) -> Iterator[list[Prepared | Problem]]:
    block: list[Prepared | Problem] = []
    size = 0
    for item in items:
        block.append(item)
        size += len(item.data) if isinstance(item, Prepared) else 0
        if len(block) == BLOCK_IMAGES or size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _write_header(file: BinaryIO, storage: Storage, journal: Journal) -> None:
    """The .npy header; NumPy pads it to the same length whatever the number of images."""
    if storage.layout == "raw" and storage.shape:
        shape: tuple[int, ...] = (int(journal.kept.sum()), *storage.shape)
    else:
        shape = (journal.end,)
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    assert len(header.getvalue()) == HEADER_BYTES
    file.seek(0)
    file.write(header.getvalue())


def _finish(source: Source, partial: Path, storage: Storage, journal: Journal) -> None:
    """Everything but the images' file, the manifest last."""
    kept = journal.kept
    labels, digests = source.labels[kept], journal.digests[kept]
    problems = [*source.problems, *journal.problems]
    refuse_unusable(source.classes, labels, source.spec, problems, source.to_train)
    paths = [printable(path).encode() for path, keep in zip(source.paths, kept) if keep]
    arrays = {
        "labels": labels,
        "given": source.given[kept],
        "digests": digests,
        "paths": np.array(paths, dtype=np.bytes_),
    }
    if not (storage.layout == "raw" and storage.shape):
        arrays["offsets"] = np.concatenate([[0], journal.ends[kept]]).astype(np.int64)
        arrays["shapes"] = journal.shapes[kept]
    for name, array in arrays.items():
        np.save(partial / f"{name}.npy", array)
    files = {}
    for name in ("images", *arrays):
        path = partial / f"{name}.npy"
        flush_to_disk(path)
        files[path.name] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    counts = np.bincount(labels, minlength=len(source.classes)).tolist()
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "name": source.name,
        "spec": source.spec,
        "kind": source.kind,
        "characters": source.characters,
        "images": int(kept.sum()),
        "classes": source.classes,
        "counts": counts,
        "layout": storage.layout,
        "jpeg_quality": JPEG_QUALITY if storage.layout == "jpeg" else None,
        "shape": list(storage.shape) if storage.shape else None,
        "native": storage.native,
        "stored": storage.side,
        "crop": storage.crop,
        "background": list(BACKGROUND),
        "fingerprint": fingerprint_of(source.classes, labels, digests),
        "files": files,
        "skipped": [asdict(problem) for problem in problems],
    }
    write_json(partial / "manifest.json", manifest)


def _refuse_full_disk(place: Path, needed: int) -> None:
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InputError(
            f"packing needs {readable_bytes(needed)} and {place.parent.resolve()} has "
            f"{readable_bytes(free)} free; choose another place, or --format jpeg, which takes about a sixth"
        )
