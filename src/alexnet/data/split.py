"""Three parts: train, validation and test, the same on every machine; the test is read once.

Within each class the images are ranked by the SHA-256 of their bytes, which is as good as chance and
depends on nothing but the images: not on names, order, folder or random generator.
"""

from dataclasses import dataclass

import numpy as np

from alexnet.data.packed import Packed
from alexnet.data.source import NOT_GIVEN, TEST, TRAIN, VALIDATION
from alexnet.errors import InputError


@dataclass(frozen=True)
class Parts:
    """Rows of each part, int64, ascending.

    Attributes:
        train, validation, test: the three parts.
        left_out: images whose bytes equal one of another part that is given.
        notes: what a person should know about how it came about.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    left_out: np.ndarray
    notes: list[str]


def split(packed: Packed, test: float = 0.2, validation: float = 0.1) -> Parts:
    """The three parts of a pack.

    Without given parts (training alone counts as none) the first round(test * n) of each class are the test, the next
    round(validation * n) the validation, the rest the training part. Given parts stay as they are. Where
    the source gives a validation part and no test, that is the test; where it gives no validation part
    beside the test, round(validation * n) of each class's training images are taken for it. Equal bytes
    never come to two parts.

    Raises:
        InputError: equal files under two labels, a class without a training image, or shares that leave
            nothing to train on.
    """
    _refuse_two_labels(packed)
    return split_rows(packed.labels, packed.given, packed.digests, packed.classes, test, validation)


def split_rows(
    labels: np.ndarray,
    given: np.ndarray,
    digests: np.ndarray,
    classes: list[str],
    test: float,
    validation: float,
) -> Parts:
    """`split` of images by their labels int64 [n], given parts uint8 [n] and digests uint8 [n, 32]."""
    if not (0 <= test < 1 and 0 <= validation < 1 and test + validation < 1):
        raise InputError(
            f"shares of {test} for the test and {validation} for validation leave nothing to train on; "
            "give two numbers from 0 that stay under 1 together"
        )
    # As byte strings, digests sort and compare in one go; zero bytes at the end count as if they were there.
    keys = np.ascontiguousarray(digests).view("S32")[:, 0]
    part = given.copy()
    left_out = np.zeros(len(part), bool)
    notes: list[str] = []
    if np.isin(part, [VALIDATION, TEST]).any():
        _follow_given(part, left_out, keys, notes)
        if not (part == TRAIN).any():
            raise InputError("the source gives a part for testing and none for training; add train/ beside it")
        if not (part == VALIDATION).any():
            _take(part, labels, keys, {VALIDATION: validation}, among=(part == TRAIN) & ~left_out)
            notes.append(f"validation: {validation:.0%} of each class's training images")
    else:
        part[:] = TRAIN
        _take(part, labels, keys, {TEST: test, VALIDATION: validation}, among=~left_out)
    _refuse_untrained(labels[(part == TRAIN) & ~left_out], classes)
    train, held, tested = (np.flatnonzero((part == number) & ~left_out) for number in (TRAIN, VALIDATION, TEST))
    return Parts(train, held, tested, np.flatnonzero(left_out), notes)


def may_share_bytes(kind: str) -> bool:
    """Whether equal images may carry two labels.

    In published sets and arrays they may, which stay as they are; in somebody's own files it is a
    mistake to be put right.
    """
    return kind in ("named", "idx", "imagenet", "dataset")


def _follow_given(part: np.ndarray, left_out: np.ndarray, keys: np.ndarray, notes: list[str]) -> None:
    """Complete the given parts, and mark what another part holds too; in place."""
    if not (part == TEST).any():
        part[part == VALIDATION] = TEST
        notes.append("test: the part given as validation, as none is given as test")
    again = _perhaps_repeated(keys)
    undecided = part == NOT_GIVEN
    if undecided.any():
        part[undecided] = TRAIN
        notes.append(f"{undecided.sum():,} images without a given part go to training")
    for number, name, others in (
        (VALIDATION, "validation", [TEST]),
        (TRAIN, "training", [TEST, VALIDATION]),
    ):
        held = np.flatnonzero((part == number) & again)
        held = held[np.isin(keys[held], keys[np.isin(part, others) & again])]
        left_out[held] = True
        if len(held):
            notes.append(f"{len(held):,} {name} images left out: equal ones are in a part that is tested on")


def _take(part: np.ndarray, labels: np.ndarray, keys: np.ndarray, shares: dict[int, float], among: np.ndarray) -> None:
    """Give the first round(share * n) images of each class to the parts in `shares`, in place.

    A group of equal bytes goes where its first image goes; a group that spans classes goes where the
    first of these classes sends it.
    """
    rows = np.flatnonzero(among)
    rows = rows[np.argsort(labels[rows], kind="stable")]
    wanted = part.copy()
    for own in np.split(rows, np.flatnonzero(np.diff(labels[rows])) + 1):
        own = own[np.argsort(keys[own], kind="stable")]
        wanted[own] = TRAIN
        start = 0
        for number, share in shares.items():
            end = start + round(share * len(own))
            wanted[own[start:end]] = number
            start = end
    part[:] = wanted
    again = _perhaps_repeated(keys)
    sent: dict[bytes, int] = {}
    for row in rows[again[rows]]:  # class by class
        part[row] = sent.setdefault(bytes(keys[row]), int(wanted[row]))


def _perhaps_repeated(keys: np.ndarray) -> np.ndarray:
    """Of the keys S32 [n] those that begin like another, bool [n]: by chance hardly any, and only they can be equal."""
    starts = np.ascontiguousarray(keys).view(np.uint64).reshape(-1, 4)[:, 0]
    order = np.argsort(starts)
    equal = starts[order][1:] == starts[order][:-1]
    again = np.zeros(len(keys), bool)
    again[order[1:][equal]] = True
    again[order[:-1][equal]] = True
    return again


def _refuse_two_labels(packed: Packed) -> None:
    if may_share_bytes(packed.kind):
        return
    keys = np.ascontiguousarray(packed.digests).view("S32")[:, 0]
    first: dict[bytes, int] = {}
    for row in np.flatnonzero(_perhaps_repeated(keys)).tolist():
        other = first.setdefault(bytes(keys[row]), row)
        if packed.labels[other] != packed.labels[row]:
            raise InputError(
                f"{packed.paths[other]} and {packed.paths[row]} have equal bytes and two labels "
                f"({packed.classes[packed.labels[other]]}, {packed.classes[packed.labels[row]]}); "
                "keep the right one (`alexnet check` names them all)"
            )


def _refuse_untrained(train_labels: np.ndarray, classes: list[str]) -> None:
    counts = np.bincount(train_labels, minlength=len(classes))
    missing = [classes[label] for label in np.flatnonzero(counts == 0)]
    if missing:
        more = f" and {len(missing) - 1} more classes have" if missing[1:] else " has"
        raise InputError(
            f"class {missing[0]!r}{more} no training image; "
            "add images, or make the shares for test and validation smaller"
        )
