"""Images from the disk to a training batch, on one core: the reference loader, packed raw bytes, packed JPEG."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.augment import ColourAxes, Draws, corners, draw, training_images
from alexnet.bench import obvious
from alexnet.bench.settings import Settings
from alexnet.bench.synthetic import about, jpeg_folder
from alexnet.bench.timing import compared, take_turns
from alexnet.data import Batches, Cut, Packed, open_source, packed_in_cache
from alexnet.recipe import Augmentation

BATCH = 64
AUGMENTATION = Augmentation(crop=True, mirror=True, colour="paper", colour_deviation=0.1)
AXES = ColourAxes(
    np.array([9000.0, 500.0, 100.0]), np.linalg.qr(np.arange(9.0).reshape(3, 3) ** 2)[0], torch.zeros(3, 1, 1)
)


def measure(settings: Settings, found: dict[str, Any]) -> dict[str, Any]:
    """One pass over the same images in one process and one thread, so that images a second are those of a core."""
    folder = jpeg_folder(settings.images)
    packs = {layout: packed(folder, settings, layout) for layout in ("raw", "jpeg")}
    batch = min(BATCH, settings.images)
    ways: dict[str, Callable[[], object]] = {"obvious": reference_pass(folder, batch, settings.size)}
    for layout, pack in packs.items():
        ways[f"packed {layout}, bytes"] = packed_pass(pack, settings, batch, floats=False)
        ways[f"packed {layout}, floats"] = packed_pass(pack, settings, batch, floats=True)
    with threads(1):
        timings = take_turns(ways, settings.repeats)
    seen = settings.images // batch * batch
    return {
        "what": "from files to batches, one thread; obvious: ImageFolder with the reference transforms; "
        "bytes: uint8 patches as they go to the device; floats: mirrored, with colour noise",
        "rows": [compared(f"{seen} images, patches of {settings.size}x{settings.size}", timings, seen)],
        "files": about(folder),
        "bytes_an_image": {
            layout: (pack.path / "images.npy").stat().st_size / len(pack) for layout, pack in packs.items()
        },
    }


def packed(folder: Path, settings: Settings, layout: str) -> Packed:
    """The folder's images packed by the package's own packing, in its cache."""
    return packed_in_cache(open_source(str(folder)), settings.stored, "centre", layout, settings.size)  # type: ignore[arg-type]


def reference_pass(folder: Path, batch: int, size: int) -> Callable[[], None]:
    """A call that goes once through torchvision's reference loader, in this process."""
    loader = obvious.loader(folder, batch, size)

    def once() -> None:
        for _ in loader:
            pass

    return once


def packed_pass(pack: Packed, settings: Settings, batch: int, floats: bool) -> Callable[[], None]:
    """A call that goes once through a pack as training does, each time in another order, in this thread."""
    batches = Batches(pack, np.arange(len(pack)), batch, settings.seed)
    buffer = np.empty((batch, settings.size, settings.size, 3), np.uint8)
    epoch = 0

    def once() -> None:
        nonlocal epoch
        order = batches.order(epoch)
        for step in range(batches.steps):
            rows = batches.rows_of(order, step)
            draws = draw(AUGMENTATION, settings.seed, epoch * batches.steps + step, len(rows))
            images = pack.read(rows, None, cut_of(draws, pack.sizes(rows), settings.size), buffer)
            if floats:
                as_floats(images, draws, settings.size)
        epoch += 1

    return once


def cut_of(draws: Draws, sizes: np.ndarray, size: int) -> Cut:
    """The patches that chance decided for, in images of `sizes` [n, 2]."""
    top, left = corners(draws.position, sizes, size)
    return Cut(top.numpy(), left.numpy(), size)


def as_floats(images: np.ndarray | list[np.ndarray], draws: Draws, size: int) -> Tensor:
    """What is done on the device: float32 [n, 3, size, size]."""
    return training_images(images, draws, AUGMENTATION, AXES, size, size, 0.1)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """While it lasts, torch computes in so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
