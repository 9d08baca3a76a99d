"""Two nets asked about the same images: is the difference of their errors larger than chance?

Only images that one has right and the other wrong say anything. If the nets were equally good, each such image would
fall to either side like a coin: McNemar's test (Q. McNemar, "Note on the sampling error of the difference between
correlated proportions", 1947), here in its exact form.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from alexnet.errors import InputError

Z = 1.959964  # of 95 % in the normal distribution


@dataclass(frozen=True)
class Paired:
    """What the same images say of two nets.

    Attributes:
        images: how many both were asked about.
        only_first: images that the first alone has right.
        only_second: images that the second alone has right.
        difference: error of the second minus error of the first, -1..1.
        interval: of the difference, 95 %.
        p: probability of a difference at least so large between two equally good nets.
    """

    images: int
    only_first: int
    only_second: int
    difference: float
    interval: tuple[float, float]
    p: float


def paired(first: np.ndarray, second: np.ndarray) -> Paired:
    """Compare two nets image by image.

    The interval is the adjusted Wald interval for matched proportions of A. Agresti and Y. Min ("Simple improved
    confidence intervals for comparing matched proportions", 2005): half an image is added to each of the four cells.

    Args:
        first: whether the first net has each image right, bool [n].
        second: the same of the second, image by image.

    Raises:
        InputError: no image, or other numbers of them.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise InputError(f"answers {first.shape} and {second.shape}; give one of each for the same images, 1 or more")
    n = len(first)
    b, c = int((first & ~second).sum()), int((~first & second).sum())
    p = float(binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0
    middle = (b - c) / (n + 2)
    spread = Z * np.sqrt((b + c + 1) - (b - c) ** 2 / (n + 2)) / (n + 2)
    return Paired(n, b, c, (b - c) / n, (float(max(-1, middle - spread)), float(min(1, middle + spread))), p)


def common(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the images that two tests share, by SHA-256, in the first one's order.

    An image that stands in a test twice is matched with its first copy.

    Args:
        first: digests uint8 [n, 32].
        second: digests uint8 [m, 32].

    Returns:
        int64 [k] into the first, int64 [k] into the second.
    """
    place = {digest.tobytes(): number for number, digest in reversed(list(enumerate(second)))}
    both = [(here, place[digest.tobytes()]) for here, digest in enumerate(first) if digest.tobytes() in place]
    pairs = np.array(both, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
