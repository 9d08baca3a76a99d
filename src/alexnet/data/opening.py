"""One way in for every kind of source."""

from dataclasses import replace
from pathlib import Path

from alexnet.data.folders import open_folder
from alexnet.data.idx import has_idx, open_idx
from alexnet.data.imagenet import is_imagenet, open_imagenet
from alexnet.data.lists import open_list
from alexnet.data.named import NAMED, open_named
from alexnet.data.packed import is_packed, open_packed
from alexnet.data.source import Source
from alexnet.errors import InputError
from alexnet.progress import note

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
WANTED = "a folder of class folders, a list of paths and labels, a packed folder, a folder of IDX files"


def open_source(spec: str | Path, root: Path | None = None, to_train: bool = True) -> Source:
    """The labelled images that `spec` means, listed and not yet read.

    Args:
        spec: a name, one of NAMED, also as `name@folder` for the folder it lies in; or a path. A name
            wins over a folder called so: `./digits` is the folder.
        root: the folder that a named set lies in, or is fetched into.
        to_train: False for images that are only measured: one class is enough then, and a test/ without train/.

    Raises:
        InputError: nothing is there, or nothing that can be learned from.
    """
    name, _, place = str(spec).partition("@")
    if name in NAMED and not isinstance(spec, Path):
        if Path(name).is_dir():
            note(f"{name}: the set of that name; the folder here is ./{name}")
        if name == "imagenet" and root is None and not place:
            raise InputError("imagenet is not fetched; name the folder where it lies with --root, or as SOURCE")
        return open_named(name, Path(place) if place else root)
    path = Path(spec)
    try:
        if path.is_dir():
            return _open_directory(path, to_train)
        if path.is_file():
            return replace(_open_file(path), to_train=to_train)
    except PermissionError as error:
        raise InputError(f"{error.filename} cannot be read; check who may read it") from error
    raise InputError(f"there is no {spec}; give {WANTED}, or one of {', '.join(NAMED)}")


def _open_directory(path: Path, to_train: bool) -> Source:
    if is_packed(path):
        return _of_packed(path)
    if has_idx(path):
        return open_idx(path)
    if is_imagenet(path):
        return open_imagenet(path)
    return open_folder(path, to_train)


def _open_file(path: Path) -> Source:
    if path.suffix.lower() in ARCHIVES:
        raise InputError(f"{path} is an archive; unpack it and give the folder")
    return open_list(path)


def _of_packed(path: Path) -> Source:
    packed = open_packed(path)
    return Source(
        name=packed.name,
        spec=str(path.resolve()),
        kind="packed",
        classes=packed.classes,
        labels=packed.labels,
        given=packed.given,
        paths=packed.paths,
        problems=packed.skipped,
        characters=packed.characters,
    )
