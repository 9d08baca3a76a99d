"""What no net is needed for: the error of the commonest class, and of the nearest training image by pixels.

A net that does not beat both has learned nothing of use.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from PIL import Image

from alexnet.errors import InputError
from alexnet.evaluation.sharing import in_order, own

SIDE = 32
"""Images are compared at this many pixels a side at most."""


class Pixels(Protocol):
    """What is needed of packed data."""

    labels: np.ndarray
    digests: np.ndarray

    def read(self, rows: np.ndarray) -> np.ndarray | Sequence[np.ndarray]:
        """Give uint8 [k, h, w, c], or a list of [h, w, c] (or [h, w]) where sizes differ."""
        ...


def majority_error(train_labels: np.ndarray, test_labels: np.ndarray, classes: int) -> float:
    """Error of always answering the training part's commonest class (of equals, the first).

    Raises:
        InputError: a part without images.
    """
    if not len(train_labels) or not len(test_labels):
        raise InputError(f"{len(train_labels)} training and {len(test_labels)} test images; give 1 or more of each")
    commonest = int(np.bincount(train_labels, minlength=classes).argmax())
    return float(np.mean(np.asarray(test_labels) != commonest))


def nearest_pixel_error(
    packed: Pixels,
    train_rows: np.ndarray,
    test_rows: np.ndarray,
    limit: tuple[int, int] = (10_000, 2_000),
) -> dict[str, Any]:
    """Error of answering with the label of the nearest training image, by L2 distance of the pixels.

    Images of one size of at most 32x32 are compared as they are; others are cut to their central square
    and shrunk to 32x32. Large parts are thinned to `limit` training and test images: those whose SHA-256
    digests rank first, the same choice on every machine and as good as random.

    Args:
        packed: where the images lie.
        train_rows: int64 [n], its training part.
        test_rows: int64 [m], the images to answer for.
        limit: most training and test images to use.

    Returns:
        {"error", "images" (tested), "training_images", "how" (one sentence for the reader)}.

    Raises:
        InputError: a part without images.
    """
    from sklearn.neighbors import KNeighborsClassifier

    if not len(train_rows) or not len(test_rows):
        raise InputError(f"{len(train_rows)} training and {len(test_rows)} test images; give 1 or more of each")
    train, test = (first_by_rank(packed, rows, most) for rows, most in zip((train_rows, test_rows), limit))
    nearest = KNeighborsClassifier(n_neighbors=1, algorithm="brute")
    nearest.fit(_vectors(packed, train), packed.labels[train])
    wrong = nearest.predict(_vectors(packed, test)) != packed.labels[test]
    thinned = len(train) < len(train_rows) or len(test) < len(test_rows)
    how = f"nearest of {len(train):,} training images by L2 distance at {SIDE}x{SIDE} pixels or fewer"
    if thinned:
        how += f"; a sample, first by SHA-256 of {len(train_rows):,} training and {len(test_rows):,} test images"
    return {"error": float(wrong.mean()), "images": len(test), "training_images": len(train), "how": how}


def first_by_rank(packed: Pixels, rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows: those whose SHA-256 ranks first, as good as random, the same everywhere."""
    rows = np.asarray(rows, dtype=np.int64)
    if len(rows) <= most:
        return rows
    return np.sort(np.array(sorted(rows, key=lambda row: packed.digests[row].tobytes())[:most], dtype=np.int64))


def _vectors(packed: Pixels, rows: np.ndarray, together: int = 256) -> np.ndarray:
    """Float32 [k, pixels], read a few images at a time so that photographs do not fill the memory."""

    def read(start: int) -> np.ndarray:
        part = packed.read(rows[start : start + together])
        if not isinstance(part, np.ndarray) or max(part.shape[1:3]) > SIDE:
            part = np.stack([_small_square(image) for image in part])
        return part.reshape(len(part), -1).astype(np.float32)

    starts = range(0, len(rows), together)
    return np.concatenate(list(in_order(map(read, own(starts)), len(starts))))


def _small_square(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    grey = image.ndim == 3 and image.shape[2] == 1
    small = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if grey else image)).resize(
        (SIDE, SIDE), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
    )
    return np.asarray(small)
