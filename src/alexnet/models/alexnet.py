"""AlexNet: the net of 2012 and the five others that go by its name.

Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012).
Five convolutions and three fully-connected layers. The paper put half of the maps on each of two GPUs:
the halves ("towers") meet at conv3 and in the fully-connected layers only, which is a convolution in two
groups at conv2, conv4 and conv5. Input: RGB in 0..255, 224 x 224, minus the mean image.

    stage    output        parameters     (two towers, 1000 classes)
    conv1    96 x 55 x 55      34,944
    pool1    96 x 27 x 27
    conv2   256 x 27 x 27     307,456
    pool2   256 x 13 x 13
    conv3   384 x 13 x 13     885,120
    conv4   384 x 13 x 13     663,936
    conv5   256 x 13 x 13     442,624
    pool5   256 x 6 x 6
    fc6     4096           37,752,832
    fc7     4096           16,781,312
    fc8     1000            4,097,000

Departures: 1. The paper's 224 does not divide into 55 strides of 4; `alexnet` pads 1 at left and top and 2
at right and bottom, or nothing at 227, and does alike at every other size. 2. One device holds both towers.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from alexnet.errors import InputError
from alexnet.models.blocks import Conv, ConvReLU, FullyConnected, FullyConnectedReLU, MaxPool, Rounding, output_size
from alexnet.models.classifier import Classifier
from alexnet.models.dropout import Dropout
from alexnet.models.initial import Start, he, made_empty
from alexnet.models.lrn import LRN, Convention, SpatialNorm

Step = Literal["relu", "norm", "spatial", "pool"]

KERNELS = (11, 5, 3, 3, 3)
PADDINGS = (0, 2, 1, 1, 1)  # conv1's is the variant's affair


@dataclass(frozen=True)
class Normalisation:
    """Constants of the response normalisation, see `lrn`, and whether its sum stays within a tower."""

    k: float
    alpha_is: Convention
    within_towers: bool
    n: int = 5
    alpha: float = 1e-4
    beta: float = 0.75


@dataclass(frozen=True)
class Variant:
    """All that tells one AlexNet from another.

    Attributes:
        name: how it is called.
        size: side of the published input, in pixels.
        widths: maps of conv1 to conv5.
        hidden: units of fc6 and fc7.
        towers: groups of conv2, conv4 and conv5.
        conv1_padding: "fit": so many zeros that the strides of 4 come out even, the odd one at right and
            bottom; "up": zeros at right and bottom only, by rounding up; or a number at each end.
        pool_rounding: of the three 3 x 3 poolings with stride 2.
        order: what follows each convolution.
        normalisation: its constants, or None without.
        adaptive: average to 6 x 6 before fc6, which lets every size in.
        dropout: kind; see `blocks.Dropout`.
        dropout_at: before ("inputs") or behind ("outputs") fc6 and fc7.
        deviations: of the initial weights of conv1 to conv5 and fc6 to fc8, or None for torch's default.
        biases: initial biases of the same.
    """

    name: str
    size: int = 224
    widths: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    hidden: tuple[int, int] = (4096, 4096)
    towers: int = 2
    conv1_padding: Literal["fit", "up"] | int = "fit"
    pool_rounding: Rounding = "down"
    order: tuple[tuple[Step, ...], ...] = (
        ("relu", "norm", "pool"),
        ("relu", "norm", "pool"),
        ("relu",),
        ("relu",),
        ("relu", "pool"),
    )
    normalisation: Normalisation | None = Normalisation(k=2.0, alpha_is="sum", within_towers=True)
    adaptive: bool = False
    dropout: Literal["paper", "inverted"] = "paper"
    dropout_at: Literal["inputs", "outputs"] = "outputs"
    deviations: tuple[float, ...] | None = (0.01,) * 8
    biases: tuple[float, ...] = (0, 1, 0, 1, 1, 1, 1, 0)


_CAFFE_ORDER_POOL_FIRST: tuple[tuple[Step, ...], ...] = (
    ("relu", "pool", "norm"),
    ("relu", "pool", "norm"),
    ("relu",),
    ("relu",),
    ("relu", "pool"),
)
_CAFFE_DEVIATIONS = (0.01,) * 5 + (0.005, 0.005, 0.01)

VARIANTS: dict[str, Variant] = {
    "alexnet": Variant("alexnet"),
    "alexnet_2012": Variant(
        "alexnet_2012",
        conv1_padding="up",
        pool_rounding="up",
        order=(
            ("norm", "pool", "relu"),
            ("relu", "norm", "spatial", "pool"),
            ("relu",),
            ("relu",),
            ("pool", "relu"),
        ),
        normalisation=Normalisation(k=2.0, alpha_is="mean", within_towers=True),
        deviations=(0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
    ),
    "alexnet_one_column": Variant("alexnet_one_column", towers=1),
    "alexnet_half": Variant("alexnet_half", widths=(48, 128, 192, 192, 256), towers=1),
    "caffe_alexnet": Variant(
        "caffe_alexnet",
        size=227,
        conv1_padding=0,
        pool_rounding="up",
        normalisation=Normalisation(k=1.0, alpha_is="mean", within_towers=False),
        dropout="inverted",
        deviations=_CAFFE_DEVIATIONS,
        biases=(0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0),
    ),
    "caffenet": Variant(
        "caffenet",
        size=227,
        conv1_padding=0,
        pool_rounding="up",
        order=_CAFFE_ORDER_POOL_FIRST,
        normalisation=Normalisation(k=1.0, alpha_is="mean", within_towers=False),
        dropout="inverted",
        deviations=_CAFFE_DEVIATIONS,
    ),
    "alexnet_2014": Variant(
        "alexnet_2014",
        widths=(64, 192, 384, 256, 256),
        towers=1,
        conv1_padding=2,
        order=(("relu", "pool"), ("relu", "pool"), ("relu",), ("relu",), ("relu", "pool")),
        normalisation=None,
        adaptive=True,
        dropout="inverted",
        dropout_at="inputs",
        deviations=None,
    ),
}

# Stage of `alexnet_2014` -> layer of torchvision.models.alexnet; weights and biases have the same shapes.
TORCHVISION_LAYERS = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "fc8": "classifier.6",
}


def padding_of_conv1(variant: Variant, size: int) -> tuple[int, int]:
    """Zeros at left and top, and at right and bottom; 224 -> (1, 2) and 227 -> (0, 0) for "fit"."""
    if variant.conv1_padding == "fit":
        whole = (3 - size) % 4  # 11 + 4 m is 3 modulo 4
        return whole // 2, whole - whole // 2
    if variant.conv1_padding == "up":
        return 0, 0  # the convolution itself rounds up
    return variant.conv1_padding, variant.conv1_padding


def sides(variant: Variant, size: int) -> dict[str, int]:
    """Side in pixels of the maps after conv1, pool1, ..., conv5, pool5, for a net built for `size`.

    Raises:
        InputError: a window does not fit; the message names the layer.
    """
    side, found = size, {}
    for i, (kernel, padding) in enumerate(zip(KERNELS, PADDINGS, strict=True), start=1):
        if i == 1:
            zeros = sum(padding_of_conv1(variant, size))
            rounding: Rounding = "up" if variant.conv1_padding == "up" else "down"
            side = output_size(side, kernel, 4, zeros, rounding, "conv1")
        else:
            side = output_size(side, kernel, 1, 2 * padding, "down", f"conv{i}")
        found[f"conv{i}"] = side
        if "pool" in variant.order[i - 1]:
            side = found[f"pool{i}"] = output_size(side, 3, 2, 0, variant.pool_rounding, f"pool{i}")
    return found


def smallest_size(variant: Variant) -> int:
    """Smallest side of an input in pixels that every window fits into."""
    size = 1
    while _misfit(variant, size):
        size += 1
    return size


def _misfit(variant: Variant, size: int) -> str | None:
    try:
        sides(variant, size)
    except InputError as error:
        return str(error)
    return None


def build_variant(variant: Variant, classes: int = 1000, size: int | None = None, start: Start = "paper") -> Classifier:
    """Build a variant with fresh weights, drawn from torch's global generator.

    Args:
        variant: one of `VARIANTS`, or another made of it with `dataclasses.replace`.
        classes: number of scores, at least 2.
        size: side of the input in pixels that fc6 is built for; by default the variant's published one.
        start: "paper": the variant's own initial weights and biases; "he": normal with variance
            2 / fan-in (He and others, 2015) and biases 0, but fc8 with deviation 0.01, so that the first
            scores are small and the first loss is about ln(classes).

    Raises:
        InputError: fewer than two classes, an unknown start, or a size that a layer's window does not fit into.
    """
    if start not in ("paper", "he"):
        raise InputError(f"there is no start {start!r}; choose 'paper' or 'he'")
    if classes < 2:
        raise InputError(f"{variant.name}: {classes} classes came; a classifier needs at least 2")
    size = variant.size if size is None else size
    smallest = smallest_size(variant)
    if (misfit := _misfit(variant, size)) is not None:
        layer = misfit.split(":")[0]
        raise InputError(
            f"{variant.name} cannot be built for {size} x {size} pixels, {layer}'s window does not fit: "
            f"the smallest size is {smallest}"
        )
    net = made_empty(
        lambda: Classifier(
            variant.name, _stages(variant, classes, size), size, smallest, classes, any_size=variant.adaptive
        )
    )
    if start == "he":
        he(net)
    else:
        _initialise(net, variant)
    return net


def _stages(variant: Variant, classes: int, size: int) -> dict[str, nn.Module]:
    stages: dict[str, nn.Module] = {}
    maps = 3
    for i, width in enumerate(variant.widths, start=1):
        order = variant.order[i - 1]
        layer = ConvReLU if order[0] == "relu" else Conv
        if i == 1:
            zeros = padding_of_conv1(variant, size)
            rounding: Rounding = "up" if variant.conv1_padding == "up" else "down"
            stages["conv1"] = layer(maps, width, 11, 4, zeros, rounding)
        else:
            # Towers see each other at conv3 only.
            groups = 1 if i == 3 else variant.towers
            zeros = (PADDINGS[i - 1], PADDINGS[i - 1])
            stages[f"conv{i}"] = layer(maps, width, KERNELS[i - 1], 1, zeros, groups=groups)
        for step in order[1:] if order[0] == "relu" else order:
            stages[f"{step}{i}"] = _step(step, variant)
        maps = width
    side = sides(variant, size)["pool5"]
    if variant.adaptive:
        side = 6
        stages["average5"] = nn.AdaptiveAvgPool2d(side)
    six, seven = variant.hidden
    layers: list[tuple[str, nn.Module]] = [
        ("fc6", FullyConnectedReLU((maps, side, side), six)),
        ("fc7", FullyConnectedReLU((six, 1, 1), seven)),
    ]
    for place, (name, layer) in enumerate(layers, start=5 if variant.dropout_at == "inputs" else 6):
        drop = Dropout(0.5, variant.dropout)
        stages |= (
            {f"drop{place}": drop, name: layer}
            if variant.dropout_at == "inputs"
            else {name: layer, f"drop{place}": drop}
        )
    stages["fc8"] = FullyConnected((seven, 1, 1), classes)
    return stages


def _step(step: Step, variant: Variant) -> nn.Module:
    if step == "pool":
        return MaxPool(3, 2, variant.pool_rounding)
    if step == "relu":
        return nn.ReLU()
    if step == "spatial":
        return SpatialNorm()
    norm = variant.normalisation
    if norm is None:
        raise InputError(f"{variant.name} is to normalise but has no constants: set normalisation")
    towers = variant.towers if norm.within_towers else 1
    return LRN(norm.n, norm.k, norm.alpha, norm.beta, norm.alpha_is, towers)


@torch.no_grad()
def _initialise(net: Classifier, variant: Variant) -> None:
    layers = [stage for stage in net.stages.values() if isinstance(stage, Conv | FullyConnected)]
    for i, layer in enumerate(layers):
        assert layer.bias is not None
        if variant.deviations is None:
            layer.reset_parameters()
        else:
            layer.weight.normal_(0, variant.deviations[i])
            layer.bias.fill_(variant.biases[i])
