"""What is done to an image before a foreign net sees it, and how our net comes to do the same.

No file of weights says it. It is named or given, never guessed: a wrong channel order or mean costs accuracy
without any error.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.models.blocks import Conv

Channels = Literal["rgb", "bgr"]
Three = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """A net's input: (pixel - mean) / scale in each channel, the channels in an order.

    Attributes:
        mean: red, green, blue, in 0..255.
        scale: red, green, blue, positive; 1 for pixels of 0..255, 255 for those of 0..1.
        channels: the order in which the net takes them.
        source: where this is written.
    """

    mean: Three
    scale: Three
    channels: Channels
    source: str

    def __call__(self, images: Tensor) -> Tensor:
        """What the foreign net takes, of RGB floats [n 3 h w] in 0..255."""
        mean, scale = (images.new_tensor(three)[:, None, None] for three in (self.mean, self.scale))
        ready = (images - mean) / scale
        return ready if self.channels == "rgb" else ready.flip(1)

    @torch.no_grad()
    def fold_into(self, net: Classifier) -> None:
        """Make a net with weights for this preprocessing take RGB in 0..255.

        The mean is the net's own; of the scale it has one number, the mean of the three, and what is left of each
        channel's goes into the weights of the first convolution, as does the order. This is exact at the edges
        too: the zeros there stand for the mean before and after.
        """
        first = next(module for module in net.modules() if isinstance(module, Conv))
        if first.in_channels != 3:
            raise InputError(f"{net.name} does not begin with a convolution of three channels: bring in another net")
        weight = first.weight.flip(1) if self.channels == "bgr" else first.weight
        one = sum(self.scale) / 3
        # A new tensor: the old one may be the foreign net's own.
        first.weight = nn.Parameter(weight * torch.tensor([one / scale for scale in self.scale])[:, None, None])
        net.set_preprocessing(torch.tensor(self.mean), one)


def _255(red: float, green: float, blue: float) -> Three:
    return 255 * red, 255 * green, 255 * blue


ZERO: Three = (0.0, 0.0, 0.0)
ONE: Three = (1.0, 1.0, 1.0)
HALF: Three = (127.5, 127.5, 127.5)
PREPROCESSING: dict[str, Preprocessing] = {
    "torchvision": Preprocessing(
        _255(0.485, 0.456, 0.406), _255(0.229, 0.224, 0.225), "rgb", "torchvision's weights, and most that followed"
    ),
    "torchvision_googlenet": Preprocessing(
        HALF, HALF, "rgb", "torchvision's released GoogLeNet, whose transform_input comes to this"
    ),
    "caffe": Preprocessing(
        (122.67891434, 116.66876762, 104.00698793), ONE, "bgr", "Caffe's AlexNet and CaffeNet: mean of their mean image"
    ),
    "caffe_googlenet": Preprocessing((123.0, 117.0, 104.0), ONE, "bgr", "Caffe's bvlc_googlenet, its mean_value lines"),
    "vgg": Preprocessing((123.68, 116.779, 103.939), ONE, "bgr", "the VGG authors' release for Caffe"),
    "zero_to_one": Preprocessing(ZERO, _255(*ONE), "rgb", "pixels divided by 255, nothing subtracted"),
    "none": Preprocessing(ZERO, ONE, "rgb", "pixels as they are, RGB in 0..255"),
}


def chosen_preprocessing(
    name: str | None, mean: str | None = None, scale: str | None = None, channels: str | None = None
) -> Preprocessing:
    """A named preprocessing, with the parts that are given replaced.

    Args:
        name: one of `PREPROCESSING`, or None when mean, scale and channels are all given.
        mean: "red,green,blue" in 0..255.
        scale: one number or "red,green,blue".
        channels: "rgb" or "bgr".

    Raises:
        InputError: a name that does not exist; numbers that make no sense; parts that are neither named nor given.
    """
    if name is not None and name not in PREPROCESSING:
        raise InputError(f"there is no preprocessing {name!r}: choose one of {', '.join(PREPROCESSING)}")
    base = PREPROCESSING[name] if name is not None else None
    if base is None and None in (mean, scale, channels):
        raise InputError(
            "a file of weights does not say what its net subtracts and divides by, nor its order of channels: "
            f"give --preprocessing, one of {', '.join(PREPROCESSING)}, or all of --mean, --scale and --channels"
        )
    return Preprocessing(
        _three("--mean", mean) if mean is not None else base.mean,  # type: ignore[union-attr]
        _three("--scale", scale, positive=True) if scale is not None else base.scale,  # type: ignore[union-attr]
        cast(Channels, channels) if channels is not None else base.channels,  # type: ignore[union-attr]
        base.source if base is not None and (mean, scale, channels) == (None, None, None) else "given",
    )


def _three(option: str, text: str, positive: bool = False) -> Three:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if positive and len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or (positive and min(numbers) <= 0):
        wanted = "one positive number or three" if positive else "three numbers, red,green,blue in 0..255"
        raise InputError(f"{option} {text}: give {wanted}, with commas between")
    return numbers[0], numbers[1], numbers[2]
