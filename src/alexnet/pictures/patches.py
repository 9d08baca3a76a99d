"""What each filter of a stage answers to most: the patches of the run's images that excite it most.

Source of the idea: R. Girshick, J. Donahue, T. Darrell, J. Malik, "Rich feature hierarchies", 2013, section 3.1;
M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", 2013, figure 2. A patch is the receptive
field of the position that answers most, and an image gives a filter one patch at most.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.models.alignment import Alignment
from alexnet.pictures.style import figure, styled

UNITS = 32
"""Filters that are drawn at once: of more, so many spread evenly over all."""

EACH = 9
"""Patches of each; of one filter alone four times as many."""

MOST_IMAGES = 4000
"""Images that are looked through, those whose SHA-256 ranks first."""


@dataclass(frozen=True)
class Strongest:
    """The strongest answers of each unit, best first; fewer than k where there are fewer images.

    Attributes:
        answers: float32 [units, k].
        images: int64 [units, k], which image each comes from, in the order in which they were looked at.
        places: int64 [units, k, 2], row and column of the position.
    """

    answers: Tensor
    images: Tensor
    places: Tensor


@torch.no_grad()
def strongest(net: Classifier, views: Iterable[Tensor], stage: str, k: int) -> Strongest:
    """Look through images once and keep the k strongest answers of each unit of a stage.

    Never more than one batch of maps and k answers a unit are held. Of equal answers the earlier image, then the
    upper and left position wins.

    Args:
        net: in evaluation mode.
        views: batches, float32 [n 3 size size] in 0..255.
        stage: name of a stage with maps.
        k: how many.

    Raises:
        InputError: a stage without maps; no image.
    """
    return strongest_of((_maps(net, batch, stage) for batch in views), k)


@torch.no_grad()
def strongest_of(maps: Iterable[Tensor], k: int) -> Strongest:
    """As `strongest`, of batches of maps [n units h w] that are there already.

    Raises:
        InputError: no image.
    """
    best: Strongest | None = None
    at = 0
    for batch in maps:
        answers, place = batch.float().flatten(2).max(2)  # [n units]: of equals the first
        where = torch.stack([place // batch.shape[3], place % batch.shape[3]], 2)
        images = torch.arange(at, at + len(batch), device=batch.device)[:, None].expand_as(answers)
        new = Strongest(answers.T, images.T, where.movedim(1, 0))
        best = _first(new if best is None else _joined(best, new), k)
        at += len(batch)
    if best is None:
        raise InputError("no image came: give a run whose images are there")
    return best


def corner(place: tuple[int, int], at: Alignment) -> tuple[int, int]:
    """Top and left edge, in pixels of the image, of what a position sees; perhaps beyond the image's own edge."""
    top, left = (round(at.first + at.step * one - (at.field - 1) / 2) for one in place)
    return top, left


def patch(view: np.ndarray, place: tuple[int, int], at: Alignment) -> np.ndarray:
    """What a position sees: uint8 [field, field, 4], transparent beyond the image's edge.

    Args:
        view: uint8 [h, w, 3], the image as it went into the net.
        place: row and column of the position.
        at: where the stage's positions look. A field larger than the image is cut to it.
    """
    high, wide = view.shape[:2]
    field = at.field
    top, left = corner(place, at)
    seen = np.zeros((field, field, 4), np.uint8)
    y0, y1, x0, x1 = max(0, top), min(high, top + field), max(0, left), min(wide, left + field)
    seen[y0 - top : y1 - top, x0 - left : x1 - left, :3] = view[y0:y1, x0:x1]
    seen[y0 - top : y1 - top, x0 - left : x1 - left, 3] = 255
    return seen if field <= max(high, wide) else seen[y0 - top : y1 - top, x0 - left : x1 - left]


@styled
def patches_figure(patches: dict[int, list[np.ndarray]], title: str) -> Figure:
    """A square of patches for each filter, strongest first, under its number.

    Args:
        patches: number of the filter, counted from 1 -> uint8 [h, w, 4] each, all of one size.
        title: over all.
    """
    each = max(len(found) for found in patches.values())
    side = math.ceil(math.sqrt(each))
    columns = min(8, len(patches))
    rows = -(-len(patches) // columns)
    cell = 1.18 if len(patches) > 1 else 5.0
    drawing = figure(max(cell * columns, 5.0), (cell + 0.26) * rows + 0.35)
    panels = drawing.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, (number, found) in zip(panels.flat, patches.items(), strict=False):
        axes.imshow(patches_square(found, side), interpolation="nearest")
        axes.set_title(f"{number}", fontsize=8, pad=2)
    drawing.suptitle(title, x=0.01, ha="left", fontsize=10)
    return drawing


def patches_square(found: list[np.ndarray], side: int) -> np.ndarray:
    """Patches uint8 [h, w, 4] in rows of `side`, strongest first, nothing between them: uint8 [h, w, 4]."""
    high, wide = (max(one.shape[axis] for one in found) for axis in (0, 1))
    gap = max(1, round(wide / 16))
    rows = -(-len(found) // side)
    sheet = np.zeros((rows * (high + gap) - gap, side * (wide + gap) - gap, 4), np.uint8)
    for place, one in enumerate(found):
        top, left = place // side * (high + gap), place % side * (wide + gap)
        sheet[top : top + one.shape[0], left : left + one.shape[1]] = one
    return sheet


def spread(units: int, most: int = UNITS) -> list[int]:
    """Numbers of at most so many units, spread evenly over all, counted from 0."""
    return sorted({round(place) for place in np.linspace(0, units - 1, min(units, most))})


def _maps(net: Classifier, images: Tensor, stage: str) -> Tensor:
    maps = net.features(images, stage)
    if maps.dim() != 4:
        raise InputError(f"{stage} of {net.name} has no maps, only units: take an earlier stage")
    return maps


def _joined(one: Strongest, other: Strongest) -> Strongest:
    return Strongest(
        torch.cat([one.answers, other.answers], 1),
        torch.cat([one.images, other.images], 1),
        torch.cat([one.places, other.places], 1),
    )


def _first(found: Strongest, k: int) -> Strongest:
    answers, order = found.answers.sort(dim=1, descending=True, stable=True)
    order = order[:, :k]
    return Strongest(
        answers[:, :k],
        found.images.gather(1, order),
        found.places.gather(1, order[:, :, None].expand(-1, -1, 2)),
    )
