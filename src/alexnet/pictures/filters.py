"""The first layer's filters as pictures, as figure 3 of Krizhevsky et al. (2012): the towers apart."""

import numpy as np
from matplotlib.figure import Figure
from torch import nn

from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.pictures.sheets import as_filters, filters_block
from alexnet.pictures.style import figure, show_pixels, styled


@styled
def filters_figure(weights: np.ndarray, towers: int = 1, columns: int = 16) -> Figure:
    """Filters side by side, one block for each tower; how they are coloured is told in `sheets.filters_sheet`.

    Args:
        weights: float [filters, 3 or 1, h, w].
        towers: groups that the filters fall into, in order and of equal size.
        columns: filters in a row, fewer where filters are few.

    Raises:
        InputError: weights of another shape, or towers that do not divide the filters.
    """
    weights, each = as_filters(weights, towers)
    columns = min(columns, each)
    blocks = [filters_block(weights[start : start + each], columns) for start in range(0, len(weights), each)]
    wide = 0.47 * columns
    high = wide * blocks[0].shape[0] / blocks[0].shape[1]
    drawing = figure(max(2.6, wide + 0.2), towers * (high + 0.35) + 0.05)
    panels = drawing.subplots(towers, 1, squeeze=False)[:, 0]
    for number, (axes, block) in enumerate(zip(panels, blocks, strict=True)):
        show_pixels(axes, block)
        first = number * each + 1
        side = " × ".join(map(str, weights.shape[2:]))
        axes.set_title(
            f"Tower {number + 1}: filters {first} to {first + each - 1}" if towers > 1
            else f"{each} filters of {side} pixels"
        )  # fmt: skip
    return drawing


def first_filters(net: Classifier) -> tuple[np.ndarray, int]:
    """Weights of a net's first convolution, float32 [filters, 3 or 1, h, w], and the towers they fall into.

    Towers are those of the next convolution: the first one sees the image, which has none.

    Raises:
        InputError: the net does not begin with a convolution over the image.
    """
    convolutions = [layer for stage in net.stages.values() for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
    if not convolutions or convolutions[0].weight.shape[1] not in (1, 3):
        raise InputError(f"{net.name} does not begin with a convolution over the image: it has no filters to draw")
    towers = convolutions[1].groups if len(convolutions) > 1 else 1
    return convolutions[0].weight.detach().float().cpu().numpy(), towers
