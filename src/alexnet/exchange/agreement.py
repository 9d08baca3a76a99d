"""Side by side: the net that was made of foreign weights, and the foreign net itself."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from alexnet.errors import InputError
from alexnet.models import Classifier

TOLERANCE = 1e-5  # of the largest score, and of the largest softmax output: two float32 programs, many layers
VARIATION = 0.01  # of the largest score, by which two images must differ in a class to prove anything


@dataclass(frozen=True)
class Agreement:
    """How well two nets agree.

    Attributes:
        images: how many both were shown.
        size: their side in pixels.
        scores: largest difference of two scores, relative to the largest score.
        softmax: the same of the softmax outputs.
        variation: smallest of two images' largest differences, relative to the largest score; what all classes have in
            common is left out.
    """

    images: int
    size: int
    scores: float
    softmax: float
    variation: float


def images_to_compare(size: int, images: int = 3, seed: int = 0) -> Tensor:
    """Coloured clouds with noise upon them, each of another brightness: float32 RGB [n 3 size size] in 0..255."""
    generator = torch.Generator().manual_seed(seed)
    clouds = torch.rand(images, 3, 6, 6, generator=generator)
    clouds = functional.interpolate(clouds, (size, size), mode="bilinear")
    noise = torch.rand(images, 3, size, size, generator=generator)
    brightness = torch.linspace(1, 0.4, images)[:, None, None, None]
    return 255 * brightness * (0.8 * clouds + 0.2 * noise)


@torch.inference_mode()
def agreement(net: Classifier, original: Callable[[Tensor], Tensor], size: int) -> Agreement:
    """Show both nets the same images and compare their scores.

    Args:
        net: in evaluation mode.
        original: gives scores [n classes], before any softmax, of RGB floats [n 3 size size] in 0..255.
        size: side of the images in pixels.

    Raises:
        InputError: the scores differ, or hardly depend on the image, so that they prove nothing.
    """
    images = images_to_compare(size)
    ours, theirs = net(images).double(), original(images).double()
    if ours.shape != theirs.shape:
        raise InputError(
            f"the original gives {tuple(theirs.shape)} scores, {net.name} {tuple(ours.shape)}: this is another net"
        )
    found = compared(ours, theirs, size)
    if not found.variation > VARIATION:
        raise InputError(
            "the original gives nearly the same answer for different images (its scores differ by "
            f"{found.variation:.1e} of the largest): equal outputs would prove nothing, bring in trained weights"
        )
    if not max(found.scores, found.softmax) <= TOLERANCE:  # also when one is not a number
        raise InputError(
            f"{net.name} with these weights does not do what the original does: scores differ by {found.scores:.1e} "
            f"of the largest, softmax outputs by {found.softmax:.1e} (up to {TOLERANCE:.0e} is accepted); "
            "nothing was written"
        )
    return found


def compared(ours: Tensor, theirs: Tensor, size: int) -> Agreement:
    """How far scores of the same images, float64 [n classes] with n of 2 or more, are apart; `size` is noted."""
    largest = float(theirs.abs().max())
    p, q = ours.softmax(1), theirs.softmax(1)
    apart = torch.pdist(theirs - theirs.mean(1, keepdim=True), p=float("inf"))  # what softmax can see
    return Agreement(
        images=len(ours),
        size=size,
        scores=float((ours - theirs).abs().max()) / largest if largest else float("nan"),
        softmax=float((p - q).abs().max() / q.max()),
        variation=float(apart.min()) / largest if largest else 0.0,
    )
