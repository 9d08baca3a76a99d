"""An image, and beside it the same under a map of numbers: how score maps and explanations are drawn."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from alexnet.models.alignment import Alignment
from alexnet.pictures.heat import Heat
from alexnet.pictures.style import COLOURS, LINE, SIGNED, figure, show_pixels, styled

Extent = tuple[float, float, float, float]

COVER = 0.65
"""How much of a map's colour is seen over the image."""


def extent_of(at: Alignment, high: int, wide: int) -> Extent:
    """Where a map of high x wide positions lies on its image.

    Returns:
        Left, right, bottom and top edge of the squares of one step a side about each position's centre, in pixels of
        the image: pixel 0 lies from -0.5 to 0.5.
    """
    first = at.first - at.step / 2
    return first, first + wide * at.step, first + high * at.step, first


def pale(pixels: np.ndarray) -> np.ndarray:
    """An image [h, w, 3] of 0..255 in light greys, so that colour over it means a map's numbers alone: 0..1."""
    return np.repeat((0.35 + 0.65 * pixels.mean(2, keepdims=True) / 255), 3, 2)


def blended(pixels: np.ndarray, heat: Heat) -> np.ndarray:
    """The image, grey and pale, with the heat over it, without any frame or scale: uint8 [h, w, 3].

    Where no position is centred, at the image's edge, nothing is laid over it.

    Args:
        pixels: uint8 [h, w, 3], the image as the net saw it.
        heat: over it.
    """
    low, high = heat.limits
    colours = matplotlib.colormaps[SIGNED if low < 0 else COLOURS]((heat.values - low) / (high - low))[:, :, :3]
    left, _, _, top = extent_of(heat.at, *heat.values.shape)
    rows, columns = (
        np.floor((np.arange(length) - first) / heat.at.step).astype(int)
        for length, first in zip(pixels.shape[:2], (top, left))
    )
    inside = np.ix_(*((place >= 0) & (place < most) for place, most in zip((rows, columns), heat.values.shape)))
    over = colours[rows.clip(0, len(colours) - 1)][:, columns.clip(0, colours.shape[1] - 1)]
    seen = pale(pixels)
    seen[inside] += COVER * (over - seen)[inside]
    return np.rint(255 * seen).astype(np.uint8)


@styled
def overlay(
    pixels: np.ndarray,
    heat: np.ndarray,
    extent: Extent,
    title: str,
    scale: str,
    limits: tuple[float, float],
    image_title: str = "image",
) -> Figure:
    """The image, and beside it the same, grey and pale, with the map over it.

    Args:
        pixels: uint8 [h, w, 3].
        heat: [H, W].
        extent: where the map lies, see `extent_of`.
        title: over the map.
        scale: what its numbers are.
        limits: the numbers at the ends of the scale; where the first is negative, the scale has zero in its middle.
        image_title: over the image.
    """
    high, wide = pixels.shape[:2]
    panel = 4.2 * min(1.0, wide / high)
    drawing = figure(2 * panel + 1.1, panel * high / wide + 0.8)
    plain, covered = drawing.subplots(1, 2)
    show_pixels(plain, pixels)
    plain.set_title(image_title)
    # Grey and pale below the map, so that colour means the map's numbers alone.
    show_pixels(covered, pale(pixels))
    colours = SIGNED if limits[0] < 0 else COLOURS
    shown = covered.imshow(
        heat, cmap=colours, vmin=limits[0], vmax=limits[1], alpha=COVER, extent=extent, interpolation="nearest"
    )
    covered.set_xlim(-0.5, wide - 0.5)
    covered.set_ylim(high - 0.5, -0.5)
    covered.set_title(title)
    bar = drawing.colorbar(shown, ax=covered, shrink=0.9)
    bar.solids.set_alpha(1)  # type: ignore[union-attr]
    bar.outline.set_edgecolor(LINE)  # type: ignore[operator]
    bar.set_label(scale)
    return drawing
