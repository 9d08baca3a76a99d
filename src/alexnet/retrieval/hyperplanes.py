"""Codes by random hyperplanes: a bit says on which side of a plane through the mean a vector lies.

Two vectors differ in a bit with probability angle / pi, the angle seen from the mean, so that Hamming distances
order as angles do, the better the more bits. Source: M. Charikar, "Similarity Estimation Techniques from Rounding
Algorithms", 2002, section 3. Nothing is learned: what other codes are measured against.
"""

import numpy as np


def fit_hyperplanes(vectors: np.ndarray, bits: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw the normals of the planes: one layer, weight float32 [d, bits], bias 0.

    Args:
        vectors: float32 [n, d], centred; only their length counts.
        bits: how many planes.
        seed: of the normals.
    """
    normals = np.random.default_rng(seed).standard_normal((vectors.shape[1], bits), np.float32)
    return [(normals, np.zeros(bits, np.float32))]
