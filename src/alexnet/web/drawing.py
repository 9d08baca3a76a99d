"""Pictures for the page, pixel by pixel: sheets of maps, heat over an image, patches."""

import math

import matplotlib
import numpy as np
from matplotlib.colors import Normalize
from PIL import Image

from alexnet.models.alignment import Alignment
from alexnet.pictures.style import COLOURS, SIGNED

CELL = 64  # pixels of a map's side on a sheet
COLUMNS = 8  # maps in a row
SHOWN_FROM = 256  # pixels a side that small views are enlarged to at least
HEAT = 0.65  # share of the heat's colour over the grey image, as in `pictures.overlay`


def maps_sheet(maps: np.ndarray, most: float, signed: bool) -> np.ndarray:
    """Maps side by side without gaps, each on a square of CELL pixels, COLUMNS in a row: uint8 [h, w, 3].

    Colours go with the square root of an answer: beside the strongest map the others would hardly be seen.

    Args:
        maps: float32 [n, h, w].
        most: the answer at the end of the scale of colours.
        signed: whether that scale has zero in its middle.
    """
    rows = -(-len(maps) // COLUMNS)
    sheet = np.full((rows * CELL, COLUMNS * CELL), np.nan, np.float32)
    for place, one in enumerate(maps):
        top, left = place // COLUMNS * CELL, place % COLUMNS * CELL
        smaller = max(one.shape) > CELL
        way = Image.Resampling.BOX if smaller else Image.Resampling.NEAREST
        sheet[top : top + CELL, left : left + CELL] = np.asarray(Image.fromarray(one).resize((CELL, CELL), way))
    roots = np.sign(sheet) * np.sqrt(np.abs(sheet))
    colours = coloured(roots, -math.sqrt(most) if signed else 0.0, math.sqrt(most))
    colours[np.isnan(sheet)] = 255
    return colours


def scale_of(answers: np.ndarray) -> tuple[float, bool]:
    """Where the scale of colours of a stage's answers ends, and whether it has both signs."""
    return float(np.quantile(np.abs(answers), 0.9995)) or 1.0, bool(answers.min() < 0)


def coloured(values: np.ndarray, least: float, most: float) -> np.ndarray:
    """Values [h, w] as colours, uint8 [h, w, 3]: purple and orange where `least` is below zero."""
    colours = matplotlib.colormaps[SIGNED if least < 0 else COLOURS]
    shares = Normalize(least, most, clip=True)(np.nan_to_num(values))
    return colours(shares, bytes=True)[..., :3]


def shown(view: np.ndarray) -> np.ndarray:
    """A view uint8 [h, w, 3], enlarged by a whole factor where it is small, so that its pixels are seen."""
    factor = -(-SHOWN_FROM // min(view.shape[:2]))
    return view.repeat(factor, 0).repeat(factor, 1)


def heat_over(view: np.ndarray, heat: np.ndarray, at: Alignment, limits: tuple[float, float]) -> np.ndarray:
    """A view, grey and pale, under a map of heat whose positions lie where `at` says: uint8 [h, w, 3].

    Args:
        view: uint8 [h, w, 3], as the net saw it.
        heat: [H, W].
        at: where the map's positions look; between their centres the heat is interpolated.
        limits: the heat at the ends of the scale of colours.
    """
    image = shown(view)
    pale = 255 * (0.35 + 0.65 * image.mean(2, keepdims=True) / 255)
    colours = coloured(_spread(heat, at, view.shape[:2], image.shape[:2]), *limits)
    return np.rint((1 - HEAT) * pale + HEAT * colours).astype(np.uint8)


def _spread(heat: np.ndarray, at: Alignment, seen: tuple[int, ...], wanted: tuple[int, ...]) -> np.ndarray:
    """The map at every pixel of a picture of `wanted` pixels of the `seen` ones: float [h, w]."""
    for axis in (0, 1):
        centres = at.first + at.step * np.arange(heat.shape[axis])
        pixels = (np.arange(wanted[axis]) + 0.5) * seen[axis] / wanted[axis] - 0.5
        heat = np.apply_along_axis(lambda line, x=pixels, xp=centres: np.interp(x, xp, line), axis, heat)
    return heat
