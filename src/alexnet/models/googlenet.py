"""GoogLeNet: nine inception blocks, and two side classifiers that help it learn.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich, "Going Deeper with Convolutions" (2014;
CVPR 2015). A block looks at its input through windows of 1x1, 3x3 and 5x5 and through a pooling at once and puts the
answers side by side; 1x1 convolutions keep the wide ones cheap (table 1). ReLU follows every convolution. Input: RGB in
0..255, 224 x 224, minus the mean.

    stage          output           parameters     (1000 classes)
    conv1            64 x 112 x 112      9,472     7x7, stride 2
    pool1, norm1     64 x 56 x 56
    conv2_reduce     64 x 56 x 56        4,160     1x1
    conv2           192 x 56 x 56      110,784     3x3
    norm2, pool2    192 x 28 x 28
    inception3a     256 x 28 x 28      163,696
    inception3b     480 x 28 x 28      388,736
    pool3           480 x 14 x 14
    inception4a     512 x 14 x 14      376,176     side4a reads it:   3,188,840
    inception4b     512 x 14 x 14      449,160
    inception4c     512 x 14 x 14      510,104
    inception4d     528 x 14 x 14      605,376     side4d reads it:   3,190,888
    inception4e     832 x 14 x 14      868,352
    pool4           832 x 7 x 7
    inception5a     832 x 7 x 7      1,043,456
    inception5b    1024 x 7 x 7      1,444,080
    average, drop  1024
    linear         1000              1,025,000

Departures: 1. The paper gives no constants of its normalisation and no initial weights; ours are those of Caffe's
GoogLeNet (n 5, alpha 1e-4 on the mean, beta 0.75, k 1; Xavier's start, biases 0.2). 2. Poolings round up, as Caffe's:
otherwise 112 would not give 56. 3. Below 79 pixels the map that a side classifier reads is smaller than its window of
5x5; the window then is the map. 4. `googlenet_bn` has batch normalisation behind each convolution in place of the two
response normalisations; the paper has none. 5. `googlenet_torchvision` is the net of that library: batch
normalisation, 3x3 in place of 5x5, a last pooling of 2x2, side classifiers on 4 x 4 uneven means, less dropout.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from alexnet.errors import InputError
from alexnet.models.blocks import (
    Conv,
    ConvNorm,
    ConvReLU,
    FullyConnected,
    FullyConnectedReLU,
    MaxPool,
    WindowAverage,
)
from alexnet.models.classifier import Classifier, SideClassifier
from alexnet.models.dropout import Dropout
from alexnet.models.initial import Start, checked, he, made_empty
from alexnet.models.lrn import LRN

SMALLEST = 31  # pixels a side: one position is left behind pool4
COLUMNS = ("depth", "#1×1", "#3×3 reduce", "#3×3", "#5×5 reduce", "#5×5", "pool proj")

# Table 1: maps of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
TABLE = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}


@dataclass(frozen=True)
class Variant:
    """All that tells one GoogLeNet from another.

    Attributes:
        name: how it is called.
        norm: epsilon of the batch normalisation behind every convolution, or None for response normalisation.
        widest: side of the kernel that the paper's table calls 5x5.
        last_pool: side of pool4's window.
        even_sides: whether side classifiers average over 5x5 with stride 3, or over 4 x 4 uneven windows.
        keep: probability that the last dropout keeps a unit.
        start: what start="paper" means: Caffe's or torchvision's.
    """

    name: str
    norm: float | None = None
    widest: int = 5
    last_pool: int = 3
    even_sides: bool = True
    keep: float = 0.6
    start: Literal["caffe", "torchvision"] = "caffe"


VARIANTS: dict[str, Variant] = {
    "googlenet": Variant("googlenet"),
    "googlenet_bn": Variant("googlenet_bn", norm=1e-5),
    "googlenet_torchvision": Variant(
        "googlenet_torchvision",
        norm=1e-3,
        widest=3,
        last_pool=2,
        even_sides=False,
        keep=0.8,
        start="torchvision",
    ),
}

Layer = Callable[..., Conv | ConvNorm]


class Inception(nn.Module):
    """Four branches over one input, put side by side: [n c_in h w] -> [n c_out h w] (section 4, figure 2b).

    Args:
        c_in: maps in.
        maps: of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj: a row of `TABLE`.
        layer: makes a convolution of (c_in, c_out, kernel) with its ReLU, zeros around, so that the size stays.
        widest: side of the third branch's kernel.
    """

    kind = "inception"

    def __init__(self, c_in: int, maps: tuple[int, int, int, int, int, int], layer: Layer, widest: int = 5):
        super().__init__()
        one, three_reduce, three, five_reduce, five, projection = maps
        self.one = layer(c_in, one, 1)
        self.three_reduce = layer(c_in, three_reduce, 1)
        self.three = layer(three_reduce, three, 3)
        self.five_reduce = layer(c_in, five_reduce, 1)
        self.five = layer(five_reduce, five, widest)
        self.pool = MaxPool(3, 1, padding=1)
        self.projection = layer(c_in, projection, 1)
        self.widest = widest
        self.in_paper = _in_paper(2, *maps)

    def windows(self) -> list[tuple[int, int]]:
        """Kernel and stride along the branch that sees farthest."""
        return [(1, 1), (self.widest, 1)]

    def forward(self, x: Tensor) -> Tensor:
        """Ask the four branches about [n c h w]."""
        branches = (
            self.one(x),
            self.three(self.three_reduce(x)),
            self.five(self.five_reduce(x)),
            self.projection(self.pool(x)),
        )
        return torch.cat(branches, 1)


class Side(SideClassifier):
    """A side classifier of section 5: mean, 1x1 convolution, two fully-connected layers, 70 % dropped between them.

    Args:
        reads: the stage before it.
        c_in: maps of that stage.
        side: of these maps at the size that the net is built for, in pixels.
        classes: number of scores.
        layer: makes the convolution.
        even: mean over 5x5 with stride 3, or over 4 x 4 windows that may differ in size.
    """

    def __init__(self, reads: str, c_in: int, side: int, classes: int, layer: Layer, even: bool):
        super().__init__(reads, weight=0.3)
        window = min(5, side)
        out = (side - window) // 3 + 1 if even else 4
        self.average = nn.AvgPool2d(window, 3) if even else nn.AdaptiveAvgPool2d(out)
        self.reduce = layer(c_in, 128, 1)
        self.fc = FullyConnectedReLU((128, out, out), 1024)
        self.drop = Dropout(0.3, "inverted")
        self.linear = FullyConnected((1024, 1, 1), classes)

    @property
    def last(self) -> FullyConnected:
        """The layer that gives the scores."""
        return self.linear

    def forward(self, x: Tensor) -> Tensor:
        """Features [n c h w] to scores [n classes], or to a map of them where the image is larger."""
        return self.linear(self.drop(self.fc(self.reduce(self.average(x)))))


def build_variant(variant: Variant, classes: int = 1000, size: int | None = None, start: Start = "paper") -> Classifier:
    """Build a variant with fresh weights, drawn from torch's global generator.

    Args:
        variant: one of `VARIANTS`, or another made of it with `dataclasses.replace`.
        classes: number of scores, at least 2.
        size: side of the input in pixels that averages and side classifiers are built for, 224 by default; at
            least `SMALLEST`.
        start: "paper": Caffe's (the paper is silent): uniform with variance 1 / fan-in, biases 0.2, 0 in the last
            layers; torchvision's own in its net. "he": see `initial.he`.

    Raises:
        InputError: fewer than two classes, an unknown start, or too small a size.
    """
    size = 224 if size is None else size
    checked(variant.name, classes, start, size, SMALLEST)
    net = made_empty(
        lambda: Classifier(
            variant.name,
            _stages(variant, classes, size),
            size,
            SMALLEST,
            classes,
            classifier_stage="linear",
            sides=_sides(variant, classes, size),
        )
    )
    if start == "he":
        he(net)
    elif variant.start == "caffe":
        _as_caffe(net)
    else:
        _as_torchvision(net)
    return net


def torchvision_names(net: Classifier) -> dict[str, str]:
    """Key of our state -> key of torchvision's googlenet, for all that both have; its "aux" are our sides.

    Raises:
        InputError: torchvision has no such net.
    """
    if net.name != "googlenet_torchvision":
        raise InputError(f"torchvision's googlenet is not {net.name}: build googlenet_torchvision")
    parts = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3", "linear": "fc"}
    branches = {
        "one": "branch1",
        "three_reduce": "branch2.0",
        "three": "branch2.1",
        "five_reduce": "branch3.0",
        "five": "branch3.1",
        "projection": "branch4.1",
    }
    parts |= {f"{block}.{ours}": f"{block}.{theirs}" for block in TABLE for ours, theirs in branches.items()}
    for side, theirs in (("side4a", "aux1"), ("side4d", "aux2")):
        parts |= {f"{side}.reduce": f"{theirs}.conv", f"{side}.fc": f"{theirs}.fc1", f"{side}.linear": f"{theirs}.fc2"}
    found = {}
    for key in net.state_dict():
        part = next((part for part in parts if key.startswith(f"{part}.")), None)
        if part is not None:
            found[key] = parts[part] + key.removeprefix(part).replace(".norm.", ".bn.")
    return found


def _layer(variant: Variant) -> Layer:
    """What makes the variant's convolutions."""

    def make(c_in: int, c_out: int, kernel: int, stride: int = 1) -> Conv | ConvNorm:
        zeros = (kernel // 2, kernel // 2)
        if variant.norm is None:
            return ConvReLU(c_in, c_out, kernel, stride, zeros)
        return ConvNorm(c_in, c_out, kernel, stride, zeros, eps=variant.norm)

    return make


def _stages(variant: Variant, classes: int, size: int) -> dict[str, nn.Module]:
    layer = _layer(variant)
    normalises = variant.norm is None
    stages: dict[str, nn.Module] = {"conv1": layer(3, 64, 7, 2), "pool1": MaxPool(rounding="up")}
    if normalises:
        stages["norm1"] = _norm()
    stages |= {"conv2_reduce": layer(64, 64, 1), "conv2": layer(64, 192, 3)}
    if normalises:
        stages["norm2"] = _norm()
    stages["pool2"] = MaxPool(rounding="up")
    maps = 192
    for name, row in TABLE.items():
        stages[name] = Inception(maps, row, layer, variant.widest)
        maps = _maps_of(name)
        if name == "inception3b":
            stages["pool3"] = MaxPool(rounding="up")
        if name == "inception4e":
            stages["pool4"] = MaxPool(variant.last_pool, rounding="up")
    stages["average"] = WindowAverage(_last_side(variant, size))
    stages["drop"] = Dropout(variant.keep, "inverted")
    stages["linear"] = FullyConnected((maps, 1, 1), classes)
    rows = {
        "conv1": _in_paper(1),
        "conv2_reduce": _in_paper(1, 0, 64),
        "conv2": _in_paper(1, 0, 0, 192),
        "linear": _in_paper(1),
    }
    for name, row in rows.items():
        stages[name].in_paper = row  # type: ignore[assignment]
    return stages


def _sides(variant: Variant, classes: int, size: int) -> dict[str, SideClassifier]:
    return {
        f"side{reads[-2:]}": Side(
            reads, _maps_of(reads), _side(size) // 8, classes, _layer(variant), variant.even_sides
        )
        for reads in ("inception4a", "inception4d")
    }


def _side(size: int) -> int:
    """Side of conv1's maps; each pooling with stride 2 halves it, the half pixel given up."""
    return (size - 1) // 2 + 1


def _last_side(variant: Variant, size: int) -> int:
    """Side of the last maps: a window of 2 rounds its half pixel up in pool4, one of 3 gives it up."""
    side = _side(size) // 8
    return -(-side // 2) if variant.last_pool == 2 else side // 2


def _maps_of(block: str) -> int:
    one, _, three, _, five, projection = TABLE[block]
    return one + three + five + projection


def _norm() -> LRN:
    return LRN(n=5, k=1.0, alpha=1e-4, beta=0.75, alpha_is="mean")


def _in_paper(depth: int, *maps: int) -> dict[str, str]:
    """A row of the paper's table 1; what is not there is empty."""
    row = (depth, *maps, *(0,) * (len(COLUMNS) - 1 - len(maps)))
    return {column: f"{number}" if number else "" for column, number in zip(COLUMNS, row, strict=True)}


@torch.no_grad()
def _as_caffe(net: Classifier) -> None:
    last = {id(net.stages[net.classifier_stage]), *(id(side.last) for side in net.sides.values())}
    for layer in net.modules():
        if isinstance(layer, Conv | FullyConnected):
            bound = (3 / layer.weight[0].numel()) ** 0.5
            layer.weight.uniform_(-bound, bound)
            if layer.bias is not None:
                layer.bias.fill_(0.0 if id(layer) in last else 0.2)


@torch.no_grad()
def _as_torchvision(net: Classifier) -> None:
    for layer in net.modules():
        if isinstance(layer, Conv | FullyConnected):
            layer.reset_parameters()  # for the biases
            layer.weight.normal_(0, 0.01)
