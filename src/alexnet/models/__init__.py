"""The nets by name, and what builds them."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch

from alexnet.errors import InputError
from alexnet.models import googlenet, nin, resnet, vgg
from alexnet.models.alexnet import VARIANTS, Variant, build_variant
from alexnet.models.classifier import Classifier, SideClassifier, as_convolutions, from_convolutions
from alexnet.models.dropout import Dropout, begin_step, draw_ahead, take_rows
from alexnet.models.initial import Start
from alexnet.models.lenet import build_lenet5

__all__ = [
    "ALIASES",
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
    "draw_ahead",
    "from_convolutions",
    "model",
    "names",
    "parameters",
    "take_rows",
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
        classes: number of scores that it was published with.
    """

    name: str
    paper: str
    year: int
    note: str
    size: int
    builder: Callable[[int, int | None, Start], Classifier]
    small: int = 67  # AlexNet's maps are 15, 7, 3 and 1 wide there
    classes: int = 1000


_LENET = "LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition"
_NIN = "Lin, Chen, Yan: Network In Network"
_PAPER = "Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks"
_CAFFE = "Jia and others: Caffe"
_WEIRD = "Krizhevsky: One weird trick for parallelizing convolutional neural networks"
_RESIDUAL = "He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition"
_VGG = "Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition"
_GOOGLENET = "Szegedy and others: Going Deeper with Convolutions"


def _model(name: str, paper: str, year: int, note: str) -> Model:
    variant = VARIANTS[name]
    return Model(name, paper, year, note, variant.size, partial(build_variant, variant))


def _lenet(name: str, note: str) -> Model:
    return Model(name, _LENET, 1998, note, 32, partial(build_lenet5, name), small=32, classes=10)


def _nin(name: str, note: str, small: int, classes: int = 10) -> Model:
    variant = nin.VARIANTS[name]
    return Model(name, _NIN, 2013, note, variant.size, partial(nin.build_variant, variant), small, classes)


def _resnet(name: str, note: str) -> Model:
    variant = resnet.VARIANTS[name]
    small, classes = (32, 10) if variant.stem == "small" else (64, 1000)
    return Model(name, _RESIDUAL, 2015, note, variant.size, partial(resnet.build_variant, variant), small, classes)


def _vgg(name: str, note: str) -> Model:
    variant = vgg.VARIANTS[name]
    classes = 10 if name == "vgg_cifar" else 1000
    return Model(name, _VGG, 2014, note, variant.size, partial(vgg.build_variant, variant), 32, classes)


def _googlenet(name: str, note: str) -> Model:
    variant = googlenet.VARIANTS[name]
    return Model(name, _GOOGLENET, 2014, note, 224, partial(googlenet.build_variant, variant), 64)


MODELS: dict[str, Model] = {
    "alexnet": _model("alexnet", _PAPER, 2012, "the paper as printed, two towers"),
    "alexnet_2012": _model("alexnet_2012", _PAPER, 2012, "the published source, unlike the paper in places"),
    "alexnet_one_column": _model("alexnet_one_column", _PAPER, 2012, "the paper's net without towers"),
    "alexnet_half": _model("alexnet_half", _PAPER, 2012, "the paper's one-GPU net of half the kernels"),
    "caffe_alexnet": _model("caffe_alexnet", _CAFFE, 2014, "Caffe's replica: 227 pixels, biases 0.1, k 1"),
    "caffenet": _model("caffenet", _CAFFE, 2014, "Caffe's reference net: pools before it normalises"),
    "alexnet_2014": _model("alexnet_2014", _WEIRD, 2014, "torchvision's alexnet: one column, no LRN"),
    "lenet5": _lenet("lenet5", "compares with drawings; loss (9)"),
    "lenet5_mse": _lenet("lenet5_mse", "compares with drawings; loss (8)"),
    "lenet5_softmax": _lenet("lenet5_softmax", "the tutorials': full c3, mean pooling, softmax"),
    "nin": _nin("nin", "the author's release for Caffe", 67, 1000),
    "nin_cifar": _nin("nin_cifar", "for CIFAR, 32 pixels", 32),
    "nin_mnist": _nin("nin_mnist", "for MNIST, 28 pixels, grey", 28),
    "vgg_a": _vgg("vgg_a", "column A, 11 layers; vgg11"),
    "vgg_a_lrn": _vgg("vgg_a_lrn", "column A-LRN, 11 layers and response normalisation"),
    "vgg_b": _vgg("vgg_b", "column B, 13 layers; vgg13"),
    "vgg_c": _vgg("vgg_c", "column C, 16 layers, three of them 1x1"),
    "vgg_d": _vgg("vgg_d", "column D, 16 layers; vgg16"),
    "vgg_e": _vgg("vgg_e", "column E, 19 layers; vgg19"),
    "vgg_a_bn": _vgg("vgg_a_bn", "A with batch normalisation; vgg11_bn"),
    "vgg_b_bn": _vgg("vgg_b_bn", "B with batch normalisation; vgg13_bn"),
    "vgg_d_bn": _vgg("vgg_d_bn", "D with batch normalisation; vgg16_bn"),
    "vgg_e_bn": _vgg("vgg_e_bn", "E with batch normalisation; vgg19_bn"),
    "vgg_cifar": _vgg("vgg_cifar", "ours: A's convolutions for small images, 512 hidden units"),
    "googlenet": _googlenet("googlenet", "the paper as printed, two side classifiers"),
    "googlenet_bn": _googlenet("googlenet_bn", "with batch normalisation, without LRN"),
    "googlenet_torchvision": _googlenet("googlenet_torchvision", "torchvision's: batch norm, 3x3 in place of 5x5"),
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

# Other names, by which these nets are better known -> ours.
ALIASES: dict[str, str] = dict(vgg.ALIASES)


def names() -> list[str]:
    """The nets' own names; `build` takes `ALIASES` too."""
    return list(MODELS)


def model(name: str) -> Model:
    """The net of a name or of an alias.

    Raises:
        InputError: an unknown name.
    """
    own = ALIASES.get(name, name)
    if own not in MODELS:
        near = difflib.get_close_matches(name, [*MODELS, *ALIASES], 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"there is no model {name!r}; {meant}choose one of {', '.join(MODELS)}")
    return MODELS[own]


def build(name: str, classes: int | None = None, size: int | None = None, start: Start = "paper") -> Classifier:
    """Build a net with fresh weights, drawn from torch's global generator.

    Args:
        name: one of `names()`, or an alias.
        classes: number of scores, at least 2; by default that of the publication.
        size: side of the input in pixels that the fully-connected layers are built for; by default that of
            the publication (224, Caffe's 227).
        start: "paper": the publication's own initial weights; "he": He's normal start, biases 0.

    Raises:
        InputError: an unknown name, fewer than two classes, or too small a size.
    """
    chosen = model(name)
    return chosen.builder(chosen.classes if classes is None else classes, size, start)


@cache
def parameters(name: str, classes: int | None = None) -> int:
    """Number of trainable parameters at the published size and, by default, classes, counted without making them.

    Side classifiers, which are gone at test, are not counted; `summary` says theirs apart.
    """
    with torch.device("meta"):
        net = build(name, classes)
    return net.parameter_count
