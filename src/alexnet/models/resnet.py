"""ResNet: the nets of 18 to 152 layers for photographs, of 20 to 110 for CIFAR, and the plain nets beside them.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015; CVPR 2016). A block's convolutions learn
what is to be added to its input, which a shortcut carries past them (see `residual`). Batch normalisation follows
every convolution, no dropout. Input: RGB in 0..255, minus the mean image. `resnet50` (table 1 and option B):

    stage     output           blocks                                  parameters
    conv1       64 x 112 x 112                                              9,536
    pool1       64 x 56 x 56   (in the paper part of conv2_x)
    conv2_x    256 x 56 x 56   3 of 1x1, 64;  3x3, 64;  1x1, 256          215,808
    conv3_x    512 x 28 x 28   4 of 1x1, 128; 3x3, 128; 1x1, 512        1,219,584
    conv4_x   1024 x 14 x 14   6 of 1x1, 256; 3x3, 256; 1x1, 1024       7,098,368
    conv5_x   2048 x 7 x 7     3 of 1x1, 512; 3x3, 512; 1x1, 2048      14,964,736
    average   2048
    fc        1000                                                      2,049,000

The nets for CIFAR (section 4.2): conv1 with 16 maps, then three stages of n blocks with 16, 32 and 64 maps on 32, 16
and 8 pixels; 6n + 2 layers.

Departures: 1. The paper does not say how its first pooling meets the edge. Ours has a zero at both ends, as
torchvision's; the authors' release has none and rounds up (`Variant.stem_pool`). 2. Of 18 and 34 layers the paper
tries several shortcuts; ours have option B unless asked (`Variant.shortcuts`). 3. "As in [13]" is read as a normal
start with variance 2 / fan-in, [13]'s equation 10; its fan-out form serves as well. The last layer's deviation is 0.01.
4. `_v1_5` puts the stride on the 3 x 3 of a bottleneck, not on its first 1 x 1: not the paper's, but what most
libraries call ResNet-50.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from alexnet.models.blocks import ConvNorm, FullyConnected, MaxPool, WindowAverage
from alexnet.models.classifier import Classifier
from alexnet.models.initial import Start, checked, he, made_empty
from alexnet.models.residual import Residual, Shortcuts


@dataclass(frozen=True)
class Variant:
    """All that tells one ResNet from another.

    Attributes:
        name: how it is called.
        blocks: number of blocks in conv2_x, conv3_x, ...
        bottleneck: 1x1, 3x3, 1x1 in a block, with four times the maps at its end, or two 3x3.
        shortcuts: "A", "B", "C" or "none", see `residual`.
        stride_at: the convolution of a bottleneck that halves the side: 1, or 2 in v1.5.
        width: maps of the 3x3 convolutions of conv2_x; each later stage has twice as many.
        stem: "photographs": conv1 of 7x7 with stride 2 and a pooling; "small": conv1 of 3x3 alone.
        stem_pool: "padded": a zero at both ends, as torchvision's; "up": none, the last window may reach over
            the edge, as in the authors' release.
        size: side of the published input, in pixels.
    """

    name: str
    blocks: tuple[int, ...]
    bottleneck: bool = False
    shortcuts: Shortcuts = "B"
    stride_at: Literal[1, 2] = 1
    width: int = 64
    stem: Literal["photographs", "small"] = "photographs"
    stem_pool: Literal["padded", "up"] = "padded"
    size: int = 224

    @property
    def layers(self) -> int:
        """Layers with weights from the image to the scores, shortcuts not counted."""
        return 2 + sum(self.blocks) * (3 if self.bottleneck else 2)

    @property
    def smallest(self) -> int:
        """Smallest side in pixels: the last maps still have one pixel (photographs) or 2 x 2 (small)."""
        return 32 if self.stem == "photographs" else 8


def _cifar(n: int) -> Variant:
    return Variant(f"resnet{6 * n + 2}_cifar", (n, n, n), shortcuts="A", width=16, stem="small", size=32)


_50, _101, _152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("plain18", (2, 2, 2, 2), shortcuts="none"),
        Variant("plain34", (3, 4, 6, 3), shortcuts="none"),
        Variant("resnet18", (2, 2, 2, 2)),
        Variant("resnet34", (3, 4, 6, 3)),
        Variant("resnet50", _50, bottleneck=True),
        Variant("resnet101", _101, bottleneck=True),
        Variant("resnet152", _152, bottleneck=True),
        Variant("resnet50_v1_5", _50, bottleneck=True, stride_at=2),
        Variant("resnet101_v1_5", _101, bottleneck=True, stride_at=2),
        Variant("resnet152_v1_5", _152, bottleneck=True, stride_at=2),
        *(_cifar(n) for n in (3, 5, 7, 9, 18)),
    )
}


def build_variant(variant: Variant, classes: int = 1000, size: int | None = None, start: Start = "paper") -> Classifier:
    """Build a variant with fresh weights, drawn from torch's global generator.

    Args:
        variant: one of `VARIANTS`, or another made of it with `dataclasses.replace`.
        classes: number of scores, at least 2.
        size: side of the input in pixels that the average is built for; by default the variant's published one.
        start: "paper" and "he" are the same here: He's normal start is the paper's (section 3.4).

    Raises:
        InputError: fewer than two classes, an unknown start, or a size below `variant.smallest`.
    """
    size = variant.size if size is None else size
    checked(variant.name, classes, start, size, variant.smallest)
    net = made_empty(
        lambda: Classifier(
            variant.name, _stages(variant, classes, size), size, variant.smallest, classes, classifier_stage="fc"
        )
    )
    he(net)
    return net


def _stages(variant: Variant, classes: int, size: int) -> dict[str, nn.Module]:
    stages: dict[str, nn.Module] = {}
    side, maps = size, variant.width
    if variant.stem == "photographs":
        stages["conv1"] = conv1 = ConvNorm(3, maps, 7, 2, (3, 3))
        padded = variant.stem_pool == "padded"
        stages["pool1"] = pool1 = MaxPool(3, 2, "down" if padded else "up", padding=1 if padded else 0)
        side = pool1.output_side(conv1.conv.output_side(side, "conv1"), "pool1")
    else:
        stages["conv1"] = ConvNorm(3, maps, 3, 1, (1, 1))
    for i, blocks in enumerate(variant.blocks):
        stride = 1 if i == 0 else 2
        stage = Residual(
            maps, variant.width << i, blocks, stride, variant.bottleneck, variant.shortcuts, variant.stride_at
        )
        stages[f"conv{i + 2}_x"] = stage
        side, maps = -(-side // stride), stage.maps
    stages["average"] = WindowAverage(side)
    stages["fc"] = FullyConnected((maps, 1, 1), classes)
    return stages


def torchvision_names(net: Classifier) -> dict[str, str]:
    """Key of our state -> key of torchvision's, for a ResNet of 18 to 152 layers with option B.

    Its 50 layers and more have the stride of v1.5: the same weights in `resnet50` give other scores.
    `mean` and `scale` have no counterpart and are left out.
    """
    return {key: _torchvision_name(key) for key in net.state_dict() if key not in ("mean", "scale")}


def _torchvision_name(key: str) -> str:
    stage, *rest = key.split(".")
    if stage == "fc":
        return key
    if stage == "conv1":
        layer, tensor = rest
        return f"{'conv1' if layer == 'conv' else 'bn1'}.{tensor}"
    block, child, layer, tensor = rest
    if child == "shortcut":
        child = f"downsample.{0 if layer == 'conv' else 1}"
    elif layer == "norm":
        child = f"bn{child[-1]}"
    return f"layer{int(stage[4]) - 1}.{int(block) - 1}.{child}.{tensor}"
