"""Mean, deviation and principal colours of the training part (AlexNet 2012, sections 2 and 4.1)."""

from dataclasses import dataclass

import numpy as np

from alexnet.data.packed import Packed
from alexnet.data.parallel import in_threads
from alexnet.images import centre_square, shorter_side_to
from alexnet.progress import track

CHUNK = 16  # images turned to float64 at once: 25 MB at 256 x 256


@dataclass(frozen=True)
class Statistics:
    """What the training images look like on the whole; grey images count as RGB with equal channels.

    Attributes:
        mean_image: float32 [3, h, w], 0..255: of the images' shape where it is one, otherwise of centre
            squares of the stored side.
        mean: float32 [3], 0..255, per channel.
        deviation: standard deviation of all RGB values about their channel's mean, 0..255.
        eigenvalues: float64 [3], descending, of the covariance of RGB over all pixels, in squared units
            of 0..255.
        eigenvectors: float64 [3, 3], one a column, each with its largest component positive.
        images: how many were looked at.
    """

    mean_image: np.ndarray
    mean: np.ndarray
    deviation: float
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    images: int


def statistics(packed: Packed, rows: np.ndarray, limit: int = 50_000) -> Statistics:
    """Statistics of images `rows` (int64 [k]), evenly spread over them where they are more than `limit`.

    Sums are exact: whole numbers in float64, far below 2^53.
    """
    if len(rows) > limit:
        rows = rows[np.linspace(0, len(rows) - 1, limit).round().astype(np.int64)]
    h, w, channels = packed.shape or (packed.stored, packed.stored, 3)
    image_sum = np.zeros((h, w, channels))
    product_sum = np.zeros((channels, channels))
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    read = in_threads(lambda chunk: _same_shape(packed, chunk), chunks)
    for images in track(read, "measuring colours", total=len(chunks), unit="chunks"):
        images = images.astype(np.float64)
        image_sum += images.sum(0)
        pixels = images.reshape(-1, channels)
        product_sum += pixels.T @ pixels
    pixel_count = len(rows) * h * w
    mean = image_sum.sum((0, 1)) / pixel_count
    covariance = product_sum / pixel_count - np.outer(mean, mean)
    if channels == 1:
        image_sum = np.repeat(image_sum, 3, axis=2)
        mean = np.repeat(mean, 3)
        covariance = np.full((3, 3), covariance[0, 0])
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    eigenvalues, eigenvectors = eigenvalues[::-1].clip(min=0), eigenvectors[:, ::-1]
    largest = np.abs(eigenvectors).argmax(0)
    eigenvectors = eigenvectors * np.sign(eigenvectors[largest, range(3)])
    return Statistics(
        mean_image=(image_sum / len(rows)).transpose(2, 0, 1).astype(np.float32),
        mean=mean.astype(np.float32),
        deviation=float(np.sqrt(np.trace(covariance) / 3)),
        eigenvalues=eigenvalues,
        eigenvectors=eigenvectors,
        images=len(rows),
    )


def _same_shape(packed: Packed, rows: np.ndarray) -> np.ndarray:
    """Images `rows` as uint8 [k, h, w, c]; centre squares of the stored side where shapes differ."""
    images = packed.read(rows)
    if isinstance(images, np.ndarray):
        return images
    return np.stack([shorter_side_to(centre_square(image), packed.stored) for image in images])
