"""The directions in which vectors differ most."""

import numpy as np

POWER = 3  # iterations of the randomised decomposition: each reads all vectors twice


def principal_components(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The first principal components, one a column: float32 [d, count], orthonormal.

    Args:
        vectors: float32 [n, d], centred.
        count: at most n and d.
        seed: of the randomised decomposition (scikit-learn's, after Halko, Martinsson, Tropp, 2011).
    """
    from sklearn.decomposition import PCA

    # Without stubs, the type of the power is read off its default, "auto".
    fitted = PCA(count, svd_solver="randomized", iterated_power=POWER, random_state=seed)  # type: ignore[arg-type]
    fitted.fit(vectors)
    return np.ascontiguousarray(np.asarray(fitted.components_, np.float32).T)
