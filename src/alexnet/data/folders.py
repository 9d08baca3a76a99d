"""A folder of class folders, or one of train/, val/ and test/ with class folders inside."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from alexnet.data.source import NOT_GIVEN, PARTS, TRAIN, Problem, Source, printable
from alexnet.errors import InputError
from alexnet.images import problem_of

IGNORED = ("__MACOSX",)  # and all names that begin with a dot: what systems leave behind, nobody's images


def open_folder(folder: Path, to_train: bool = True) -> Source:
    """The images of a folder: the first level is the class, deeper files belong to it.

    Folders are followed through symbolic links. Files beside the class folders, broken links, loops and
    folders that may not be read become problems. Names that begin with a dot are passed over.

    Raises:
        InputError: there is no class folder, or none with a file in it.
    """
    problems: list[Problem] = []
    found: list[tuple[str, int, str]] = []  # class, part, path
    classes: set[str] = set()
    for part, part_folder in _parts(folder, problems, to_train):
        for name, paths in class_folders(folder, part_folder, problems):
            classes.add(name)
            found += [(name, part, path) for path in paths]
    if not classes:
        raise InputError(
            f"{folder} has no class folders; put the images of each class into a folder of its own "
            "inside it, or give a list of paths and labels"
        )
    if not found:
        raise InputError(f"{folder} has {len(classes)} class folders and not one file in them; nothing to learn from")
    names = sorted(classes)
    number = {name: label for label, name in enumerate(names)}
    labels = np.array([number[name] for name, _, _ in found], np.int64)
    return Source(
        name=short_name(folder),
        spec=str(folder.resolve()),
        kind="folder",
        classes=names,
        labels=labels,
        given=np.array([part for _, part, _ in found], np.uint8),
        paths=[path for _, _, path in found],
        folder=folder.resolve(),
        problems=problems,
        to_train=to_train,
    )


def class_folders(root: Path, folder: Path, problems: list[Problem]) -> Iterator[tuple[str, list[str]]]:
    """Each class folder in `folder` with its files at any depth, relative to `root`, sorted."""
    for class_folder in _subfolders(root, folder, problems):
        yield printable(class_folder.name), list(_files(class_folder, root, problems, [folder.resolve()]))


def short_name(path: Path) -> str:
    """The last part of a path without its suffix, with nothing in it that is awkward in a folder's name."""
    stem = printable(path.resolve().stem)
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem).strip("._") or "images"


def _parts(folder: Path, problems: list[Problem], to_train: bool) -> list[tuple[int, Path]]:
    """The folders that hold class folders, each with the part that it stands for.

    train/ is a part where it stands alone or beside val/ or test/; beside other folders it is a class
    (there are pictures of trains).
    """
    subfolders = _subfolders(folder, folder, [])
    by_part = {PARTS[sub.name.lower()]: sub for sub in subfolders if sub.name.lower() in PARTS}
    only_parts = bool(by_part) and len(by_part) == len(subfolders)
    if only_parts and not to_train:
        return sorted(by_part.items())
    if only_parts and TRAIN not in by_part:
        raise InputError(f"{folder} has {' and '.join(sub.name + '/' for sub in subfolders)} and no train/; add it")
    if TRAIN not in by_part or (len(by_part) == 1 and len(subfolders) > 1):
        return [(NOT_GIVEN, folder)]
    if not _subfolders(folder, by_part[TRAIN], []):
        raise InputError(
            f"{by_part[TRAIN]} has no class folders; put the images of each class into a folder of its own inside it"
        )
    for entry in _entries(folder, folder, problems):
        if Path(entry.path) not in by_part.values():
            problems.append(Problem(printable(entry.name), "beside-classes", "lies beside the parts: passed over"))
    return sorted(by_part.items())


def _subfolders(root: Path, folder: Path, problems: list[Problem]) -> list[Path]:
    """The folders in `folder`; what else lies there is a problem."""
    folders = []
    for entry in _entries(root, folder, problems):
        is_folder = _is_folder(entry, root, problems)
        if is_folder:
            folders.append(Path(entry.path))
        elif is_folder is False:
            path = printable(os.path.relpath(entry.path, root))
            problems.append(Problem(path, "beside-classes", "lies beside the class folders: passed over"))
    return folders


def _files(folder: Path, root: Path, problems: list[Problem], above: list[Path]) -> Iterator[str]:
    """The files under `folder`, relative to `root`, sorted; `above` are the real folders on the way here."""
    real = folder.resolve()
    if real in above:
        path = printable(os.path.relpath(folder, root))
        problems.append(Problem(path, "link-loop", f"leads back to {real}"))
        return
    for entry in _entries(root, folder, problems):
        is_folder = _is_folder(entry, root, problems)
        if is_folder:
            yield from _files(Path(entry.path), root, problems, [*above, real])
        elif is_folder is False:
            yield os.path.relpath(entry.path, root)


def _is_folder(entry: os.DirEntry[str], root: Path, problems: list[Problem]) -> bool | None:
    """Whether `entry` is a folder; None, and a problem, where its link leads nowhere."""
    try:
        return stat.S_ISDIR(entry.stat().st_mode)
    except OSError as error:
        problem = problem_of(entry.path, error)
        problems.append(Problem(printable(os.path.relpath(entry.path, root)), problem.kind, problem.detail))
        return None


def _entries(root: Path, folder: Path, problems: list[Problem]) -> list[os.DirEntry[str]]:
    """What lies in `folder`, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            kept = [e for e in entries if not e.name.startswith(".") and e.name not in IGNORED]
    except OSError as error:
        if folder == root:
            raise InputError(f"{folder} cannot be read ({error.strerror}); check who may read it") from error
        problem = problem_of(folder, error)
        problems.append(Problem(printable(os.path.relpath(folder, root)), problem.kind, problem.detail))
        return []
    return sorted(kept, key=lambda entry: entry.name)
