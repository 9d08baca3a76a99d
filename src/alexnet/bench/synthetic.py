"""Images of ImageNet's sizes that nobody has to download: smooth shapes and noise, as JPEG of about 110 kB."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet.data import cache_folder
from alexnet.data.parallel import in_threads
from alexnet.files import write_json
from alexnet.progress import track

H, W = 375, 500  # ImageNet's most frequent size
QUALITY = 90
CLASSES = 8
NOISE = 14.0  # standard deviation: with it the files have the mean length of ImageNet's, about 110 kB


def synthetic_image(seed: int, h: int = H, w: int = W) -> np.ndarray:
    """Soft-edged ellipses on a slope of colour, and noise of two grains; uint8 [h, w, 3].

    Args:
        seed: decides everything.
        h, w: size in pixels.
    """
    chance = np.random.default_rng([2012, seed])
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    corners = chance.uniform(40, 215, (3, 3)).astype(np.float32)
    image = corners[0] + y[..., None] / h * (corners[1] - corners[0]) + x[..., None] / w * (corners[2] - corners[0])
    for _ in range(12):
        centre, radius = chance.uniform(0, 1, 2) * (h, w), chance.uniform(0.05, 0.35, 2) * (h, w)
        distance = ((y - centre[0]) / radius[0]) ** 2 + ((x - centre[1]) / radius[1]) ** 2
        cover = 1 / (1 + np.exp(np.clip(12 * (distance - 1), -30, 30)))
        image += cover[..., None] * (chance.uniform(0, 255, 3).astype(np.float32) - image)
    fine = chance.normal(0, NOISE, (h, w, 1))
    coarse = chance.normal(0, NOISE, (h // 2 + 1, w // 2 + 1, 3)).repeat(2, 0).repeat(2, 1)[:h, :w]
    return (image + fine + coarse).clip(0, 255).astype(np.uint8)


def jpeg_folder(count: int, h: int = H, w: int = W) -> Path:
    """A folder of so many images in `CLASSES` class folders, in the cache; made once.

    Args:
        count: images in all, at least one a class.
        h, w: their size in pixels.
    """
    folder = cache_folder() / "bench" / f"{count}-{w}x{h}"
    done = folder / "made.json"
    if not done.is_file():

        def make(seed: int) -> int:
            path = folder / "images" / f"{seed % CLASSES}" / f"{seed:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(synthetic_image(seed, h, w)).save(path, quality=QUALITY)
            return path.stat().st_size

        sizes = list(track(in_threads(make, range(count)), "making images", total=count))
        write_json(done, {"images": count, "height": h, "width": w, "mean_bytes": sum(sizes) / count})
    return folder / "images"


def about(folder: Path) -> dict[str, float]:
    """What is known of a folder of `jpeg_folder`: images, height, width and mean_bytes."""
    return json.loads((folder.parent / "made.json").read_text())
