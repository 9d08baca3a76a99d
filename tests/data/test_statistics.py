import numpy as np
import pytest

from alexnet.data import open_source, pack, split, statistics
from alexnet.images import centre_square, shorter_side_to


def slow_statistics(images: np.ndarray):
    """Mean image, mean, deviation and covariance of RGB images [n, h, w, 3], pixel by pixel."""
    images = images.astype(np.float64)
    mean_image = np.zeros(images.shape[1:])
    pixels = []
    for image in images:
        mean_image += image / len(images)
        pixels += list(image.reshape(-1, 3))
    mean = sum(pixels) / len(pixels)
    covariance = np.zeros((3, 3))
    for pixel in pixels:
        covariance += np.outer(pixel - mean, pixel - mean) / len(pixels)
    deviation = np.sqrt(sum(((pixel - mean) ** 2).sum() for pixel in pixels) / (3 * len(pixels)))
    return mean_image.transpose(2, 0, 1), mean, deviation, covariance


def agree(found, images: np.ndarray) -> None:
    mean_image, mean, deviation, covariance = slow_statistics(images)
    assert found.images == len(images)
    assert found.mean_image.dtype == found.mean.dtype == np.float32
    np.testing.assert_allclose(found.mean_image, mean_image, rtol=1e-6)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-6)
    assert found.deviation == pytest.approx(deviation, rel=1e-9)
    vectors, values = found.eigenvectors, found.eigenvalues
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, covariance, atol=1e-6 * covariance.max())
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)
    assert (np.diff(values) <= 0).all()
    assert (values >= 0).all()
    assert (vectors[np.abs(vectors).argmax(0), range(3)] > 0).all()


@pytest.mark.parametrize("format", ["raw", "jpeg"])
def test_they_agree_with_a_loop_over_pixels(photo_folder, tmp_path, format):
    packed = pack(open_source(photo_folder), tmp_path / "out", stored=9, format=format)
    rows = split(packed).train
    agree(statistics(packed, rows), packed.read(rows))


def test_of_whole_images_the_centre_squares_count(photo_folder, tmp_path):
    packed = pack(open_source(photo_folder), tmp_path / "out", stored=9, crop="none")
    rows = np.arange(0, 60, 2)
    squares = np.stack([shorter_side_to(centre_square(image), 9) for image in packed.read(rows)])
    agree(statistics(packed, rows), squares)


def test_grey_counts_as_three_equal_channels(array_source, tmp_path):
    source = array_source((15, 6, 7))
    packed = pack(source, tmp_path / "out")
    found = statistics(packed, np.arange(15))
    assert found.mean_image.shape == (3, 6, 7)
    agree(found, np.repeat(source.arrays[..., None], 3, axis=3))


def test_of_too_many_images_evenly_spread_ones_are_taken(array_source, tmp_path):
    source = array_source((101, 4, 4, 3))
    packed = pack(source, tmp_path / "out")
    agree(statistics(packed, np.arange(101), limit=51), source.arrays[::2])


def test_only_the_given_rows_count(array_source, tmp_path):
    source = array_source((40, 4, 4, 3))
    packed = pack(source, tmp_path / "out")
    rows = np.array([3, 4, 35, 39])
    agree(statistics(packed, rows), source.arrays[rows])


def test_rows_in_chunks_are_all_counted(array_source, tmp_path):
    source = array_source((70, 4, 4, 3))  # more than two chunks
    agree(statistics(pack(source, tmp_path / "out"), np.arange(70)), source.arrays)
