"""How good a ranking is: precision and recall at k, and average precision, by the images' labels.

An indexed image is relevant when it has the query's label. Images at one distance from the query, of which Hamming
distances give many, have no order among them: each figure is the mean over all orders of equal distances, in
closed form, so that the order of the files plays no part. Source of the means: F. McSherry, M. Najork, "Computing
information retrieval performance measures efficiently in the presence of tied scores", 2008.
"""

from typing import NamedTuple

import numpy as np


class Figures(NamedTuple):
    """Of one query, or means over queries; each 0..1.

    Attributes:
        precision: share of the first k that are relevant.
        recall: share of the relevant that are among the first k.
        average_precision: mean, over the relevant, of the precision where each stands.
    """

    precision: float
    recall: float
    average_precision: float


def of_distances(distances: np.ndarray, relevant: np.ndarray, k: int) -> Figures:
    """Figures of one query.

    Args:
        distances: float or int [n], to all indexed images.
        relevant: bool [n]; at least one.
        k: 1 to n.
    """
    order = np.argsort(distances)
    ordered, good = distances[order], relevant[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(ordered)])
    return of_groups(sizes, np.add.reduceat(good.astype(np.int64), starts), k)


def of_groups(sizes: np.ndarray, relevant: np.ndarray, k: int) -> Figures:
    """Figures of one query whose ranking is known group by group, nearest first.

    Args:
        sizes: int [g], images at each distance; zeros are allowed.
        relevant: int [g], how many of them are relevant; at least one in all.
        k: 1 to the number of images.
    """
    full = sizes > 0
    sizes, relevant = sizes[full].astype(np.float64), relevant[full].astype(np.float64)
    seen, found = np.cumsum(sizes), np.cumsum(relevant)
    total = found[-1]
    first = float(np.interp(k, np.r_[0, seen], np.r_[0, found]))  # a group cut by k gives its share
    # The i-th of a group of n with r relevant is relevant with probability r / n, and then has before it, in
    # the mean, the relevant of earlier groups and (i - 1)(r - 1) / (n - 1) of its own: precision over its place.
    before, before_found = seen - sizes, found - relevant
    rate = np.divide(relevant - 1, sizes - 1, out=np.zeros_like(sizes), where=sizes > 1)
    inverse = harmonic(int(seen[-1]))
    places = inverse[seen.astype(np.int64)] - inverse[before.astype(np.int64)]
    sums = relevant / sizes * ((before_found + 1 - rate * (before + 1)) * places + rate * sizes)
    return Figures(first / k, first / total, float(sums.sum() / total))


_HARMONIC = np.zeros(1)


def harmonic(n: int) -> np.ndarray:
    """The harmonic numbers 0, 1, 1 + 1/2, ... up to the n-th: float64 [n + 1 or more]."""
    global _HARMONIC
    if len(_HARMONIC) <= n:
        _HARMONIC = np.r_[0.0, np.cumsum(1 / np.arange(1, n + 1))]
    return _HARMONIC
