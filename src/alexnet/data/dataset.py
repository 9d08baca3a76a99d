"""Any map-style torch Dataset of (image, label) as a source."""

from typing import Any

import numpy as np
from PIL import Image

from alexnet.data.source import Source
from alexnet.errors import InputError
from alexnet.images import centre_square, pixels_of, shorter_side_to
from alexnet.progress import track

LARGEST = 4e9  # bytes that are held in memory


def dataset_source(dataset: Any, name: str = "dataset", side: int = 256) -> Source:
    """Read a Dataset once, into memory.

    Images of one shape stay as they are; of different shapes, each becomes a centre square of `side` pixels.

    Args:
        dataset: has len() and gives (image, label) for 0..len-1. An image is a PIL image, an array or tensor uint8
            [h, w] or [h, w, 3], or a float tensor [c, h, w] of 0..1; a label is an integer from 0.
        name: what it is called in the run's folder.
        side: in pixels.

    Raises:
        InputError: no length; an image or label of another kind; more than 4 GB.
    """
    try:
        n = len(dataset)
        pairs = ((dataset[i][0], dataset[i][1]) for i in range(n))
        first = as_bytes(dataset[0][0]) if n else None
    except (TypeError, IndexError, KeyError) as error:
        raise InputError(
            f"the Dataset does not give (image, label) for 0..len-1 ({error}): give a map-style one"
        ) from None
    if first is None:
        raise InputError("the Dataset is empty: give one with images")
    if n * first.nbytes > LARGEST:
        raise InputError(f"the Dataset would take {n * first.nbytes / 1e9:.0f} GB of memory: save its images as files")
    images, labels = [], np.empty(n, np.int64)
    for i, (image, label) in enumerate(track(pairs, f"reading {name}", n)):
        images.append(as_bytes(image))
        labels[i] = int(label)
    if len({image.shape for image in images}) > 1:
        images = [centre_square(shorter_side_to(_rgb(image), side)) for image in images]
    classes = [str(label) for label in getattr(dataset, "classes", range(int(labels.max()) + 1))]
    if labels.min() < 0 or labels.max() >= len(classes):
        raise InputError(f"the Dataset has labels from {labels.min()} to {labels.max()}: number them from 0")
    return Source(
        name=name,
        spec="",  # nothing opens a Dataset again
        kind="dataset",
        classes=classes,
        labels=labels,
        given=np.zeros(n, np.uint8),
        paths=[f"{name}/{i}" for i in range(n)],
        arrays=np.stack(images),
    )


def as_bytes(image: Any) -> np.ndarray:
    """uint8 [h, w] or [h, w, 3] of a PIL image, an array or a tensor.

    Raises:
        InputError: something else.
    """
    if isinstance(image, Image.Image):
        return np.asarray(image) if image.mode == "L" else pixels_of(image)
    pixels = image.detach().cpu().numpy() if hasattr(image, "detach") else np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[-1] not in (1, 3):
        pixels = np.moveaxis(pixels, 0, -1)
    if np.issubdtype(pixels.dtype, np.floating) and pixels.size and pixels.min() >= 0 and pixels.max() <= 1:
        pixels = np.rint(pixels * 255).astype(np.uint8)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] not in (1, 3)):
        raise InputError(
            f"the Dataset gives images of {pixels.dtype} {list(pixels.shape)}: give PIL images, uint8 [h, w, 3], "
            "or floats [3, h, w] of 0..1 without normalisation"
        )
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels


def _rgb(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else np.stack([image] * 3, axis=-1)
