"""Distances of every query to every vector or code, a block at a time, in NumPy: what search is measured with.

The engines of an index answer faster and give only the nearest; measures need the whole ranking.
"""

import numpy as np


def squared_lengths(array: np.ndarray, block: int = 4096) -> np.ndarray:
    """Float32 [n], block by block: the array may be larger than memory."""
    parts = [array[i : i + block].astype(np.float32) for i in range(0, len(array), block)]
    return np.concatenate([np.einsum("nd,nd->n", part, part) for part in parts])


def squared_distances(queries: np.ndarray, array: np.ndarray, squares: np.ndarray, block: int = 4096) -> np.ndarray:
    """Squared L2 distances but for rounding: float32 [q, n].

    Args:
        queries: float [q, d].
        array: float [n, d], also a memory map.
        squares: of the array's rows, float32 [n].
    """
    asked = queries.astype(np.float32)
    out = np.empty((len(asked), len(array)), np.float32)
    for first in range(0, len(array), block):
        rows = slice(first, first + block)
        out[:, rows] = squares[rows] - 2 * (asked @ array[rows].astype(np.float32).T)
    return out + np.einsum("nd,nd->n", asked, asked)[:, None]


def as_words(codes: np.ndarray) -> np.ndarray:
    """Codes uint8 [n, bytes] as the widest words that they divide into, word by word: [words, n]."""
    width = next(size for size in (8, 4, 2, 1) if codes.shape[1] % size == 0)
    return np.ascontiguousarray(codes.view(f"u{width}").T)


def hamming(code: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Bits in which a code [words] differs from each of the codes [words, n]: int64 [n]."""
    apart = np.zeros(codes.shape[1], np.int64)
    for word, words in zip(code, codes):
        apart += np.bitwise_count(words ^ word)
    return apart
