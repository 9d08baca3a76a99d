"""A class's score map over the image: what the net says of each place that it slides over.

A net slides over an image larger than its input and gives scores at every position (Sermanet and others, 2014,
section 3.5; VGG paper, section 3.2). Here the softmax of each position's scores is laid over the image, in a
square of one step a side about the centre of what the position looks at. Where no position is centred,
at the image's edge, nothing is laid over it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from alexnet.augment import to_planes
from alexnet.checkpoint import load_weights, weights_file
from alexnet.devices import choose_device
from alexnet.errors import InputError
from alexnet.images import ImageProblem, read_image
from alexnet.models.alignment import Alignment, alignment
from alexnet.pictures.overlay import Extent, extent_of, overlay
from alexnet.pictures.style import short


@dataclass(frozen=True)
class ScoreMap:
    """What a net says of one class all over an image.

    Attributes:
        pixels: uint8 [h, w, 3], the image as it went into the net.
        heat: float64 [H, W], calibrated probability of the class at each position.
        label: name of the class.
        whole: probability of the class in the whole image: of the scores averaged over the positions.
        model: the net.
        at: where on `pixels` the positions look.
    """

    pixels: np.ndarray
    heat: np.ndarray
    label: str
    whole: float
    model: str
    at: Alignment

    @property
    def extent(self) -> Extent:
        """Where the squares lie on the image, see `overlay.extent_of`."""
        return extent_of(self.at, *self.heat.shape)


def score_map(
    run: str | Path, image: str | Path, label: str | None = None, size: int | None = None, device: str = "auto"
) -> ScoreMap:
    """Slide a run's net over an image.

    Args:
        run: a run's folder or a file of weights.
        image: a file.
        label: name of a class; by default the likeliest of the whole image.
        size: shorter side, in pixels, that the image is brought to; by default twice the net's input, so that
            the net looks at squares of half the image's side.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: an image that cannot be read, a class that the net does not know, a size under the net's
            input, or a net that pools adaptively.
    """
    net, card = load_weights(weights_file(run))
    if label is not None and label not in card.classes:
        raise InputError(f"there is no class {label!r}: {run} knows {', '.join(card.classes[:20])}")
    side = 2 * card.size if size is None else size
    if side < card.size:
        raise InputError(f"--size {side}: this {card.model} takes {card.size} pixels or more")
    at = alignment(net)
    try:
        plane = to_planes(read_image(image)[None], side, choose_device(device))
    except ImageProblem as problem:
        raise InputError(f"{image}: {problem.detail}: give an image that opens") from None
    assert isinstance(plane, torch.Tensor)
    net.to(plane.device).eval()
    with torch.inference_mode():
        scores = net.score_map(plane.float())[0].float().cpu().double() / card.temperature
    whole = scores.mean((1, 2)).softmax(0)
    number = int(whole.argmax()) if label is None else card.classes.index(label)
    return ScoreMap(
        pixels=plane[0].round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy(),
        heat=scores.softmax(0)[number].numpy(),
        label=card.classes[number],
        whole=float(whole[number]),
        model=card.model,
        at=at,
    )


def draw(found: ScoreMap) -> Figure:
    """The image, and beside it the same with the map over it."""
    best, name = float(found.heat.max()), short(found.label, 24)
    title = f"{name}: {best:.0%} at its best place, {found.whole:.0%} over all"
    return overlay(found.pixels, found.heat, found.extent, title, f"probability of {name}", (0, 1))
