import hashlib
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from alexnet.errors import InputError
from alexnet.evaluation.baselines import majority_error, nearest_pixel_error


@dataclass
class Pack:
    images: list | np.ndarray
    labels: np.ndarray

    @property
    def digests(self):
        return np.stack(
            [np.frombuffer(hashlib.sha256(np.ascontiguousarray(i)).digest(), np.uint8) for i in self.images]
        )

    def read(self, rows):
        if isinstance(self.images, np.ndarray):
            return self.images[rows]
        return [self.images[row] for row in rows]


def test_majority_answers_the_commonest_training_class_whatever_the_test_holds():
    assert majority_error(np.array([0, 1, 1]), np.array([0, 0, 0, 1]), 3) == 0.75
    assert majority_error(np.array([2, 1]), np.array([1, 2]), 3) == 0.5
    assert majority_error(np.array([0]), np.array([2, 2]), 3) == 1.0


def test_parts_without_images_are_an_error():
    with pytest.raises(InputError, match="0 test images"):
        majority_error(np.array([0]), np.array([], int), 2)
    with pytest.raises(InputError, match="0 training"):
        nearest_pixel_error(Pack(np.zeros((1, 2, 2, 1), np.uint8), np.zeros(1, int)), np.array([], int), np.array([0]))


def test_nearest_pixels_agree_with_a_loop_over_all_pairs():
    generator = np.random.default_rng(0)
    pack = Pack(generator.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), generator.integers(0, 3, 60))
    train, test = np.arange(40), np.arange(40, 60)
    wrong = 0
    for t in test:
        distances = [((pack.images[t].astype(float) - pack.images[r].astype(float)) ** 2).sum() for r in train]
        wrong += pack.labels[train[int(np.argmin(distances))]] != pack.labels[t]
    found = nearest_pixel_error(pack, train, test)
    assert found["error"] == pytest.approx(wrong / 20)
    assert 0 < found["error"] < 1
    assert found["images"] == 20
    assert "sample" not in found["how"]


def test_photographs_of_unlike_sizes_are_compared_by_their_central_square():
    generator = np.random.default_rng(1)
    scenes = [generator.integers(0, 256, (6, 6, 3), dtype=np.uint8) for _ in range(3)]

    def photograph(scene, height, width):
        side = min(height, width)
        canvas = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        top, left = (height - side) // 2, (width - side) // 2
        canvas[top : top + side, left : left + side] = np.asarray(
            Image.fromarray(scene).resize((side, side), Image.Resampling.BILINEAR)
        )
        return canvas

    sizes = [(40, 90), (120, 50), (64, 64), (20, 30)]
    images = [photograph(scene, *size) for size in sizes for scene in scenes]
    pack = Pack(images, np.tile(np.arange(3), 4))
    assert nearest_pixel_error(pack, np.arange(3), np.arange(3, 12))["error"] == 0.0


def test_large_parts_are_thinned_by_digest_and_the_sentence_says_so():
    generator = np.random.default_rng(2)
    pack = Pack(generator.integers(0, 256, (90, 4, 4, 3), dtype=np.uint8), generator.integers(0, 2, 90))
    train, test = np.arange(60), np.arange(60, 90)
    found = nearest_pixel_error(pack, train, test, limit=(20, 10))
    ranked = sorted(range(90), key=lambda row: pack.digests[row].tobytes())
    by_hand = nearest_pixel_error(
        pack, np.array([r for r in ranked if r < 60][:20]), np.array([r for r in ranked if r >= 60][:10])
    )
    assert (found["images"], found["training_images"]) == (10, 20)
    assert found["error"] == by_hand["error"]
    assert "60 training and 30 test images" in found["how"]
    assert found == nearest_pixel_error(pack, train[::-1], test[::-1], limit=(20, 10))
