"""The confusion matrix: which class was taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.pictures.style import BLUE, INK, LINE, VERMILLION, figure, short, styled

NUMBERS_UP_TO = 12
"""Confusion matrices of more classes show colour alone."""

NAMES_UP_TO = 40
"""Confusion matrices of more classes have no names along the sides."""


@styled
def confusion_figure(confusion: np.ndarray, classes: Sequence[str]) -> Figure:
    """Confusion matrix: rows the truth, columns the answer, each row shaded by its shares.

    Right answers (the diagonal) are blue, wrong ones vermillion. Counts are written for up to 12 classes, names for
    up to 40, class numbers beyond.

    Args:
        confusion: integers [classes, classes].
        classes: their names.
    """
    confusion = np.asarray(confusion)
    n = len(classes)
    side = max(5.0, 2.0 + 0.24 * n) if n <= NAMES_UP_TO else 8.5
    drawing = figure(side, side)
    axes = drawing.subplots()
    _shade(axes, confusion)
    if n <= NAMES_UP_TO:
        names = [short(name, 18) for name in classes]
        size = 9 if n <= 20 else 8
        axes.set_xticks(range(n), names, rotation=90 if n > 4 else 0, fontsize=size)
        axes.set_yticks(range(n), names, fontsize=size)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(10, integer=True))
    if n <= NUMBERS_UP_TO:
        share = _shares(confusion)
        for row, column in np.argwhere(confusion > 0):
            dark = share[row, column] > 0.75
            axes.text(
                column, row, f"{confusion[row, column]}", ha="center", va="center",
                color="white" if dark else INK, fontsize=9 if n > 6 else 11,
            )  # fmt: skip
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xlabel("answer" if n <= NAMES_UP_TO else "answer (number of the class)")
    axes.set_ylabel("truth" if n <= NAMES_UP_TO else "truth (number of the class)")
    return drawing


def _shade(axes: Axes, confusion: np.ndarray) -> None:
    n = len(confusion)
    share = _shares(confusion)
    pixels = np.zeros((n, n, 4))
    pixels[...] = (*_rgb(VERMILLION), 0)
    pixels[np.arange(n), np.arange(n), :3] = _rgb(BLUE)
    # A single mistake among hundreds of images must still be seen: wrong cells start at a fifth.
    pixels[..., 3] = np.where(confusion > 0, 0.2 + 0.8 * share, 0)
    pixels[np.arange(n), np.arange(n), 3] = share.diagonal()
    axes.imshow(pixels, interpolation="none", aspect="equal")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    if n <= NAMES_UP_TO:
        axes.set_xticks(np.arange(n - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(n - 1) + 0.5, minor=True)
        axes.grid(which="minor", color=LINE, linewidth=0.5)
        axes.tick_params(which="minor", length=0)


def _shares(confusion: np.ndarray) -> np.ndarray:
    return confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
