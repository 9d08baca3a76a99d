"""Three parts: train, validation and test, the same on every machine (design: the test is read once).

Within each class the images are ranked by the SHA-256 of their bytes, which is as good as chance and
depends on nothing but the images: not on names, order, folder or random generator.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import InputError
from .source import NOT_GIVEN, TEST, TRAIN, VALIDATION


class Content(Protocol):
    """What a split looks at: a `Packed`, or anything with the same fields."""

    kind: str
    classes: list[str]
    labels: np.ndarray
    given: np.ndarray
    digests: np.ndarray

    @property
    def paths(self) -> list[str]:
        """What the images are called in messages."""
        ...


@dataclass(frozen=True)
class Parts:
    """Rows of each part, int64, ascending.

    Attributes:
        train, validation, test: the three parts.
        left_out: training images whose bytes equal one of another part.
        notes: what a person should know about how it came about.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    left_out: np.ndarray
    notes: list[str]


def split(packed: Content, test: float = 0.2, validation: float = 0.1) -> Parts:
    """Part the images by decision: given parts as they are, the rest by rank of SHA-256.

    Without given parts the first round(test * n) of each class are the test, the next
    round(validation * n) the validation, the rest the training part. Where the source gives a
    validation part and no test, the given part is the test; where it gives no validation part beside
    the test, round(validation * n) of each class's training images are taken for it. Equal bytes are
    never parted.

    Raises:
        InputError: equal bytes under two labels, a class without a training image, or shares that leave none.
    """
    if not (0 <= test < 1 and 0 <= validation < 1 and test + validation < 1):
        raise InputError(
            f"shares test {test} and validation {validation} leave nothing to train on; "
            "give two numbers from 0 that stay under 1 together"
        )
    refuse_two_labels(packed)
    digests = (
        np.ascontiguousarray(packed.digests).view("S32")[:, 0] if len(packed.digests) else np.array([], "S32")
    )
    # "S32" drops zero bytes at the end, which are compared as if they were there: nothing is lost.
    part = packed.given.copy()
    notes: list[str] = []
    left_out = np.zeros(len(part), bool)
    if part.any():
        _follow_given(part, left_out, digests, notes)
        if not (part == TRAIN).any():
            raise InputError("the source gives a test part and no training part; add train/ beside it")
        if not (part == VALIDATION).any():
            _take(part, packed.labels, digests, {VALIDATION: validation}, among=(part == TRAIN) & ~left_out)
            notes.append(f"validation: {validation:.0%} of each class's training images")
    else:
        part[:] = TRAIN
        _take(
            part, packed.labels, digests, {TEST: test, VALIDATION: validation}, among=np.ones(len(part), bool)
        )
    parts = Parts(
        *(np.flatnonzero((part == number) & ~left_out) for number in (TRAIN, VALIDATION, TEST)),
        left_out=np.flatnonzero(left_out),
        notes=notes,
    )
    _refuse_untrained(packed, parts)
    return parts


def refuse_two_labels(packed: Content) -> None:
    """Raise InputError where equal files lie under two labels; equal arrays may (tiny digits do)."""
    if packed.kind in ("named", "idx"):
        return
    first: dict[bytes, int] = {}
    for row, digest in enumerate(map(bytes, packed.digests)):
        other = first.setdefault(digest, row)
        if packed.labels[other] != packed.labels[row]:
            raise InputError(
                f"{packed.paths[other]} and {packed.paths[row]} have equal bytes and two labels "
                f"({packed.classes[packed.labels[other]]}, {packed.classes[packed.labels[row]]}); "
                "keep the right one (`alexnet check` names them all)"
            )


def _follow_given(part: np.ndarray, left_out: np.ndarray, digests: np.ndarray, notes: list[str]) -> None:
    """Complete the given parts, and leave out training images that another part holds too; in place."""
    if not (part == TEST).any():
        part[part == VALIDATION] = TEST
        notes.append("test: the part given as validation, as there is none given as test")
    undecided = part == NOT_GIVEN
    if undecided.any():
        part[undecided] = TRAIN
        notes.append(f"{undecided.sum():,} images without a given part go to training")
    for number, name, others in (
        (VALIDATION, "validation", (TEST,)),
        (TRAIN, "training", (TEST, VALIDATION)),
    ):
        held = np.isin(digests, digests[np.isin(part, others)]) & (part == number)
        left_out |= held
        if held.any():
            notes.append(f"{held.sum():,} {name} images left out: their bytes equal one that is tested on")


def _take(
    part: np.ndarray, labels: np.ndarray, digests: np.ndarray, shares: dict[int, float], among: np.ndarray
) -> None:
    """Give the first round(share * n) images of each class to the parts in `shares`, in place.

    A group of equal bytes goes where its first image goes; one that spans classes (arrays only)
    goes where its first class sends it.
    """
    decided: dict[bytes, int] = {}
    for label in np.unique(labels[among]):
        rows = np.flatnonzero(among & (labels == label))
        rows = rows[np.argsort(digests[rows], kind="stable")]
        ends, end = [], 0
        for number, share in shares.items():
            end += round(share * len(rows))
            ends.append((end, number))
        for rank, row in enumerate(rows):
            own = next((number for end, number in ends if rank < end), TRAIN)
            part[row] = decided.setdefault(bytes(digests[row]), own)


def _refuse_untrained(packed: Content, parts: Parts) -> None:
    counts = np.bincount(packed.labels[parts.train], minlength=len(packed.classes))
    missing = [packed.classes[label] for label in np.flatnonzero(counts == 0)]
    if missing:
        more = f" and {len(missing) - 1} more have" if missing[1:] else " has"
        raise InputError(
            f"class {missing[0]!r}{more} no training image; "
            "add images, or make the shares for test and validation smaller"
        )
