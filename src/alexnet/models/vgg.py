"""VGG: the nets A to E of small windows and many layers, with batch normalisation too, and one for small images.

Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2014; ICLR 2015). Two
convolutions of 3x3 see what one of 5x5 sees, three what one of 7x7 sees, with fewer weights and more ReLUs. Five
blocks, each followed by a pooling of 2x2, then three fully-connected layers. Input: RGB in 0..255, 224 x 224,
minus the mean. `vgg_d` (table 1), which most call VGG-16:

    stage               output          parameters     (1000 classes)
    conv1_1             64 x 224 x 224       1,792
    conv1_2             64 x 224 x 224      36,928
    pool1, conv2_1     128 x 112 x 112      73,856
    conv2_2            128 x 112 x 112     147,584
    pool2, conv3_1     256 x 56 x 56       295,168
    conv3_2, conv3_3   256 x 56 x 56       590,080 each
    pool3, conv4_1     512 x 28 x 28     1,180,160
    conv4_2, conv4_3   512 x 28 x 28     2,359,808 each
    pool4, conv5_1..3  512 x 14 x 14     2,359,808 each
    pool5              512 x 7 x 7
    fc6, drop6        4096             102,764,544
    fc7, drop7        4096              16,781,312
    fc8               1000               4,097,000

Departures: 1. The paper prints a variance of 10^-2 for the initial weights. With that deviation of 0.1 the first
scores are of the order of 10^8, with a deviation of 0.01 of 10^-3; we take the latter. 2. Dropout is the kind that
scales in training: the authors used Caffe, which does so, and with it the published weights go as they are.
3. A-LRN's constants are those of AlexNet's paper, to which section 2.3 refers. 4. The start from net A: see
`from_shallower`. 5. The nets `_bn` are not the paper's but torchvision's, their convolutions keep their biases.
6. `vgg_cifar` is no paper's: A's convolutions on 32 x 32 pixels, where pool5 is 1 x 1, and 512 units in fc6 and fc7
instead of 4096.
"""

from dataclasses import dataclass

import torch
from torch import nn

from alexnet.errors import InputError
from alexnet.models.blocks import Conv, ConvNorm, ConvReLU, FullyConnected, FullyConnectedReLU, MaxPool
from alexnet.models.classifier import Classifier
from alexnet.models.dropout import Dropout
from alexnet.models.initial import Start, checked, he, made_empty
from alexnet.models.lrn import LRN

SMALLEST = 32  # pixels a side: one position is left behind pool5

# Table 1: kernels of the convolutions in each block.
BLOCKS = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "A-LRN": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}


@dataclass(frozen=True)
class Variant:
    """All that tells one VGG from another.

    Attributes:
        name: how it is called.
        column: of the paper's table 1; a key of `BLOCKS`.
        norm: whether batch normalisation follows every convolution.
        widths: maps of the convolutions in each block.
        hidden: units of fc6 and fc7.
        size: side of the published input, in pixels.
        torchvision: name in torchvision, where it has the net.
    """

    name: str
    column: str
    norm: bool = False
    widths: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512)
    hidden: int = 4096
    size: int = 224
    torchvision: str | None = None


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("vgg_a", "A", torchvision="vgg11"),
        Variant("vgg_a_lrn", "A-LRN"),
        Variant("vgg_b", "B", torchvision="vgg13"),
        Variant("vgg_c", "C"),
        Variant("vgg_d", "D", torchvision="vgg16"),
        Variant("vgg_e", "E", torchvision="vgg19"),
        Variant("vgg_a_bn", "A", norm=True, torchvision="vgg11_bn"),
        Variant("vgg_b_bn", "B", norm=True, torchvision="vgg13_bn"),
        Variant("vgg_d_bn", "D", norm=True, torchvision="vgg16_bn"),
        Variant("vgg_e_bn", "E", norm=True, torchvision="vgg19_bn"),
        Variant("vgg_cifar", "A", hidden=512, size=32),
    )
}

# The other names of these nets -> ours.
ALIASES = {variant.torchvision: name for name, variant in VARIANTS.items() if variant.torchvision is not None}

# Section 3.1: what a deeper net takes from a trained A: stage -> stage of A. See `from_shallower`.
FROM_A = {
    deeper: {stage: stage for stage in ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8")}
    for deeper in ("vgg_b", "vgg_c", "vgg_d", "vgg_e")
}


def build_variant(variant: Variant, classes: int = 1000, size: int | None = None, start: Start = "paper") -> Classifier:
    """Build a variant with fresh weights, drawn from torch's global generator.

    Args:
        variant: one of `VARIANTS`, or another made of it with `dataclasses.replace`.
        classes: number of scores, at least 2.
        size: side of the input in pixels that fc6 is built for; by default the variant's published one; at least
            `SMALLEST`.
        start: "paper": normal with deviation 0.01, biases 0 (section 3.1; departure 1 of this file); "he": see
            `initial.he`, for nets that train from scratch without batch normalisation.

    Raises:
        InputError: fewer than two classes, an unknown start, or too small a size.
    """
    size = variant.size if size is None else size
    checked(variant.name, classes, start, size, SMALLEST)
    net = made_empty(lambda: Classifier(variant.name, _stages(variant, classes, size), size, SMALLEST, classes))
    if start == "he":
        he(net)
    else:
        _as_printed(net)
    return net


@torch.no_grad()
def from_shallower(net: Classifier, shallower: Classifier) -> list[str]:
    """Start B, C, D or E from a trained A; give the stages that were taken (section 3.1).

    The paper takes A's first four convolutions and its three fully-connected layers; the rest stays random. A's
    four are conv1_1, conv2_1, conv3_1 and conv3_2. They go to the stages of the same names, the only places where they
    have the right shapes and see maps of the same side. fc8 is taken where the two have as many classes. Mean and
    scale are not taken.

    Raises:
        InputError: another pair of nets, or another size.
    """
    if net.name not in FROM_A or shallower.name != "vgg_a":
        raise InputError(f"{net.name} cannot start from {shallower.name}: start one of {', '.join(FROM_A)} from vgg_a")
    if net.size != shallower.size:
        raise InputError(
            f"{net.name} is built for {net.size} pixels, the trained vgg_a for {shallower.size}: "
            f"build it with size={shallower.size}"
        )
    stages = dict(FROM_A[net.name])
    if net.classes != shallower.classes:
        del stages["fc8"]
    for stage, other in stages.items():
        net.stages[stage].load_state_dict(shallower.stages[other].state_dict())
    return list(stages)


def torchvision_names(net: Classifier) -> dict[str, str]:
    """Key of our state -> key of torchvision's net of the same column, for all that both have.

    Raises:
        InputError: torchvision has no such net.
    """
    if net.name not in ALIASES.values():
        raise InputError(f"torchvision has no {net.name}: it has {', '.join(ALIASES.values())}")
    found: dict[str, str] = {}
    place = 0
    for name, stage in net.stages.items():
        if isinstance(stage, ConvNorm):
            found |= {f"{name}.conv.{key}": f"features.{place}.{key}" for key in stage.conv.state_dict()}
            found |= {f"{name}.norm.{key}": f"features.{place + 1}.{key}" for key in stage.norm.state_dict()}
            place += 3  # convolution, normalisation, ReLU
        elif isinstance(stage, Conv):
            found |= {f"{name}.{key}": f"features.{place}.{key}" for key in stage.state_dict()}
            place += 2
        elif isinstance(stage, MaxPool):
            place += 1
    for name, layer in (("fc6", 0), ("fc7", 3), ("fc8", 6)):
        found |= {f"{name}.{key}": f"classifier.{layer}.{key}" for key in ("weight", "bias")}
    return found


def _stages(variant: Variant, classes: int, size: int) -> dict[str, nn.Module]:
    stages: dict[str, nn.Module] = {}
    in_table: dict[str, str] = {}
    maps = 3
    for block, (kernels, width) in enumerate(zip(BLOCKS[variant.column], variant.widths, strict=True), start=1):
        for place, kernel in enumerate(kernels, start=1):
            name, zeros = f"conv{block}_{place}", (kernel // 2, kernel // 2)
            if variant.norm:
                stages[name] = ConvNorm(maps, width, kernel, padding=zeros, bias=True)
            else:
                stages[name] = ConvReLU(maps, width, kernel, padding=zeros)
            in_table[name] = f"conv{kernel}-{width}"
            maps = width
        if variant.column == "A-LRN" and block == 1:
            stages["norm1"] = LRN(n=5, k=2.0, alpha=1e-4, beta=0.75, alpha_is="sum")
            in_table["norm1"] = "LRN"
        stages[f"pool{block}"] = MaxPool(2, 2)
        in_table[f"pool{block}"] = "maxpool"
    side, units = size // 32, variant.hidden
    stages |= {
        "fc6": FullyConnectedReLU((maps, side, side), units),
        "drop6": Dropout(0.5, "inverted"),
        "fc7": FullyConnectedReLU((units, 1, 1), units),
        "drop7": Dropout(0.5, "inverted"),
        "fc8": FullyConnected((units, 1, 1), classes),
    }
    in_table |= {"fc6": f"FC-{units}", "fc7": f"FC-{units}", "fc8": f"FC-{classes}"}
    for name, words in in_table.items():
        stages[name].in_paper = {variant.column: words}  # type: ignore[assignment]
    return stages


@torch.no_grad()
def _as_printed(net: Classifier) -> None:
    for layer in net.modules():
        if isinstance(layer, Conv | FullyConnected):
            layer.weight.normal_(0, 0.01)
            if layer.bias is not None:
                layer.bias.zero_()
