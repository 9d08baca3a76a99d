"""Claims about the test: how an answer is counted and what of a photograph is seen."""

import numpy as np
import pytest

from alexnet.evaluation.metrics import top_k, top_k_error


def test_claim_top5():
    """An image is right at top-5 when its label is among the five most probable of 1,000 classes."""
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(1000, 0.1), 200)
    order = np.argsort(-probabilities, axis=1)
    place = generator.integers(0, 10, 200)  # the label is the place-th most probable class
    labels = order[np.arange(200), place]
    assert top_k(1000) == 5
    assert top_k_error(probabilities, labels, 5) == pytest.approx(np.mean(place >= 5))
    assert top_k_error(probabilities, order[:, 4], 5) == 0.0
    assert top_k_error(probabilities, order[:, 5], 5) == 1.0


@pytest.mark.parametrize(("height", "width"), [(512, 768), (768, 512), (300, 300), (600, 512)])
def test_claim_resize(height, width):
    """The shorter side becomes 256 with the aspect kept, then the central 256x256 is taken."""
    from alexnet.images import centre_square, shorter_side_to

    # Brightness is the position along each axis, so that where a pixel came from can be read off it.
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([rows * 255 / height, columns * 255 / width, np.zeros_like(rows)], axis=2)
    image = np.round(image).astype(np.uint8)
    small = shorter_side_to(image, 256)
    scale = 256 / min(height, width)
    assert small.shape == (round(height * scale), round(width * scale), 3)
    square = centre_square(small)
    assert square.shape == (256, 256, 3)
    for axis, length in ((0, height), (1, width)):
        offset = (length * scale - 256) / 2
        for position in (8, 128, 247):
            source = (position + offset + 0.5) / (length * scale) * 255
            assert abs(float(square[position, position, axis]) - source) < 2
