"""The nets by name, and what builds them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch

from alexnet.errors import InputError
from alexnet.models import resnet
from alexnet.models.alexnet import VARIANTS, Variant, build_variant
from alexnet.models.classifier import Classifier, SideClassifier, as_convolutions, from_convolutions
from alexnet.models.dropout import Dropout, begin_step
from alexnet.models.initial import Start

__all__ = [
    "MODELS",
    "VARIANTS",
    "Classifier",
    "Dropout",
    "Model",
    "SideClassifier",
    "Variant",
    "as_convolutions",
    "begin_step",
    "build",
    "build_variant",
    "from_convolutions",
    "names",
    "parameters",
]


@dataclass(frozen=True)
class Model:
    """A net that can be asked for by name.

    Attributes:
        name: the name.
        paper: authors, short title.
        year: of publication.
        note: what tells it from the others, in one line.
        size: side in pixels of the input it was published with.
        builder: gives the net for classes, size and start.
        small: side in pixels that it is built for by default when images have at most 64 pixels a side.
    """

    name: str
    paper: str
    year: int
    note: str
    size: int
    builder: Callable[[int, int | None, Start], Classifier]
    small: int = 67  # AlexNet's maps are 15, 7, 3 and 1 wide there


_PAPER = "Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks"
_CAFFE = "Jia and others: Caffe"
_WEIRD = "Krizhevsky: One weird trick for parallelizing convolutional neural networks"
_RESIDUAL = "He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition"


def _model(name: str, paper: str, year: int, note: str) -> Model:
    variant = VARIANTS[name]
    return Model(name, paper, year, note, variant.size, partial(build_variant, variant))


def _resnet(name: str, note: str) -> Model:
    variant = resnet.VARIANTS[name]
    small = 32 if variant.stem == "small" else 64
    return Model(name, _RESIDUAL, 2015, note, variant.size, partial(resnet.build_variant, variant), small)


MODELS: dict[str, Model] = {
    "alexnet": _model("alexnet", _PAPER, 2012, "the paper as printed, two towers"),
    "alexnet_2012": _model("alexnet_2012", _PAPER, 2012, "the published source, unlike the paper in places"),
    "alexnet_one_column": _model("alexnet_one_column", _PAPER, 2012, "the paper's net without towers"),
    "alexnet_half": _model("alexnet_half", _PAPER, 2012, "the paper's one-GPU net of half the kernels"),
    "caffe_alexnet": _model("caffe_alexnet", _CAFFE, 2014, "Caffe's replica: 227 pixels, biases 0.1, k 1"),
    "caffenet": _model("caffenet", _CAFFE, 2014, "Caffe's reference net: pools before it normalises"),
    "alexnet_2014": _model("alexnet_2014", _WEIRD, 2014, "torchvision's alexnet: one column, no LRN"),
    "plain18": _resnet("plain18", "the paper's 18 layers without shortcuts"),
    "plain34": _resnet("plain34", "the paper's 34 layers without shortcuts"),
    "resnet18": _resnet("resnet18", "projections where maps change"),
    "resnet34": _resnet("resnet34", "projections where maps change"),
    "resnet50": _resnet("resnet50", "bottlenecks, stride on their first 1x1"),
    "resnet101": _resnet("resnet101", "bottlenecks, stride on their first 1x1"),
    "resnet152": _resnet("resnet152", "bottlenecks, stride on their first 1x1"),
    "resnet50_v1_5": _resnet("resnet50_v1_5", "as most libraries have it: stride on the 3x3"),
    "resnet101_v1_5": _resnet("resnet101_v1_5", "as most libraries have it: stride on the 3x3"),
    "resnet152_v1_5": _resnet("resnet152_v1_5", "as most libraries have it: stride on the 3x3"),
    "resnet20_cifar": _resnet("resnet20_cifar", "for small images, three stages of 3 blocks"),
    "resnet32_cifar": _resnet("resnet32_cifar", "for small images, three stages of 5 blocks"),
    "resnet44_cifar": _resnet("resnet44_cifar", "for small images, three stages of 7 blocks"),
    "resnet56_cifar": _resnet("resnet56_cifar", "for small images, three stages of 9 blocks"),
    "resnet110_cifar": _resnet("resnet110_cifar", "for small images, three stages of 18 blocks"),
}


def names() -> list[str]:
    """Every name that `build` takes."""
    return list(MODELS)


def build(name: str, classes: int = 1000, size: int | None = None, start: Start = "paper") -> Classifier:
    """Build a net with fresh weights, drawn from torch's global generator.

    Args:
        name: one of `names()`.
        classes: number of scores, at least 2.
        size: side of the input in pixels that the fully-connected layers are built for; by default that of
            the publication (224, Caffe's 227).
        start: "paper": the publication's own initial weights; "he": He's normal start, biases 0.

    Raises:
        InputError: an unknown name, fewer than two classes, or too small a size.
    """
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}; choose one of {', '.join(MODELS)}")
    return MODELS[name].builder(classes, size, start)


@cache
def parameters(name: str, classes: int = 1000) -> int:
    """Number of trainable parameters at the published size, counted without making them."""
    with torch.device("meta"):
        net = build(name, classes)
    return sum(p.numel() for p in net.parameters())
