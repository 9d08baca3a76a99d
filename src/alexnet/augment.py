"""Whole batches: from stored bytes to the floats that a net takes, in training and at test.

Training (paper, section 4.1): a random patch of the stored image, mirrored with probability 0.5, and colour
noise along the principal axes of RGB. Test: the centre patch, ten patches, or the whole image.

Axes are n images, c channels, h and w pixels; values are 0..255, uint8 as stored and float32 afterwards.
Augmented values may leave 0..255: they are not clipped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet.draws import generator
from alexnet.planes import Planes, cut_into, padded, refuse_small, resized, sent, to_planes
from alexnet.recipe import Augmentation

CENTRE = 0.5 - 2**-40  # a hair less than half: an odd margin leaves its larger half right and below
LAST = 1 - 2**-40  # 1 itself would be one pixel too far


@dataclass(frozen=True)
class Draws:
    """What chance decides for the images of one batch.

    Attributes:
        position: float64 [n, 2] in [0, 1): where the patch lies, from top and left.
        mirror: bool [n].
        colour: float64 [n, 3], standard normal: the coefficients of the colour noise.
        zoom: float64 [n, 2] in [0, 1): how large the image is made, or how large and how elongated the patch is.
    """

    position: Tensor
    mirror: Tensor
    colour: Tensor
    zoom: Tensor

    def of(self, rows: slice) -> "Draws":
        """What chance decides for some of the images."""
        return Draws(self.position[rows], self.mirror[rows], self.colour[rows], self.zoom[rows])


@dataclass(frozen=True)
class ColourAxes:
    """Principal axes of the training set's RGB values.

    Attributes:
        eigenvalues: float64 [3], of the covariance of RGB in 0..255.
        eigenvectors: float64 [3, 3], one axis a column.
        mean: float32 [3, 1, 1] or [3, size, size], what the net subtracts; the 2012 code scales around it.
    """

    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    mean: Tensor


def draw(augmentation: Augmentation, seed: int, step: int, n: int) -> Draws:
    """Draw for a whole batch of `n` images; `shared_by` images in a row share position and mirror."""
    chance = generator(seed, step, "augment")
    position = torch.rand(n, 2, generator=chance, dtype=torch.float64)
    mirror = torch.rand(n, generator=chance) < 0.5
    colour = torch.randn(n, 3, generator=chance, dtype=torch.float64)
    zoom = torch.rand(n, 2, generator=chance, dtype=torch.float64)
    if augmentation.shared_by > 1:
        first = torch.arange(n) // augmentation.shared_by * augmentation.shared_by
        position, mirror = position[first], mirror[first]
    if not augmentation.crop:
        position = torch.full_like(position, CENTRE)
    if not augmentation.mirror:
        mirror = torch.zeros_like(mirror)
    return Draws(position, mirror, colour, zoom)


def patches(
    planes: Planes,
    position: Tensor,
    mirror: Tensor,
    size: int,
    order: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Cut one patch of size x size out of each image, mirrored where told.

    A position u in [0, 1) means pixel floor(u * (side - size + 1)), so that all side - size + 1 places are
    equally likely: 33 of them for 224 in 256, 2178 patches with the mirror (the paper counts 2048).

    Returns: float32 [n, 3, size, size].
    """
    top, left = corners(position, _sizes(planes), size)
    out = torch.empty(len(planes), 3, size, size, device=planes[0].device, memory_format=order)
    return cut_into(out, planes, top, left, mirror)


def corners(position: Tensor, sizes: Sequence[Sequence[int]] | np.ndarray, size: int) -> tuple[Tensor, Tensor]:
    """First row and column, int64 [n] each, of the patch at `position` in images of `sizes` (h, w) [n, 2].

    Raises:
        InputError: an image is smaller than the patch.
    """
    places = torch.as_tensor(np.asarray(sizes, np.int64)) - size + 1
    if len(places) and int(places.min()) < 1:
        h, w = sizes[int(places.amin(1).argmin())]
        refuse_small(int(h), int(w), size)
    first = (position * places).long()
    return first[:, 0], first[:, 1]


def drawn_sides(scale: tuple[float, float], size: int, zoom: Tensor) -> list[int]:
    """The shorter side of each image, in pixels: every whole number between scale[0] and scale[1] times `size` alike.

    Source: VGG, section 3.1 (256 to 512 pixels for an input of 224); ResNet, section 3.4 (256 to 480).
    """
    low, high = (round(multiple * size) for multiple in scale)
    return [low + int(u * (high - low + 1)) for u in zoom[:, 0].tolist()]


def patches_by_area(planes: Planes, draws: Draws, area: tuple[float, float], size: int) -> Tensor:
    """Cut a patch of a drawn share of each image's area and of a drawn shape, and bring it to size x size.

    Source: GoogLeNet, section 6: patches of 8 to 100 % of the area, sides in a ratio between 3/4 and 4/3. The paper
    does not say how the ratio is drawn; here its logarithm is uniform, so that wide and tall are alike. A side that
    would be longer than the image's is as long as that one.

    Returns: float32 [n, 3, size, size].
    """
    low, high = area
    out = torch.empty(len(planes), 3, size, size, device=planes[0].device)
    chances = zip(out, planes, draws.position.tolist(), draws.mirror.tolist(), draws.zoom.tolist())
    for image, plane, (down, right), mirrored, (share, shape) in chances:
        h, w = plane.shape[-2:]
        covered, ratio = (low + share * (high - low)) * h * w, (4 / 3) ** (2 * shape - 1)
        tall, wide = (
            min(side, max(1, round(math.sqrt(p)))) for side, p in ((h, covered / ratio), (w, covered * ratio))
        )
        top, left = int(down * (h - tall + 1)), int(right * (w - wide + 1))
        patch = resized(plane[:, top : top + tall, left : left + wide], size, size)
        image.copy_(patch.flip(-1) if mirrored else patch)
    return out


def add_colour_noise(images: Tensor, axes: ColourAxes, draws: Tensor, kind: str, deviation: float) -> Tensor:
    """Move each image along the principal axes of RGB, in place: one offset for all its pixels.

    The paper (section 4.1) adds [p1 p2 p3][a1 l1, a2 l2, a3 l3]^T with a ~ N(0, 0.1). The formula is not free of
    scale: with l of 0..255 values it would swamp the image. We read it for RGB in 0..1, so the offset is
    255 * P (a * l / 255^2). The 2012 code takes deviations instead of eigenvalues, offset = 0.1 * P (z * sqrt(l)),
    and then shrinks the image about the mean by 1 + 0.1.

    Args:
        images: float32 [n, 3, h, w], 0..255.
        axes: of the training set.
        draws: standard normal [n, 3].
        kind: "off", "paper" or "source_2012".
        deviation: 0.1 in both; 0 leaves the images alone.
    """
    if kind == "off" or deviation == 0:
        return images
    values = torch.from_numpy(axes.eigenvalues).clamp(min=0)
    strength = values / 255 if kind == "paper" else values.sqrt()
    offset = (draws * deviation * strength) @ torch.from_numpy(axes.eigenvectors).T  # [n, 3]
    offset = sent(offset.to(images.dtype), images.device)[:, :, None, None]
    if kind == "paper":
        return images.add_(offset)
    mean = axes.mean.to(images)
    return images.sub_(mean).add_(offset).div_(1 + deviation).add_(mean)


def training_images(
    images: np.ndarray | Tensor | Sequence[np.ndarray],
    draws: Draws,
    augmentation: Augmentation,
    axes: ColourAxes,
    side: int,
    size: int,
    colour_deviation: float,
    device: torch.device | str = "cpu",
    order: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Stored images to a training batch: float32 [n, 3, size, size], in memory as `order` says."""
    sides = drawn_sides(augmentation.scale, size, draws.zoom) if augmentation.scale else side
    planes = padded(to_planes(images, sides, device), augmentation.pad, axes.mean)
    if augmentation.area:
        cut = patches_by_area(planes, draws, augmentation.area, size)
    else:
        cut = patches(planes, draws.position, draws.mirror, size, order)
    return add_colour_noise(cut, axes, draws.colour, augmentation.colour, colour_deviation)


def center_view(planes: Planes, size: int) -> Tensor:
    """The centre patch: float32 [1, n, 3, size, size]."""
    return _views(planes, size, [(CENTRE, CENTRE)], [False])


def ten_views(planes: Planes, size: int) -> Tensor:
    """Four corners and the centre, then their mirror images: float32 [10, n, 3, size, size] (paper, section 4.1)."""
    places = [(0.0, 0.0), (0.0, LAST), (LAST, 0.0), (LAST, LAST), (CENTRE, CENTRE)]
    return _views(planes, size, places * 2, [False] * 5 + [True] * 5)


def whole_views(planes: Planes, size: int) -> Tensor:
    """The whole image and its mirror image, for nets that slide over it: float32 [2, n, 3, h, w].

    Images of one batch must have one size here; `size` is the smallest side that the net takes.
    """
    refuse_small(*_sizes(planes)[0], size)
    whole = torch.stack(list(planes)).float()
    whole = whole.expand(len(planes), 3, *whole.shape[-2:])
    return torch.stack([whole, whole.flip(-1)])


def _views(planes: Planes, size: int, places: list[tuple[float, float]], mirrored: list[bool]) -> Tensor:
    """One patch of each image at each place: float32 [views, n, 3, size, size]."""
    n = len(planes)
    views = torch.empty(len(places), n, 3, size, size, device=planes[0].device)
    for view, place, turned in zip(views, places, mirrored):
        top, left = corners(torch.tensor([place] * n, dtype=torch.float64), _sizes(planes), size)
        cut_into(view, planes, top, left, torch.full((n,), turned))
    return views


def _sizes(planes: Planes) -> list[tuple[int, int]]:
    return [(plane.shape[-2], plane.shape[-1]) for plane in planes]


VIEWS = {"center": center_view, "ten": ten_views, "dense": whole_views}
