"""Stored images on the device: planes of the side that patches are cut from, and of other sizes.

Axes are n images, c channels, h and w pixels; values are 0..255, uint8 as stored, float32 where they were resized.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from alexnet.errors import InputError

Planes = Tensor | list[Tensor]  # [n, c, h, w], or n images [c, h, w] of different sizes


def to_planes(
    images: np.ndarray | Sequence[np.ndarray], side: int | Sequence[int], device: torch.device | str
) -> Planes:
    """Bring stored images to the device, with the shorter side at `side` pixels.

    Images that are stored at `side` stay uint8. Others are resized here: small sets, which are stored at their
    own size, are enlarged (bilinear), larger ones shrunk (bilinear, antialiased), and become float32.

    Args:
        images: uint8 [n, h, w, c], or n arrays [h, w, 3].
        side: shorter side that the patches are cut from, in pixels; or one for each image.
        device: where the batch is worked on.
    """
    if isinstance(images, np.ndarray) and isinstance(side, int):
        return _plane(_tensor(images).to(device), side)
    sides = [side] * len(images) if isinstance(side, int) else side
    return [_plane(_tensor(image).to(device), side) for image, side in zip(images, sides)]


def resized(plane: Tensor, h: int, w: int) -> Tensor:
    """One image [c, h, w], or a batch of them, as float32 of another size; antialiased where a side shrinks."""
    batch = plane.reshape(-1, *plane.shape[-3:]).float().contiguous()
    smaller = plane.shape[-2] > h or plane.shape[-1] > w
    resized = functional.interpolate(batch, [h, w], mode="bilinear", antialias=smaller)
    return resized if plane.dim() == 4 else resized[0]


def padded(planes: Planes, pad: int, mean: Tensor) -> Planes:
    """Add `pad` pixels on every side, in the mean colour: exactly zero where a mean per channel is subtracted.

    So a patch of the image's own size reaches `pad` pixels over its edge, as in the training on CIFAR-10 of the
    ResNet paper (section 4.2: 4 pixels padded on each side). The paper subtracts the mean image first and pads
    with zeros then; here a mean image is subtracted after, where the patch lies, so that with one the border is its
    mean colour less its pixels: near zero, not zero.

    Args:
        planes: the images.
        pad: 0 gives the images back untouched.
        mean: float32 [3, 1, 1] or [3, h, w], what the net subtracts; of an image, its mean colour is taken.

    Returns: float32 [n, 3, h + 2 pad, w + 2 pad], or so many images.
    """
    if pad == 0:
        return planes
    if isinstance(planes, list):
        return [padded(plane[None], pad, mean)[0] for plane in planes]
    n, _, h, w = planes.shape
    colour = mean.to(planes.device, torch.float32).mean((1, 2), keepdim=True)
    out = colour.expand(n, 3, h + 2 * pad, w + 2 * pad).clone()
    out[:, :, pad : pad + h, pad : pad + w] = planes
    return out


def refuse_small(plane: Tensor, size: int) -> None:
    """Raise an InputError for an image [c, h, w] that no patch of size x size can be cut from."""
    h, w = plane.shape[-2:]
    if min(h, w) < size:
        raise InputError(
            f"images are stored {w}x{h}, the net takes {size}x{size}: pack again with --stored {size} or more"
        )


def _plane(image: Tensor, side: int) -> Tensor:
    plane = image.movedim(-1, -3)
    h, w = plane.shape[-2:]
    if min(h, w) == side:
        return plane
    return resized(plane, max(side, round(h * side / min(h, w))), max(side, round(w * side / min(h, w))))


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.require(image, requirements=["C", "W"]))  # torch warns of arrays it must not write
