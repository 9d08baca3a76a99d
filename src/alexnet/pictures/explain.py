"""Which part of an image an answer rests on: saliency, occlusion, Grad-CAM.

Saliency: K. Simonyan, A. Vedaldi, A. Zisserman, "Deep Inside Convolutional Networks", 2013, section 3.1.
Occlusion: M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", 2013, section 4.2.
Grad-CAM: R. Selvaraju and others, "Grad-CAM: Visual Explanations from Deep Networks", 2016, section 3.

Each looks at one image, float [1 3 h w] in 0..255, and one class by its number. A score is what the net gives before
the softmax.
"""

import math

import torch
from torch import Tensor

from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.models.alignment import Alignment, alignment
from alexnet.models.summary import layer_table


def gradient(net: Classifier, image: Tensor, number: int) -> Tensor:
    """How a class's score changes with each number of the image: [3 h w], score per level of 0..255."""
    image = image.detach().clone().requires_grad_()
    with torch.enable_grad():
        score = net(image)[0, number]
    return torch.autograd.grad(score, image)[0][0]


def saliency(net: Classifier, image: Tensor, number: int) -> Tensor:
    """The steepest of a pixel's three channels, whatever its sign: [h w], 0 and more."""
    return gradient(net, image, number).abs().amax(0)


@torch.no_grad()
def occlusion(
    net: Classifier, image: Tensor, number: int, side: int, step: int, batch: int = 64
) -> tuple[Tensor, Alignment]:
    """How far the probability of a class falls when a grey square hides a part of the image.

    The grey is the net's mean colour, which it sees as zero. The squares' centres lie `step` pixels apart, so that
    cells of that side about them cover the image; squares that reach over its edge are cut there.

    Args:
        net: in evaluation mode.
        image: [1 3 h w].
        number: of the class.
        side: of the square, in pixels.
        step: pixels between two squares.
        batch: images at once.

    Returns:
        [H W], probability as it is minus probability with the square there, -1..1; and where these lie.

    Raises:
        InputError: a square of no pixels, or one that hides the whole image.
    """
    high, wide = image.shape[2:]
    if not 0 < side < min(high, wide) or step < 1:
        raise InputError(
            f"a square of {side} pixels came; the net sees {high} x {wide}: give 1 to {min(high, wide) - 1}"
        )
    grey = net.mean.mean((1, 2)).to(image)[None, :, None, None]
    before = (step - side) // 2  # where the first square begins: its centre is that of the first cell
    first = before + (side - 1) / 2  # half a pixel off where one of side and step is even
    rows, columns = (math.ceil((length - 0.5 - first) / step + 0.5) for length in (high, wide))
    tops, lefts = ([before + step * i for i in range(count)] for count in (rows, columns))
    places = [(top, left) for top in tops for left in lefts]
    p = []
    for start in range(0, len(places), batch):
        several = places[start : start + batch]
        hidden = image.repeat(len(several), 1, 1, 1)
        for one, (top, left) in zip(hidden, several, strict=True):
            one[:, max(0, top) : top + side, max(0, left) : left + side] = grey[0]
        p.append(net(hidden).float().softmax(1)[:, number])
    falls = net(image).float().softmax(1)[0, number] - torch.cat(p)
    return falls.reshape(rows, columns), Alignment(first, step, side)


def gradcam(net: Classifier, image: Tensor, number: int, stage: str) -> tuple[Tensor, Alignment]:
    """Where a stage's maps speak for a class: the maps, each times its mean gradient, summed, cut at 0.

    Args:
        net: in evaluation mode.
        image: [1 3 h w].
        number: of the class.
        stage: name of a stage with maps.

    Returns:
        [H W], 0 and more; and where these positions look.

    Raises:
        InputError: no such stage, one without maps, or one behind an adaptive pooling.
    """
    at = alignment(net, stage)
    x = net.preprocess(image)
    with torch.no_grad():
        maps = x
        for name, layer in net.stages.items():
            maps = layer(maps)
            if name == stage:
                break
    if maps.dim() != 4:
        raise InputError(
            f"{stage} of {net.name} has no maps, only units: take an earlier stage, such as {last_maps(net)}"
        )
    maps.requires_grad_()
    names = list(net.stages)
    with torch.enable_grad():
        y = maps.clone()  # a layer may write into what it is given
        for name in names[names.index(stage) + 1 :]:
            y = net.stages[name](y)
        score = y.flatten(2).mean(2)[0, number] if y.dim() == 4 else y[0, number]
    slope = torch.autograd.grad(score, maps)[0]
    weights = slope.mean((2, 3), keepdim=True)
    return (weights * maps.detach()).sum(1)[0].clamp(min=0), at


def last_maps(net: Classifier) -> str:
    """The last stage with weights whose maps have more than one position: where Grad-CAM looks unless told."""
    found = [row for row in layer_table(net) if row["parameters"] and len(row["output"]) == 3 and row["output"][1] > 1]
    return found[-1]["name"] if found else next(iter(net.stages))
