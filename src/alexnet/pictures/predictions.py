"""The five best answers to each of some images, as figure 4 (left) of Krizhevsky et al. (2012)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.pictures.style import BLUE, INK, LINE, MUTED, VERMILLION, figure, short, show_pixels, styled

PANELS = 8
"""Images of the test part that are drawn, as in the paper."""


@styled
def predictions_figure(
    images: Sequence[np.ndarray],
    probabilities: np.ndarray,
    classes: Sequence[str],
    labels: Sequence[int | None],
    columns: int = 4,
) -> Figure:
    """Each image over its right class and the bars of its best answers; the bar of the right class is blue.

    Args:
        images: uint8 [h, w, 3] each.
        probabilities: [n, classes].
        classes: names.
        labels: number of each image's right class; None where it is not known.
        columns: images in a row.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    top = min(5, len(classes))
    drawing = figure(2.45 * columns, rows * (2.35 + 0.24 * top) + 0.3)
    grid = drawing.subplots(2 * rows, columns, squeeze=False, height_ratios=[2.05, 0.24 * top] * rows)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, (image, p, label) in enumerate(zip(images, probabilities, labels, strict=True)):
        row, column = 2 * (place // columns), place % columns
        picture, bars = grid[row, column], grid[row + 1, column]
        show_pixels(picture, image)
        best = np.argsort(-p, kind="stable")[:top]
        if label is not None:
            right = best[0] == label
            picture.set_title(
                short(classes[label], 24), loc="center", y=-0.13, fontweight="bold", color=INK if right else VERMILLION
            )
        _bars(bars, p[best], [str(classes[number]) for number in best], [number == label for number in best])
    if any(label is not None for label in labels):
        said = "Below each image its right class, orange where another answer came first; its bar is blue."
    else:
        said = "The net's answers with their probabilities."
    drawing.supxlabel(said, fontsize=9, color=MUTED, x=0.01, ha="left")
    return drawing


def _bars(axes: Axes, p: np.ndarray, names: list[str], right: list[bool]) -> None:
    """Names over their bars, best first: the longest name fits however short its bar is."""
    for place, (value, name, is_right) in enumerate(zip(p, names, right, strict=True)):
        axes.barh(place, value, height=0.86, color=BLUE if is_right else LINE, alpha=0.55 if is_right else 1)
        axes.text(0.02, place, short(name, 22), va="center", fontsize=9, color=INK, clip_on=False)
        axes.text(1.0, place, f"{value:.0%}", va="center", ha="right", fontsize=9, color=INK)
    axes.set_xlim(-0.03, 1.06)  # a full bar does not touch its neighbour
    axes.set_ylim(len(p) - 0.4, -0.6)
