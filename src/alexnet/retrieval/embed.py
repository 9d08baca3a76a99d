"""Embedding: the features of every image of a source, written into a folder of vectors.

The folder is written as OUT.partial/ and renamed when it is whole. Vectors are appended to their file and flushed
block by block, and `done.json` then says how many are surely there; a killed embedding cuts the file back to
that number and goes on after it. Of several processes each computes its share of the batches and the first writes
what all of them made. The batches are those of one process, and so a killed embedding may go on with another number
of processes. `vectors.py` tells what the files hold.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from alexnet.checkpoint import read_card, weights_file
from alexnet.data import Batches, Packed, Source, packed_for
from alexnet.data.folders import short_name
from alexnet.data.idx import has_idx
from alexnet.data.imagenet import is_imagenet
from alexnet.data.lock import only_process
from alexnet.data.named import NAMED
from alexnet.data.packed import is_packed, sha256_of
from alexnet.errors import InputError
from alexnet.evaluation.evaluate import images_of, rows_of
from alexnet.evaluation.sharing import in_order, same_everywhere
from alexnet.files import flush_to_disk, readable_bytes, write_json
from alexnet.processes import is_first, rank, size, told_by_first, wait_for_all
from alexnet.progress import bar, note
from alexnet.recipes import recipe_from
from alexnet.retrieval.features import FeatureReader, feature_reader
from alexnet.retrieval.vectors import FORMAT, VERSION, Vectors, open_vectors

Split = Literal["train", "val", "test", "all"]

BLOCK = 1024
"""Vectors written between two flushes: what an interruption costs at most, a few seconds of a CPU."""

UNLABELLED = "no class"
"""The one class of a pack whose images have none; in the vectors' table they have no label."""


def embed(
    run: str | Path,
    source: str | Path | Source,
    out: str | Path,
    stage: str | None = None,
    split: Split = "all",
    float16: bool = False,
    normalise: bool = False,
    batch: int = 128,
    root: Path | None = None,
    device: str = "auto",
) -> Vectors:
    """Write the features of a source's images into the new folder `out`; see `vectors.py` for its files.

    Several processes share the work; on several machines `out` must lie where all of them find it.

    Args:
        run: a run's folder or a file of weights.
        source: a SOURCE of the command line, or a folder with nothing but images in it, which have no labels then.
        out: a path where nothing is yet.
        stage: by default the one that feeds the net's classifier: fc7 after its ReLU in AlexNet.
        split: "train", "val" or "test", by the same split that training uses, or all images.
        float16: numbers of 16 bits, in half the room; each is within 0.05 % of the one of 32 bits.
        normalise: divide each vector by its length (L2), so that distances order as cosines do.
        batch: images at once.
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".

    Returns: the vectors, memory-mapped, in the order of the pack.

    Raises:
        InputError: `out` exists; a stage that the net does not have; a source without images; a disk too small;
            features too large for float16. What was done by then stays, and the same call goes on from there.
    """
    out = Path(out)
    if told_by_first(out.exists() or out.is_symlink()):
        raise InputError(f"{out} exists and is not overwritten; choose another place or remove it")
    if batch < 1:
        raise InputError(f"a batch of {batch} images; give 1 or more")
    packed, reader, labelled = _opened(run, source, stage, normalise, root, device)
    rows = np.arange(len(packed)) if split == "all" else rows_of(packed, reader.card, split)[0]
    dtype = np.dtype(np.float16 if float16 else np.float32)
    manifest = {"format": FORMAT, "version": VERSION, "images": len(rows), "features": reader.features}
    manifest |= {"dtype": dtype.name} | reader.described()
    manifest |= {
        "source": packed.name,
        "spec": packed.spec,
        "kind": packed.kind,
        "native": packed.native,
        "split": split,
    }
    manifest |= {"fingerprint": packed.fingerprint, "labelled": labelled}
    manifest["classes"] = packed.classes if labelled else []
    manifest["order_sha256"] = sha256(packed.digests[rows].tobytes()).hexdigest()  # fingerprints know no order
    same_everywhere((manifest | {"spec": ""}, batch))  # a folder may have another name on another machine
    if is_first():
        _write(reader, packed, rows, out, manifest, batch, Path(run))
    else:
        for _ in _computed(reader, packed, rows, batch, dtype):
            pass  # the first process is given them
    wait_for_all()
    return open_vectors(out)


def _write(
    reader: FeatureReader, packed: Packed, rows: np.ndarray, out: Path, manifest: dict[str, Any], batch: int, run: Path
) -> None:
    """All files of `out`, from wherever an earlier process came to."""
    partial = out.with_name(out.name + ".partial")
    try:
        with only_process(partial, wait=False):
            _write_vectors(reader, packed, rows, partial, manifest, batch)
            # Where the run and the pack lie may change from one call to the next, and is no reason to begin anew.
            about = manifest | {"run": str(run.resolve()), "packed": str(packed.path.resolve())}
            _finish(packed, rows, partial, about)
            partial.rename(out)
            for name in ("purpose.json", "done.json", "lock"):
                (out / name).unlink(missing_ok=True)
            flush_to_disk(out.parent)
    except OSError as error:
        raise InputError(
            f"{partial} cannot be written ({error.strerror}); choose another place, or make room and give the same "
            "command, which goes on where it stopped"
        ) from error


def _opened(
    run: str | Path, source: str | Path | Source, stage: str | None, normalise: bool, root: Path | None, device: str
) -> tuple[Packed, FeatureReader, bool]:
    """The images as the net's recipe packs them, the net, and whether the images have classes."""
    file = weights_file(run)
    card = read_card(file)
    plain = None if isinstance(source, Source) else plain_folder(source)
    if plain is not None:
        packed = packed_for(plain, recipe_from(card.recipe))[0]
    else:
        packed = images_of(card, file.parent, source if isinstance(source, Source) else str(source), root)
    return packed, feature_reader(run, packed, stage, normalise, device), packed.classes != [UNLABELLED]


def plain_folder(spec: str | Path) -> Source | None:
    """The images of a folder with files and no folders inside, without classes; None where it is anything else."""
    folder = Path(spec)
    named = not isinstance(spec, Path) and spec.partition("@")[0] in NAMED
    if named or not folder.is_dir() or is_packed(folder) or has_idx(folder) or is_imagenet(folder):
        return None
    inside = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if not inside or any(entry.is_dir() for entry in inside):
        return None
    return Source(
        name=short_name(folder),
        spec=str(folder.resolve()),
        kind="folder",
        classes=[UNLABELLED],
        labels=np.zeros(len(inside), np.int64),
        given=np.zeros(len(inside), np.uint8),
        paths=[entry.name for entry in inside],
        folder=folder.resolve(),
        to_train=False,
    )


def _write_vectors(
    reader: FeatureReader, packed: Packed, rows: np.ndarray, partial: Path, manifest: dict[str, Any], batch: int
) -> None:
    """vectors.npy in `partial`, from wherever an earlier process came to."""
    done = _done(partial, manifest)
    dtype, features = np.dtype(manifest["dtype"]), manifest["features"]
    needed = (len(rows) - done) * features * dtype.itemsize
    free = shutil.disk_usage(partial).free
    if needed > free:
        raise InputError(
            f"the vectors take {readable_bytes(needed)} and {partial.parent.resolve()} has {readable_bytes(free)} "
            "free; choose another place, or --float16"
        )
    path = partial / "vectors.npy"
    path.touch()
    with path.open("r+b") as file:
        header = {"descr": dtype.newbyteorder("<").str, "fortran_order": False, "shape": (len(rows), features)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + done * features * dtype.itemsize)
        file.seek(0, os.SEEK_END)
        if done:
            note(f"going on with {partial}: {done:,} of {len(rows):,} images are there")
        _append(_computed(reader, packed, rows, batch, dtype, done), file, partial, done, len(rows), reader.stage)


def _computed(
    reader: FeatureReader, packed: Packed, rows: np.ndarray, batch: int, dtype: np.dtype, done: int = 0
) -> Iterator[np.ndarray]:
    """The vectors of all batches, in order; called by all processes, given to the first.

    Args:
        done: how many are there already, as the first process finds them; the others learn it from there.
    """
    done = told_by_first(done)
    if done == len(rows):
        return
    batches = Batches(packed, rows[done:], batch, None)
    own = batches.epoch(0, rank(), size())
    made = (_as_stored(reader.of_stored(step.images), dtype, reader.stage) for step in own)
    yield from in_order(made, batches.steps, everywhere=False)


def _append(computed: Iterator[np.ndarray], file: BinaryIO, partial: Path, done: int, images: int, stage: str) -> None:
    """Write vectors after the `done` that lie in the file."""
    began, written, count = time.monotonic(), done, images - done
    with bar() as progress:
        task = progress.add_task(f"embedding, {stage}", total=images, completed=done, status="")
        for vectors in computed:
            file.write(vectors.tobytes())
            written += len(vectors)
            if written - done >= BLOCK:
                file.flush()
                os.fsync(file.fileno())
                write_json(partial / "done.json", written)
                done = written
            progress.advance(task, len(vectors))
    seconds = max(time.monotonic() - began, 1e-9)
    if count:
        note(f"embedded {count:,} images in {seconds:.1f} s: {count / seconds:,.0f} a second")


def _as_stored(vectors: np.ndarray, dtype: np.dtype, stage: str) -> np.ndarray:
    largest = np.abs(vectors).max(initial=0)
    if dtype == np.float16 and largest > np.finfo(np.float16).max:
        raise InputError(
            f"{stage} gives numbers up to {largest:,.0f}, beyond float16: leave --float16 out, or add --normalise"
        )
    return vectors.astype(dtype)


def _done(partial: Path, manifest: dict[str, Any]) -> int:
    """How many vectors of this very purpose lie in `partial`; 0, and the purpose written down, where none do."""
    with suppress(OSError, ValueError):
        if json.loads((partial / "purpose.json").read_bytes()) == manifest:
            with suppress(FileNotFoundError):
                return int(json.loads((partial / "done.json").read_bytes()))
            return 0
    (partial / "done.json").unlink(missing_ok=True)
    write_json(partial / "purpose.json", manifest)
    return 0


def _finish(packed: Packed, rows: np.ndarray, partial: Path, manifest: dict[str, Any]) -> None:
    """Everything but the vectors, the manifest last."""
    tables = {
        "paths": np.array([packed.paths[int(row)].encode() for row in rows], dtype=np.bytes_),
        "digests": packed.digests[rows],
        "given": packed.given[rows],
        "rows": rows.astype(np.int64),
    }
    if manifest["labelled"]:
        tables["labels"] = packed.labels[rows]
    for name, array in tables.items():
        np.save(partial / f"{name}.npy", array)
    files = {}
    for name in ("vectors", *tables):
        path = partial / f"{name}.npy"
        flush_to_disk(path)
        files[path.name] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    write_json(partial / "manifest.json", manifest | {"files": files, "skipped": [asdict(p) for p in packed.skipped]})
