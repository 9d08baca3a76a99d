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
    images: np.ndarray | Tensor | Sequence[np.ndarray], side: int | Sequence[int], device: torch.device | str
) -> Planes:
    """Bring stored images to the device, with the shorter side at `side` pixels.

    Images that are stored at `side` stay uint8. Others are resized here: small sets, which are stored at their
    own size, are enlarged (bilinear), larger ones shrunk (bilinear, antialiased), and become float32.

    Args:
        images: uint8 [n, h, w, c], perhaps on the device already, or n arrays [h, w, 3].
        side: shorter side that the patches are cut from, in pixels; or one for each image.
        device: where the batch is worked on.
    """
    if isinstance(side, int) and not isinstance(images, Sequence):
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


def cut_into(out: Tensor, planes: Planes, top: Tensor, left: Tensor, mirror: Tensor) -> Tensor:
    """Fill `out` with one patch of each image, mirrored where told, and give it back.

    Args:
        out: float32 [n, 3, size, size], of any memory format.
        planes: the images; grey ones fill all three channels.
        top, left: int64 [n] on the CPU, the patch's first row and column.
        mirror: bool [n] on the CPU.
    """
    if isinstance(planes, Tensor) and planes.device.type != "cpu":
        return out.copy_(cut_at_once(planes, top, left, mirror, out.shape[-1]))
    size = out.shape[-1]
    # One image after another stays in the cache: twice as fast as stacking bytes and turning them into floats.
    for patch, plane, down, right, mirrored in zip(out, planes, top.tolist(), left.tolist(), mirror.tolist()):
        cut = plane[:, down : down + size, right : right + size]
        patch.copy_(cut.flip(-1) if mirrored else cut)
    return out


def cut_at_once(planes: Tensor, top: Tensor, left: Tensor, mirror: Tensor, size: int) -> Tensor:
    """The same patches of a batch [n, c, h, w] in a few operations, whatever n, for devices that want it so."""
    device = planes.device
    turned = sent(mirror, device)
    if planes.shape[-2:] == (size, size):
        return torch.where(turned[:, None, None, None], planes.flip(-1), planes)
    along = torch.arange(size, device=device)
    rows = sent(top, device)[:, None] + along
    columns = sent(left, device)[:, None] + torch.where(turned[:, None], along.flip(0), along)
    images = torch.arange(len(planes), device=device)
    return planes.movedim(1, -1)[images[:, None, None], rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def sent(tensor: Tensor, device: torch.device | str) -> Tensor:
    """`tensor` on the device; a GPU's own queue is not waited for."""
    return tensor.to(device, non_blocking=torch.device(device).type == "cuda")


def refuse_small(h: int, w: int, size: int) -> None:
    """Raise an InputError for an image of h x w pixels that no patch of size x size can be cut from."""
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


def _tensor(image: np.ndarray | Tensor) -> Tensor:
    if isinstance(image, Tensor):
        return image
    return torch.from_numpy(np.require(image, requirements=["C", "W"]))  # torch warns of arrays it must not write
