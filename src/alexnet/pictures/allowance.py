"""Pictures inside a page that must stay within so many bytes."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from alexnet.pictures.style import data_uri

AROUND = 700
"""Bytes that a picture's caption and tags, and its part of a panel's, take beside it, at most."""

TINY = 64
"""Pixels: pictures of no longer side are kept exactly, larger ones lossy."""


def small_picture(pixels: np.ndarray, side: int = 96, exact: bool = False) -> str:
    """A small picture as a data URI: WebP of at most `side` pixels a side.

    Args:
        pixels: uint8 [h, w], [h, w, 1], [h, w, 3] or [h, w, 4].
        side: pixels.
        exact: keep each pixel as it is; done anyway where the picture is tiny.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture = picture.convert("RGB") if picture.mode == "L" else picture
    exact = exact or max(picture.size) <= TINY
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=exact, quality=50 if exact else 78, method=3)
    return data_uri(buffer.getvalue(), "image/webp")


class Allowance:
    """Bytes that are left for pictures; the most wanted ask first."""

    def __init__(self, size: int):
        """Begin with `size` bytes."""
        self.left = size

    def take(self, pixels: np.ndarray, side: int = 96, exact: bool = False, times: int = 1) -> str | None:
        """The picture as `small_picture` gives it, to stand so many times; None where it does not fit any more."""
        if self.left <= AROUND:
            return None
        uri = small_picture(pixels, side, exact)
        size = times * (len(uri) + AROUND)
        if size > self.left:
            return None
        self.left -= size
        return uri

    def take_all(self, images: Sequence[np.ndarray] | np.ndarray, side: int = 96) -> list[str | None]:
        """The same for several, in their order."""
        return [self.take(image, side) for image in images]
