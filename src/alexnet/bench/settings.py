"""What every case of the benchmark is told."""

from dataclasses import dataclass, field

import torch

from alexnet.devices import choose_device
from alexnet.errors import InputError
from alexnet.models import VARIANTS
from alexnet.models.alexnet import smallest_size


@dataclass(frozen=True)
class Settings:
    """How large and how often.

    Attributes:
        repeats: measured calls of each way.
        images: distinct JPEG files of 500 x 375 that the loaders read.
        batch: images in a training step.
        size: side of the net's input in pixels; without padding in conv1, as the obvious net has it.
        device: where the nets run.
        seed: of weights and images.
    """

    repeats: int = 5
    images: int = 256
    batch: int = 128
    size: int = 227
    device: torch.device = field(default_factory=choose_device)
    seed: int = 0

    @property
    def stored(self) -> int:
        """Side of the packed images, in pixels: 256 for patches of 227."""
        return round(self.size * 256 / 227)


def settings_of(repeats: int, images: int, batch: int, size: int, device: str) -> Settings:
    """Settings, judged.

    Raises:
        InputError: a number that nothing can be measured with; a device that is not there.
    """
    for name, value, least in (("repeats", repeats, 1), ("images", images, 16), ("batch", batch, 1)):
        if value < least:
            raise InputError(f"--{name} {value}: give {least} or more")
    smallest = smallest_size(VARIANTS["alexnet"])
    if size < smallest or size % 4 != 3:
        least = smallest + (3 - smallest) % 4
        raise InputError(
            f"--size {size}: the net without padding takes sides from {least} on in steps of 4, such as {least} or 227"
        )
    return Settings(repeats, images, batch, size, choose_device(device))


def finished(device: torch.device) -> None:
    """Wait until a device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
