"""How the tests of the nets compare two ways to the same outputs: so that a difference shows."""

import torch
from torch import Tensor

MEAN, SCALE = (110.0, 120.0, 130.0), 60.0


def two_images(side: int = 32) -> Tensor:
    """Two unlike images, float64 [2, 3, side, side] in 0..255."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, 3, side, side, generator=generator, dtype=torch.float64) * 255


def preprocessed(x: Tensor) -> Tensor:
    """What a net makes of images first, where its preprocessing is MEAN and SCALE."""
    return (x - torch.tensor(MEAN, dtype=x.dtype).view(3, 1, 1)) / SCALE


def difference(ours: Tensor, other: Tensor) -> float:
    """Largest difference, relative to the largest output, of images whose outputs differ by more than 1 %."""
    other = other.detach()
    largest = other.abs().max()
    assert (other[0] - other[1]).abs().max() > 0.01 * largest
    return float((ours.detach() - other).abs().max() / largest)
