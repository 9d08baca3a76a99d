"""Sets that go by a name: digits, which scikit-learn brings along."""

from pathlib import Path

import numpy as np

from .source import Source


def digits(root: Path | None) -> Source:
    """1,797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak 1998), bundled with scikit-learn."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.floor(bunch.images * (255 / 16) + 0.5).astype(np.uint8)  # 0..16 there
    return Source(
        name="digits",
        spec="digits",
        kind="named",
        classes=[str(name) for name in bunch.target_names],
        labels=bunch.target.astype(np.int64),
        given=np.zeros(len(images), np.uint8),
        paths=[f"digits/{row}" for row in range(len(images))],
        arrays=images,
        characters=True,
    )


NAMED = {"digits": digits}
