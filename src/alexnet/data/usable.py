"""Whether a classifier can be trained on a set at all."""

from collections.abc import Sequence

import numpy as np

from alexnet.data.source import Problem
from alexnet.errors import InputError


def refuse_unusable(
    classes: list[str], labels: np.ndarray, spec: str, problems: Sequence[Problem] = (), to_train: bool = True
) -> None:
    """Raise InputError where no image, only one class or an empty class is there; name what was skipped.

    Images that are only measured may be of one class, and of classes without an image.
    """
    reason = unusable(classes, labels)
    if reason and not to_train and reason[0] != "no-image":
        return
    if reason:
        skipped = f" ({len(problems)} skipped, first {problems[0].path}: {problems[0].detail})" if problems else ""
        raise InputError(f"{spec}: {reason[1]}{skipped}; `alexnet check` lists every file")


def unusable(classes: list[str], labels: np.ndarray) -> tuple[str, str] | None:
    """The kind and the words of what is wrong, or None."""
    counts = np.bincount(labels, minlength=len(classes))
    empty = [classes[label] for label in np.flatnonzero(counts == 0)]
    if not len(labels):
        return "no-image", "not one readable image"
    if len(classes) < 2:
        return "one-class", f"{classes[0]!r} is the only class, and two or more are wanted"
    if empty:
        more = f" and {len(empty) - 1} more classes" if empty[1:] else ""
        return (
            "empty-class",
            f"class {empty[0]!r}{more} without a readable image: add some or remove the folder",
        )
    return None
