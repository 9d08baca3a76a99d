"""Dropout in its two writings, with masks that do not depend on how a batch is cut up.

Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012),
section 4.2.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from alexnet.draws import seed_of
from alexnet.errors import InputError

Kind = Literal["paper", "inverted"]


class Dropout(nn.Module):
    """Drop each unit with probability 1 - `keep` in training.

    Kind "paper" (AlexNet, section 4.2): times a mask of 0 and 1 in training, times `keep` at test.
    Kind "inverted": times mask / `keep` in training, nothing at test. The two are the same function only
    if the weights of the next layer differ by `keep`, and then train alike only with that layer's initial
    deviation, rate and decay changed as well.

    The mask comes from torch's global generator, or from the draw that `begin_step` set.

    Args:
        keep: probability of a unit to stay.
        kind: one of the two.
        units: which of how many equal parts of the layer's units this process holds: (0, 1) is all of them.
    """

    def __init__(self, keep: float = 0.5, kind: Kind = "paper", units: tuple[int, int] = (0, 1)):
        super().__init__()
        self.keep, self.units = keep, units
        self.kind: Kind = kind
        self.draw: tuple[int, slice, int] | None = None
        self.whole: tuple[int, Tensor] | None = None  # seed, and the mask that it drew for the whole batch
        self.ahead: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of [n ...], or scale them at test."""
        if not self.training:
            return x * self.keep if self.kind == "paper" else x
        mask = self._mask(x)
        return x * (mask if self.kind == "paper" else mask / self.keep)

    def _mask(self, x: Tensor) -> Tensor:
        """0 and 1, of the shape of `x`: this part's rows, and this process's units, of the mask of the whole batch."""
        if self.ahead is not None:
            return self.ahead
        if self.draw is None:
            return torch.empty_like(x).bernoulli_(self.keep)
        seed, rows, batch = self.draw
        if len(range(batch)[rows]) != len(x):
            raise InputError(f"dropout was told of rows {rows} of {batch} but got {len(x)}: call begin_step")
        shape = (batch, x.shape[1] * self.units[1], *x.shape[2:])
        if self.whole is None or self.whole[0] != seed or not _alike(self.whole[1], x, shape):
            self.fill(seed, torch.empty(shape, dtype=x.dtype, device=x.device))
        return self.own(rows)

    def fill(self, seed: int, mask: Tensor) -> None:
        """Draw the mask of a whole batch from `seed` into a tensor."""
        generator = torch.Generator(mask.device).manual_seed(seed)
        self.whole = seed, mask.bernoulli_(self.keep, generator=generator)

    def own(self, rows: slice) -> Tensor:
        """These rows of the mask, and of them this process's units."""
        assert self.whole is not None, "no step has told the shapes of the masks"
        part, parts = self.units
        return self.whole[1][rows].chunk(parts, 1)[part]

    def extra_repr(self) -> str:
        """Say kind and probability."""
        return f"keep={self.keep}, kind={self.kind!r}"


def begin_step(net: nn.Module, seed: int, step: int, rows: slice, batch: int) -> None:
    """Fix the masks of every dropout for one training step.

    Each mask is drawn for the whole batch and the whole layer from (seed, step, place of the dropout in the net)
    alone, and the rows and units that are seen now are cut out of it. A batch put through in parts, or by several
    processes, is therefore dropped exactly as in one piece. The generator is the device's own: another kind of device
    draws other masks.

    Args:
        net: a net with `Dropout` modules.
        seed: of the run, at least 0.
        step: number of the step, at least 0.
        rows: which rows of the batch come next.
        batch: rows of the whole batch.
    """
    for drawn, dropout in _seeds(net, seed, step):
        dropout.draw, dropout.ahead = (drawn, rows, batch), None


def draw_ahead(net: nn.Module, seed: int, step: int) -> None:
    """Draw the masks of a step before it, for the whole batch, into the tensors that hold those of the step before.

    For a step that is compiled or replayed, in which nothing can be drawn: it finds its masks where the last step
    found them. The numbers are those of `begin_step`. At least one step must have gone through the net after a
    `begin_step`, which told the shapes.
    """
    for drawn, dropout in _seeds(net, seed, step):
        assert dropout.whole is not None, "no step has told the shapes of the masks"
        dropout.fill(drawn, dropout.whole[1])


def take_rows(net: nn.Module, rows: slice) -> None:
    """Let every dropout take these rows of the masks that `draw_ahead` drew."""
    for dropout in _dropouts(net):
        dropout.ahead = dropout.own(rows)


def _dropouts(net: nn.Module) -> list[Dropout]:
    return [module for module in net.modules() if isinstance(module, Dropout)]


def _seeds(net: nn.Module, seed: int, step: int) -> list[tuple[int, Dropout]]:
    return [(seed_of(seed, step, f"dropout {layer}"), dropout) for layer, dropout in enumerate(_dropouts(net))]


def _alike(mask: Tensor, x: Tensor, shape: tuple[int, ...]) -> bool:
    return mask.shape == shape and mask.dtype == x.dtype and mask.device == x.device
