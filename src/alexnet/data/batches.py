"""Batches of packed images, read ahead of the training step."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alexnet.data.packed import Packed
from alexnet.data.parallel import ahead, decoders
from alexnet.errors import InputError


@dataclass(frozen=True)
class Batch:
    """Images of one step.

    Attributes:
        images: uint8 [n, h, w, c], or a list of [h, w, 3] where shapes differ.
        labels: int64 [n].
        rows: int64 [n], where they stand in the pack.
    """

    images: np.ndarray | list[np.ndarray]
    labels: np.ndarray
    rows: np.ndarray


class Batches:
    """The images of one part, epoch after epoch.

    With a seed, for training: each epoch in an order of its own, which (seed, epoch) alone decide, on
    every machine; images that fill no whole batch are dropped (other ones each time), unless all of
    them are fewer than one batch. Without, for testing: in the rows' order, none dropped.

    Attributes:
        n: images in a batch, but for the last one in testing.
        steps: batches in an epoch.
    """

    def __init__(self, packed: Packed, rows: np.ndarray, batch: int, seed: int | None):
        if batch < 1:
            raise InputError(f"a batch of {batch} images; give 1 or more")
        if not len(rows):
            raise InputError("a part without images; give more images, or larger shares")
        self.packed = packed
        self.rows = np.asarray(rows, np.int64)
        self.batch = batch
        self.seed = seed
        self.n = min(batch, len(rows))
        whole, rest = divmod(len(rows), batch)
        self.steps = max(whole, 1) if seed is not None else whole + (rest > 0)

    def order(self, epoch: int) -> np.ndarray:
        """The rows in the order of `epoch`, int64."""
        if self.seed is None:
            return self.rows
        # NumPy keeps the raw stream of a bit generator for ever, and not what `permutation` makes of it.
        keys = np.random.Philox(np.random.SeedSequence([self.seed, epoch])).random_raw(len(self.rows))
        return self.rows[np.argsort(keys, kind="stable")]

    def epoch(self, epoch: int, start: int = 0, every: int = 1) -> Iterator[Batch]:
        """The batches of `epoch` from step `start` on, all or every so many-th; what else there is is not read.

        One thread reads ahead, and lets all cores decode and copy. When the iterator is closed or dropped, its
        threads end.
        """
        order = self.order(epoch)

        def read(step: int) -> Batch:
            rows = self.rows_of(order, step)
            return Batch(self.packed.read(rows, pool), self.packed.labels[rows], rows)

        with decoders() as pool:
            yield from ahead(read, range(start, self.steps, every))

    def rows_of(self, order: np.ndarray, step: int) -> np.ndarray:
        """The rows of batch `step` in an epoch's `order`, int64."""
        return order[step * self.batch : (step + 1) * self.batch]
