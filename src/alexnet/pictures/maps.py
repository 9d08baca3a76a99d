"""What the maps of a stage answer to an image."""

import math

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import nn

from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.pictures.style import COLOURS, LINE, SIGNED, figure, show_pixels, styled

MOST = 256
"""Maps that are drawn: of more, so many of the strongest, in their order. Units are drawn all."""


def towers_of(net: Classifier) -> int:
    """How many towers the net's maps fall into: the groups of its convolutions."""
    return max([layer.groups for layer in net.modules() if isinstance(layer, nn.Conv2d)], default=1)


@styled
def maps_figure(pixels: np.ndarray, answers: np.ndarray, title: str, towers: int = 1) -> Figure:
    """The image, and beside it all maps of a stage in one scale of colours, towers apart; or all units as cells.

    Maps stand row by row in their order, so that the same one has the same place for every image. A map without
    an answer is dark (or white, where answers have both signs).

    Args:
        pixels: uint8 [h, w, 3], the image as the net saw it.
        answers: [c, H, W], or [units].
        title: what they are of.
        towers: groups of maps that are drawn apart.
    """
    if answers.ndim == 1:
        answers = answers[:, None, None]
    count = len(answers)
    each = count // towers if count % towers == 0 else count
    strongest = [answers[start : start + each] for start in range(0, count, each)]
    most_of_each = MOST // len(strongest) if answers.shape[1] > 1 else len(answers)
    kept = [_strongest(block, most_of_each) for block in strongest]
    most = float(np.quantile(np.abs(answers), 0.9995)) or 1.0
    signed = bool(answers.min() < 0)
    limits = Normalize(-most if signed else 0.0, most)
    columns = _columns(len(kept[0]), len(kept))
    sheets = [_sheet(block, columns) for block in kept]
    wide = 6.6
    high = wide * sheets[0].shape[0] / sheets[0].shape[1]
    drawing = figure(2.4 + wide, max(2.9, len(sheets) * (high + 0.32)))
    left, right = np.ravel(drawing.subfigures(1, 2, squeeze=False, width_ratios=[2.4, wide]))
    left.set_facecolor("none")
    right.set_facecolor("none")
    image, scale = left.subplots(2, 1, height_ratios=[8, 1])
    show_pixels(image, pixels)
    image.set_title("image, as the net sees it")
    panels = right.subplots(len(sheets), 1, squeeze=False)[:, 0]
    shown = None
    first = 1
    for axes, sheet, block in zip(panels, sheets, strongest, strict=True):
        shown = axes.imshow(sheet, cmap=SIGNED if signed else COLOURS, norm=limits, interpolation="nearest")
        axes.set_axis_off()
        of_all = f", the {len(kept[0])} strongest" if len(block) > len(kept[0]) else ""
        axes.set_title(f"{title}: {first} to {first + len(block) - 1}{of_all}")
        first += len(block)
    assert shown is not None
    scale.set_axis_off()
    bar = left.colorbar(shown, ax=scale, orientation="horizontal", fraction=0.9, aspect=14)
    bar.outline.set_edgecolor(LINE)  # type: ignore[operator]
    bar.set_label("answer")
    return drawing


def one_map(answers: np.ndarray, unit: int, stage: str) -> np.ndarray:
    """The map [H, W] of a unit, counted from 1.

    Raises:
        InputError: units without maps, or a number that the stage does not have.
    """
    if answers.ndim != 3:
        raise InputError(f"{stage} has {len(answers)} units without maps: leave --unit out, or take an earlier stage")
    if not 1 <= unit <= len(answers):
        raise InputError(f"--unit {unit}: {stage} has maps 1 to {len(answers)}")
    return answers[unit - 1]


def _strongest(block: np.ndarray, most: int) -> np.ndarray:
    if len(block) <= most:
        return block
    return block[np.sort(np.argsort(-np.abs(block).max((1, 2)), kind="stable")[:most])]


def _columns(maps: int, towers: int) -> int:
    """Maps in a row: the sheets of all towers together come out about three wide to two high."""
    return max(1, min(maps, math.ceil(math.sqrt(1.5 * maps * towers))))


def _sheet(block: np.ndarray, columns: int) -> np.ndarray:
    """Maps [c, H, W] in rows with gaps of no number between them: [h, w]."""
    count, high, wide = block.shape
    gap = max(1, round(wide / 16)) if wide > 1 else 0
    rows = -(-count // columns)
    sheet = np.full((rows * (high + gap) - gap, columns * (wide + gap) - gap), np.nan)
    for place, one in enumerate(block):
        top, left = place // columns * (high + gap), place % columns * (wide + gap)
        sheet[top : top + high, left : left + wide] = one
    return sheet
