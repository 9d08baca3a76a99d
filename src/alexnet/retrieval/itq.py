"""Codes by principal components and iterative quantisation (ITQ).

The vectors are projected on their first `bits` principal components, and these are turned so that the turned
values lie as near to their signs as they can: the signs for the turn, the best turn for the signs, and so on.
Source: Y. Gong, S. Lazebnik, "Iterative Quantization: A Procrustean Approach to Learning Binary Codes", 2011,
section 2 (their 50 iterations too).
"""

import numpy as np

from alexnet.errors import InputError
from alexnet.retrieval.components import principal_components

ITERATIONS = 50


def fit_itq(vectors: np.ndarray, bits: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Fit components and turn: one layer, weight float32 [d, bits], bias 0.

    Args:
        vectors: float32 [n, d], centred.
        bits: at most n and d, as no more components are there.
        seed: of the first turn and of the randomised decomposition.

    Raises:
        InputError: more bits than vectors or than numbers in a vector.
    """
    if bits > min(vectors.shape):
        n, d = vectors.shape
        raise InputError(
            f"ITQ of {bits} bits needs as many principal components, and {n} vectors of {d} numbers have "
            f"{min(n, d)} at most: give fewer bits, or take hyperplanes"
        )
    components = principal_components(vectors, bits, seed)
    projected = vectors @ components
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((bits, bits)))[0].astype(np.float32)
    for _ in range(ITERATIONS):
        signs = np.where(projected @ turn > 0, np.float32(1), np.float32(-1))
        left, _, right = np.linalg.svd(projected.T @ signs)
        turn = left @ right
    return [((components @ turn).astype(np.float32), np.zeros(bits, np.float32))]
