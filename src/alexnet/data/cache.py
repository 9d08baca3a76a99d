"""Packs that `train` makes by itself, kept as long as the images stay what they were."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from alexnet.data.lock import only_process
from alexnet.data.pack import tell_skipped, write_pack
from alexnet.data.packed import VERSION, Packed, is_packed, open_packed
from alexnet.data.source import Source
from alexnet.data.state import state_of
from alexnet.data.stored import Crop, Format, storage_for
from alexnet.data.usable import refuse_unusable
from alexnet.errors import InputError
from alexnet.files import readable_bytes
from alexnet.progress import note


@dataclass(frozen=True)
class CacheEntry:
    """One pack in the cache.

    Attributes:
        path: its folder.
        spec: the source it was made from; empty where packing was interrupted.
        images: how many it holds.
        bytes: what it takes on the disk.
        finished: False where packing was interrupted, and will go on.
    """

    path: Path
    spec: str
    images: int
    bytes: int
    finished: bool


def cache_folder() -> Path:
    """$ALEXNET_CACHE, or ~/.cache/alexnet."""
    return Path(os.environ.get("ALEXNET_CACHE") or "~/.cache/alexnet").expanduser()


def packed_in_cache(
    source: Source,
    stored: int | None = None,
    crop: Crop = "centre",
    format: Format = "auto",
    size: int = 224,
) -> Packed:
    """The pack of `source` in the cache, made now if it is not there; arguments as for `pack`.

    Reused while every file keeps its path, size and time of change (arrays: their values). Two processes
    that want the same pack make it once: one packs, the other waits. A packed source is opened as it is.

    Raises:
        InputError: as `pack`; also where a packed source was stored otherwise than asked for.
    """
    if source.kind == "packed":
        return _opened_as_asked(source, stored, crop)
    refuse_unusable(source.classes, source.labels, source.spec, to_train=source.to_train)
    entry = cache_folder() / "packed" / f"{source.name}-{_key(source, stored, crop, format, size)}"
    if is_packed(entry):
        packed = _opened_or_dropped(entry)
        if packed:
            note(f"images: {entry} ({readable_bytes(_size(entry))}), packed earlier")
            tell_skipped(packed)
            return packed
    packed = write_pack(source, entry, storage_for(source, stored, crop, format, size), wait=True)
    note(f"images: packed into {entry} ({readable_bytes(_size(entry))}); `alexnet cache --clear` drops it")
    return packed


def cache_entries() -> list[CacheEntry]:
    """What lies in the cache, by name."""
    folder = cache_folder() / "packed"
    return [_entry(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []


def clear_cache() -> list[CacheEntry]:
    """Drop every pack in the cache but those that another process is writing; what was dropped."""
    dropped = []
    for entry in cache_entries():
        if entry.finished:
            shutil.rmtree(entry.path)
        else:
            try:
                with only_process(entry.path, wait=False):
                    shutil.rmtree(entry.path)
            except InputError:
                continue
        dropped.append(entry)
    return dropped


def _key(source: Source, stored: int | None, crop: str, format: str, size: int) -> str:
    if source.arrays is not None:  # what becomes of arrays is known without reading a file
        wanted = storage_for(source, stored, crop, format, size).described()  # type: ignore[arg-type]
    else:
        wanted = {
            "stored": stored or round(size * 256 / 224),
            "chosen": bool(stored),
            "crop": crop,
            "format": format,
        }
    facts = json.dumps([VERSION, state_of(source), wanted], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _opened_as_asked(source: Source, stored: int | None, crop: str) -> Packed:
    packed = open_packed(source.spec)
    if stored is not None and packed.stored != stored:
        raise InputError(
            f"{source.spec} is stored with a shorter side of {packed.stored} and {stored} is asked for; "
            "leave the stored size out, or pack the images again"
        )
    if crop == "none" and packed.manifest["crop"] == "centre":
        raise InputError(
            f"{source.spec} holds centre squares and whole images are asked for; pack again with --crop none"
        )
    return packed


def _opened_or_dropped(entry: Path) -> Packed | None:
    try:
        return open_packed(entry)
    except InputError as error:
        note(f"{error}: done now")
        shutil.rmtree(entry)
        return None


def _entry(path: Path) -> CacheEntry:
    finished = is_packed(path) and path.suffix != ".partial"
    manifest = json.loads((path / "manifest.json").read_bytes()) if finished else {"spec": "", "images": 0}
    return CacheEntry(path, manifest["spec"], manifest["images"], _size(path), finished)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
