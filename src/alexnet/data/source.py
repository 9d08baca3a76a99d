"""What a source of images is, whichever way its images lie."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

NOT_GIVEN, TRAIN, VALIDATION, TEST = 0, 1, 2, 3
PARTS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}


@dataclass(frozen=True)
class Problem:
    """Something about one file, class or pair of files that a person should know.

    Attributes:
        path: the file, relative to the source's folder where it lies in it; or a class.
        kind: one of `alexnet.images.ImageProblem`'s, or one that `alexnet.data.check` names.
        detail: one line.
    """

    path: str
    kind: str
    detail: str


@dataclass
class Source:
    """Labelled images, listed but not yet read.

    Attributes:
        name: short, fit for a folder's name: "digits", "photos".
        spec: what opens it again from anywhere: a name or an absolute path.
        kind: "folder", "list", "idx", "named", "imagenet", "dataset" (of torch) or "packed".
        classes: names, in the order of the labels.
        labels: int64 [n].
        given: uint8 [n], the part that the source puts the image in: 0 none, 1 train, 2 validation, 3 test.
        paths: of the files, relative to `folder` where they lie in it; names of the rows for arrays.
        folder: what relative paths are relative to; None for arrays.
        arrays: uint8 [n, h, w] or [n, h, w, c] where the images are no files.
        problems: found while listing: broken links, files beside the class folders, empty classes.
        characters: digits or letters, which a mirror would turn into something else.
        to_train: whether a classifier is to be trained on it, or it is only measured.
    """

    name: str
    spec: str
    kind: str
    classes: list[str]
    labels: np.ndarray
    given: np.ndarray
    paths: Sequence[str]
    folder: Path | None = None
    arrays: np.ndarray | None = None
    problems: list[Problem] = field(default_factory=list)
    characters: bool = False
    to_train: bool = True

    def __len__(self) -> int:
        return len(self.labels)

    def file(self, row: int) -> Path:
        """Where image `row` lies; only for sources of files."""
        assert self.folder is not None
        return self.folder / self.paths[row]


def printable(path: str) -> str:
    """`path` as text that every terminal and JSON file takes: bytes that are no UTF-8 become \\x.. ."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
