"""Everything about a source that a person should know before any training."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from alexnet.data.packed import open_packed
from alexnet.data.parallel import in_threads
from alexnet.data.source import Problem, Source, printable
from alexnet.data.split import may_share_bytes, split_rows
from alexnet.data.usable import unusable
from alexnet.errors import InputError
from alexnet.images import ImageProblem, read_bytes, read_image
from alexnet.progress import track

TINY = 10  # images; a class with fewer has one or two to test on
UNBALANCED = 10  # times the smallest class
FATAL = ("no-image", "one-class", "empty-class", "conflicting-labels", "no-split", "checksum")


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        images: that can be read.
        classes: how many of them each class has.
        problems: unreadable files by `ImageProblem`'s kinds; "beside-classes", "bad-line", "unknown-class";
            "duplicate" (equal bytes, one label), "same-pixels" (equal pixels in other bytes),
            "in-two-parts" (equal bytes in two given parts), "tiny-class", "unbalanced"; and those that
            training cannot go on with: FATAL.
        parts: how many images each part gets; empty where they cannot be parted.
        notes: how the parts came about.
        usable: whether training can go on.
    """

    images: int
    classes: dict[str, int]
    problems: list[Problem]
    parts: dict[str, int]
    notes: list[str]
    usable: bool

    def to_dict(self) -> dict[str, Any]:
        """As one JSON document."""
        return asdict(self)


def check(source: Source, test: float = 0.2, validation: float = 0.1) -> Report:
    """Decode every image of `source` and report what is wrong, and how it would be parted."""
    if source.kind == "packed":
        packed = open_packed(source.spec)
        problems = [*packed.skipped, *packed.verify()]
        digests = pixels = packed.digests
        kind = packed.kind
        kept = np.ones(len(packed), bool)
    else:
        problems = list(source.problems)
        kind = source.kind
        digests, pixels, kept = _examined(source, problems)
    rows = np.flatnonzero(kept)
    labels = source.labels[rows]
    problems += _alike(source, may_share_bytes(kind), rows, digests, pixels)
    problems += _about_classes(source.classes, labels)
    parts: dict[str, int] = {}
    notes: list[str] = []
    if not any(problem.kind in FATAL for problem in problems):
        try:
            found = split_rows(labels, source.given[rows], digests[rows], source.classes, test, validation)
            parts = {name: len(getattr(found, name)) for name in ("train", "validation", "test", "left_out")}
            notes = found.notes
        except InputError as error:
            problems.append(Problem(source.name, "no-split", str(error)))
    counts = np.bincount(labels, minlength=len(source.classes)).tolist()
    return Report(
        images=len(rows),
        classes=dict(zip(source.classes, counts)),
        problems=problems,
        parts=parts,
        notes=notes,
        usable=not any(problem.kind in FATAL for problem in problems),
    )


def _examined(source: Source, problems: list[Problem]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """SHA-256 of each image's bytes and of its pixels, uint8 [n, 32], and which can be read, bool [n]."""
    digests = np.zeros((len(source), 32), np.uint8)
    pixels = np.zeros((len(source), 32), np.uint8)
    kept = np.zeros(len(source), bool)

    def examine(row: int) -> tuple[bytes, bytes] | ImageProblem:
        try:
            if source.arrays is not None:
                own = hashlib.sha256(source.arrays[row].tobytes()).digest()
                return own, own
            data = read_bytes(source.file(row))
            image = read_image(data)
            shown = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
            return hashlib.sha256(data).digest(), shown
        except ImageProblem as problem:
            return problem

    examined = in_threads(examine, range(len(source)))
    for row, found in enumerate(track(examined, "checking", total=len(source))):
        if isinstance(found, ImageProblem):
            problems.append(Problem(printable(source.paths[row]), found.kind, found.detail))
        else:
            digests[row], pixels[row] = (np.frombuffer(digest, np.uint8) for digest in found)
            kept[row] = True
    return digests, pixels, kept


def _alike(source: Source, may_share: bool, rows: np.ndarray, digests: np.ndarray, pixels: np.ndarray) -> list[Problem]:
    """Pairs of images with equal bytes, or equal pixels; each image named once, with the first like it."""
    problems = []
    first_bytes: dict[bytes, int] = {}
    first_pixels: dict[bytes, int] = {}
    for row in rows.tolist():
        same_bytes = first_bytes.setdefault(digests[row].tobytes(), row)
        same_pixels = first_pixels.setdefault(pixels[row].tobytes(), row)
        path = printable(source.paths[int(row)])
        if same_bytes != row:
            other = printable(source.paths[same_bytes])
            mine, its = (source.classes[source.labels[i]] for i in (row, same_bytes))
            if mine != its and not may_share:
                problems.append(Problem(path, "conflicting-labels", f"{mine!r}, and {other} with equal bytes {its!r}"))
            elif mine != its:
                problems.append(Problem(path, "same-pixels", f"{mine!r}, and {other} with equal pixels {its!r}"))
            elif source.given[row] != source.given[same_bytes]:
                problems.append(Problem(path, "in-two-parts", f"equal bytes in another part: {other}"))
            else:
                problems.append(Problem(path, "duplicate", f"equal bytes: {other}"))
        elif same_pixels != row:
            mine, its = (source.classes[source.labels[i]] for i in (row, same_pixels))
            labels = "" if mine == its else f", under two labels ({mine!r}, {its!r})"
            other = printable(source.paths[same_pixels])
            problems.append(Problem(path, "same-pixels", f"equal pixels in other bytes: {other}{labels}"))
    return problems


def _about_classes(classes: list[str], labels: np.ndarray) -> list[Problem]:
    counts = np.bincount(labels, minlength=len(classes))
    problems = []
    if not len(labels) or len(classes) < 2:
        kind, words = unusable(classes, labels) or ("", "")
        problems.append(Problem(classes[0] if len(classes) == 1 else "", kind, words))
    for name, count in zip(classes, counts.tolist()):
        if count == 0:
            problems.append(Problem(name, "empty-class", "no readable image: add some or remove the class"))
        elif count < TINY:
            problems.append(Problem(name, "tiny-class", f"{count} images; its test error will say little"))
    smallest, largest = int(counts.argmin()), int(counts.argmax())
    if counts[smallest] and counts[largest] > UNBALANCED * counts[smallest]:
        problems.append(
            Problem(
                classes[smallest],
                "unbalanced",
                f"{counts[smallest]} images beside {counts[largest]} of {classes[largest]!r}; "
                "try --data.class_weights true",
            )
        )
    return problems
