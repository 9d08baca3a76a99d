"""Where on the image the positions of a stage's maps look, and those of a score map.

A position (i, j) of a stage's output depends on a square of the image, its receptive field. The squares
of two neighbours lie one step apart, so that one number more, the centre of the first one, says where all
of them lie. It is followed from stage to stage: a window of k with z zeros before the map has its first
centre (k - 1) / 2 - z of that stage's input positions from the first of them.
"""

from typing import NamedTuple

from torch import nn

from alexnet.errors import InputError
from alexnet.models.blocks import Conv, ConvNorm, MaxPool
from alexnet.models.classifier import Classifier
from alexnet.models.summary import layer_table


class Alignment(NamedTuple):
    """Of a score map or a stage's maps, in pixels of the image that goes into the net.

    Attributes:
        first: centre of the receptive field of position (0, 0), down and right alike; pixel 0 has its centre at 0.
        step: between the centres of two neighbours.
        field: side of a receptive field, the zeros beyond the image's edge included.
    """

    first: float
    step: int
    field: int


def alignment(net: Classifier, stage: str | None = None) -> Alignment:
    """Where the positions of a stage's maps look, or, without a stage, those of the net's score map.

    Raises:
        InputError: there is no such stage; or an adaptive pooling on the way makes positions of parts of the image
            that grow with it.
    """
    names = list(net.stages)
    if stage is not None and stage not in names:
        raise InputError(f"{net.name} has no stage {stage!r}; it has {', '.join(names)}")
    count = len(names) if stage is None else names.index(stage) + 1
    on_the_way = list(net.stages.values())[:count]
    if any(isinstance(one, nn.AdaptiveAvgPool2d) for one in on_the_way):
        raise InputError(
            f"{net.name} pools adaptively: it sees the whole image at once and has no map; take a net without"
            + ("" if stage is None else ", or a stage before that")
        )
    first, sees, step, side = 0.0, 1, 1, net.size
    for row, one in zip(layer_table(net)[:count], on_the_way, strict=True):
        kernel, stride = 1 + (row["receptive_field"] - sees) // step, row["step"] // step
        out = row["output"][1] if len(row["output"]) == 3 else 1
        first += ((kernel - 1) / 2 - _before(one, kernel, stride, side, out)) * step
        sees, step, side = row["receptive_field"], row["step"], out
    return Alignment(first, step, sees)


def _before(stage: nn.Module, kernel: int, stride: int, side: int, out: int) -> float:
    """Zeros that a stage puts before its input of `side` positions.

    Stages of several layers pad alike at both ends: what they add is the least even number that makes
    `out` windows fit.
    """
    if isinstance(stage, Conv):
        return stage.ends[0]
    if isinstance(stage, ConvNorm):
        return stage.conv.ends[0]
    if isinstance(stage, MaxPool):
        return stage.padding
    return max(0, -(-(stride * (out - 1) + kernel - side) // 2))
