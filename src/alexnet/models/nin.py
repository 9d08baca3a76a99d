"""Network in network: convolutions that are small nets themselves, and no fully-connected layer.

Lin, Chen, Yan, "Network In Network" (2013; ICLR 2014). An mlpconv is a convolution and two of 1 x 1 behind it
("cccp": cascaded cross channel pooling), each with ReLU. The last one has a map for each class, and the mean of that
map is the score: global average pooling. The paper has nets for small images only; the one for ImageNet is the first
author's release for Caffe. Both come with the names of their stages.

    nin (1000 classes, 224 pixels)        parameters
    conv1          96 x 54 x 54               34,944
    cccp1, cccp2   96 x 54 x 54         9,312  9,312
    pool0          96 x 27 x 27
    conv2         256 x 27 x 27              614,656
    cccp3, cccp4  256 x 27 x 27       65,792  65,792
    pool2         256 x 13 x 13
    conv3         384 x 13 x 13              885,120
    cccp5, cccp6  384 x 13 x 13     147,840  147,840
    pool3         384 x 6 x 6
    conv4        1024 x 6 x 6              3,539,968
    cccp7        1024 x 6 x 6              1,049,600
    cccp8        1000 x 6 x 6              1,025,000
    pool4        1000

`nin_cifar` (32 pixels) has 966,986 parameters for 10 classes; `nin_mnist` (28 pixels, grey) is the narrowest.

Departures: 1. Stages conv4, cccp7 and cccp8 are "conv4-1024" and so on in the release. 2. The small nets scale by
dropout in training, as Caffe does; the paper's own program is not explicit. 3. The release for CIFAR in Caffe's format
averages in its second pooling; ours takes maxima, as the paper's program does. 4. The start "he" is ours.
"""

from dataclasses import dataclass

import torch
from torch import nn

from alexnet.errors import InputError
from alexnet.models.blocks import Conv, ConvReLU, MaxPool, Rounding, WindowAverage, output_size
from alexnet.models.classifier import Classifier
from alexnet.models.dropout import Dropout
from alexnet.models.grey import GreyClassifier
from alexnet.models.initial import Start, checked, he, made_empty


@dataclass(frozen=True)
class MlpConv:
    """A convolution and two of 1 x 1, and the pooling behind them.

    Attributes:
        kernel: side in pixels.
        stride: pixels.
        padding: zeros at each end of a side.
        widths: maps of the three; 0 stands for the number of classes.
        deviations: of their initial weights in the publication.
        pool: name of the stage that pools, 3 x 3 with stride 2, or, of the last, averages.
        dropout: name of the stage that drops half of the pooled units, if any.
    """

    kernel: int
    stride: int
    padding: int
    widths: tuple[int, int, int]
    deviations: tuple[float, float, float]
    pool: str
    dropout: str = ""


@dataclass(frozen=True)
class Variant:
    """All that tells one NIN from another.

    Attributes:
        name: how it is called.
        size: side of the published input, in pixels.
        blocks: its mlpconvs.
        grey: whether it reads one map instead of three.
        pool_rounding: of the sizes behind a pooling: up in Caffe and in the paper's program.
    """

    name: str
    size: int
    blocks: tuple[MlpConv, ...]
    grey: bool = False
    pool_rounding: Rounding = "up"


LIFT = 10.0  # biases of the last layer in the practical start
_EVEN = (0.05, 0.05, 0.05)

VARIANTS: dict[str, Variant] = {
    "nin": Variant(
        "nin",
        224,
        (
            MlpConv(11, 4, 0, (96, 96, 96), (0.01, 0.05, 0.05), "pool0"),
            MlpConv(5, 1, 2, (256, 256, 256), _EVEN, "pool2"),
            MlpConv(3, 1, 1, (384, 384, 384), (0.01, 0.05, 0.05), "pool3", "drop"),
            MlpConv(3, 1, 1, (1024, 1024, 0), (0.05, 0.05, 0.01), "pool4"),
        ),
    ),
    "nin_cifar": Variant(
        "nin_cifar",
        32,
        (
            MlpConv(5, 1, 2, (192, 160, 96), _EVEN, "pool1", "dropout1"),
            MlpConv(5, 1, 2, (192, 192, 192), _EVEN, "pool2", "dropout2"),
            MlpConv(3, 1, 1, (192, 192, 0), _EVEN, "poolg"),
        ),
    ),
    "nin_mnist": Variant(
        "nin_mnist",
        28,
        (
            MlpConv(5, 1, 2, (96, 64, 48), _EVEN, "pool1", "dropout1"),
            MlpConv(5, 1, 2, (128, 96, 48), _EVEN, "pool2", "dropout2"),
            MlpConv(5, 1, 2, (128, 96, 0), _EVEN, "poolg"),
        ),
        grey=True,
    ),
}


def build_variant(variant: Variant, classes: int = 1000, size: int | None = None, start: Start = "paper") -> Classifier:
    """Build a variant with fresh weights, drawn from torch's global generator.

    Args:
        variant: one of `VARIANTS`, or another made of it with `dataclasses.replace`.
        classes: number of scores, at least 2.
        size: side in pixels of the input whose maps are averaged whole; by default the variant's published one. On
            larger images the window of the average slides.
        start: "paper": the release's deviations, biases 0; "he": see `_practical`.

    Raises:
        InputError: an unknown start, fewer than two classes, or too small a size.
    """
    size = variant.size if size is None else size
    smallest = smallest_size(variant)
    checked(variant.name, classes, start, size, smallest)
    kind = GreyClassifier if variant.grey else Classifier
    last = f"cccp{2 * len(variant.blocks)}"
    net = made_empty(
        lambda: kind(variant.name, _stages(variant, classes, size), size, smallest, classes, classifier_stage=last)
    )
    if start == "he":
        _practical(net)
    else:
        _publications(net, variant)
    return net


def sides(variant: Variant, size: int) -> list[int]:
    """Side in pixels of the maps of each mlpconv, for an input of `size`.

    Raises:
        InputError: a window does not fit; the message names the layer.
    """
    found: list[int] = []
    for i, block in enumerate(variant.blocks, start=1):
        if found:
            size = output_size(size, 3, 2, 0, variant.pool_rounding, variant.blocks[i - 2].pool)
        size = output_size(size, block.kernel, block.stride, 2 * block.padding, layer=f"conv{i}")
        found.append(size)
    return found


def smallest_size(variant: Variant) -> int:
    """Smallest side of an input in pixels that every window fits into."""
    size = 1
    while True:
        try:
            sides(variant, size)
        except InputError:
            size += 1
        else:
            return size


def _stages(variant: Variant, classes: int, size: int) -> dict[str, nn.Module]:
    stages: dict[str, nn.Module] = {}
    maps = 1 if variant.grey else 3
    for i, block in enumerate(variant.blocks, start=1):
        first, second, third = (width or classes for width in block.widths)
        stages[f"conv{i}"] = ConvReLU(maps, first, block.kernel, block.stride, (block.padding, block.padding))
        stages[f"cccp{2 * i - 1}"] = ConvReLU(first, second, 1)
        stages[f"cccp{2 * i}"] = ConvReLU(second, third, 1)
        if i < len(variant.blocks):
            stages[block.pool] = MaxPool(3, 2, variant.pool_rounding)
        else:
            stages[block.pool] = WindowAverage(sides(variant, size)[-1])
        if block.dropout:
            stages[block.dropout] = Dropout(0.5, "inverted")
        maps = third
    return stages


@torch.no_grad()
def _publications(net: Classifier, variant: Variant) -> None:
    layers = [stage for stage in net.stages.values() if isinstance(stage, Conv)]
    deviations = [deviation for block in variant.blocks for deviation in block.deviations]
    for layer, deviation in zip(layers, deviations, strict=True):
        assert layer.bias is not None
        layer.weight.normal_(0, deviation)
        layer.bias.zero_()


@torch.no_grad()
def _practical(net: Classifier) -> None:
    """He's start, but with biases of 10 in the last layer.

    Behind its ReLU a map that is 0 for all images has no gradient, and its class is never learned. Some are so from the
    start, as positive inputs that are much alike make many a random map positive for all images or for none; the first
    steps silence the rest, and the loss stays at ln(classes). A constant added to all scores changes no softmax, but
    with it the last layer acts as a linear one until scores differ by that much.
    """
    he(net)
    last = net.stages[net.classifier_stage]
    assert isinstance(last, Conv)
    assert last.bias is not None
    last.bias.fill_(LIFT)
