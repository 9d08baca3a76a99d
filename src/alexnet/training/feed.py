"""The way in: from the pack to a batch of floats on the device, read while the step before is worked on.

What chance decides depends on (seed, step) alone, so a thread can know ahead which patches a step will cut. Where
patches are cut from the images as they are stored, only those bytes are read; they stay bytes until they are on the
device. On a GPU they go through pinned buffers and a stream of their own, beside the work of the net.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from alexnet.augment import Draws, corners, draw, training_images
from alexnet.data import Batches, Cut
from alexnet.data.parallel import AHEAD, ahead, decoders
from alexnet.training.run import Run


@dataclass(frozen=True)
class Fed:
    """This process's rows of a batch, as the step takes them.

    Attributes:
        images: float32 [n, 3, size, size] on the run's device, in the memory format of its speed; augmented, 0..255 but
            for the colour noise.
        labels: int64 [n], there too.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Arrived:
    """What the reading thread hands over.

    Attributes:
        images: uint8 [n, h, w, c], on a GPU or here; a list of arrays [h, w, 3] where shapes differ.
        labels: int64 [n].
        draws: what chance decides for them.
        copied: on a GPU, what tells that all of it is there.
    """

    images: Tensor | np.ndarray | list[np.ndarray]
    labels: Tensor
    draws: Draws
    copied: torch.cuda.Event | None


def feed(
    run: Run, batches: Batches, epoch: int, start: int, noise: Callable[[int], float], own: slice | None = None
) -> Iterator[Fed]:
    """The augmented batches of `epoch` from its step `start` on.

    What chance decides is drawn for the whole batch, of which only this process's rows are read. An error in reading
    comes out where the batch would have. When the iterator is closed or dropped, its threads end.

    Args:
        run: gives the recipe, the images and the device.
        batches: of the training part.
        epoch: from 0.
        start: step within the epoch.
        noise: deviation of the colour noise at a step of the whole run.
        own: which rows of each batch are read; all of them by default.
    """
    own = own or slice(0, batches.n)
    packed, device, augmentation = run.packed, run.device, run.recipe.augmentation
    axes = replace(run.colour_axes, mean=run.colour_axes.mean.to(device))
    early = cut_early(run)
    side = run.size if early else run.side
    shape = (run.size, run.size, packed.channels) if early else packed.shape
    buffers = Buffers(device, (own.stop - own.start, *shape) if shape else None)
    memory_order = torch.channels_last if run.speed.memory_format == "channels_last" else torch.contiguous_format
    order, first = batches.order(epoch), epoch * batches.steps

    def read(step: int) -> Arrived:
        rows = batches.rows_of(order, step)[own]
        draws = draw(augmentation, run.recipe.seed, first + step, batches.n).of(own)
        cut = None
        if early:
            top, left = corners(draws.position, packed.sizes(rows), run.size)
            cut = Cut(top.numpy(), left.numpy(), run.size)
        images = packed.read(rows, pool, cut, buffers.free(step))
        return buffers.send(step, images, torch.from_numpy(packed.labels[rows]), draws)

    with decoders() as pool, closing(ahead(read, range(start, batches.steps))) as arriving:
        for step, batch in enumerate(arriving, first + start):
            buffers.receive(batch)
            images = training_images(
                batch.images, batch.draws, augmentation, axes, side, run.size, noise(step), device, memory_order
            )
            yield Fed(images, batch.labels)


def cut_early(run: Run) -> bool:
    """Whether patches are parts of the images as they are stored, so that nothing else need be read."""
    wanted = run.recipe.augmentation
    return run.packed.stored == run.side and not (wanted.scale or wanted.area or wanted.pad)


class Buffers:
    """Memory that batches are read into by turns, and on a GPU their way from there to the device.

    There are as many as `ahead` needs. A GPU takes them in pinned memory and copies on a stream of its own, so that
    neither the reading thread nor the net waits for a copy that the other has begun.
    """

    def __init__(self, device: torch.device, shape: tuple[int, ...] | None):
        """Make the buffers of `shape`; None where the images have no common one."""
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        pinned = self.stream is not None
        self.buffers: list[Tensor] = []
        if shape:
            self.buffers = [torch.empty(shape, dtype=torch.uint8, pin_memory=pinned) for _ in range(AHEAD + 1)]
        self.copies: list[torch.cuda.Event | None] = [None] * (AHEAD + 1)

    def free(self, step: int) -> np.ndarray | None:
        """The buffer of a step, once its last batch has left it."""
        if not self.buffers:
            return None
        place = step % (AHEAD + 1)
        copy = self.copies[place]
        if copy is not None:
            copy.synchronize()
        return self.buffers[place].numpy()

    def send(self, step: int, images: np.ndarray | list[np.ndarray], labels: Tensor, draws: Draws) -> Arrived:
        """Send a batch on its way; images of different shapes stay here, and are brought to the device one by one."""
        if self.stream is None:
            return Arrived(images, labels.to(self.device), draws, None)
        place = step % (AHEAD + 1)
        with torch.cuda.stream(self.stream):
            there = self.buffers[place].to(self.device, non_blocking=True) if self.buffers else images
            labels = labels.pin_memory().to(self.device, non_blocking=True)
            copied = torch.cuda.Event()
            copied.record(self.stream)
        self.copies[place] = copied
        return Arrived(there, labels, draws, copied)

    def receive(self, batch: Arrived) -> None:
        """Let the device's own work wait until a batch is there, and keep its memory until that work is done."""
        if batch.copied is None:
            return
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(batch.copied)
        for tensor in (batch.images, batch.labels):
            if isinstance(tensor, Tensor):
                tensor.record_stream(stream)
