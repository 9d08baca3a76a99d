"""Dropout in its two writings, with masks that do not depend on how a batch is cut up.

Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012),
section 4.2.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from alexnet.draws import seed_of
from alexnet.errors import InputError


class Dropout(nn.Module):
    """Drop each unit with probability 1 - `keep` in training.

    Kind "paper" (AlexNet, section 4.2): times a mask of 0 and 1 in training, times `keep` at test.
    Kind "inverted": times mask / `keep` in training, nothing at test. The two are the same function only
    if the weights of the next layer differ by `keep`, and then train alike only with that layer's initial
    deviation, rate and decay changed as well.

    The mask comes from torch's global generator, or from the draw that `begin_step` set.
    """

    def __init__(self, keep: float = 0.5, kind: Literal["paper", "inverted"] = "paper"):
        super().__init__()
        self.keep, self.kind = keep, kind
        self.draw: tuple[int, slice, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of [n ...], or scale them at test."""
        if not self.training:
            return x * self.keep if self.kind == "paper" else x
        mask = self._mask(x)
        return x * (mask if self.kind == "paper" else mask / self.keep)

    def _mask(self, x: Tensor) -> Tensor:
        """0 and 1, of the shape of `x`: this part's rows of the mask of the whole batch."""
        if self.draw is None:
            return torch.empty_like(x).bernoulli_(self.keep)
        seed, rows, batch = self.draw
        if len(range(batch)[rows]) != len(x):
            raise InputError(f"dropout was told of rows {rows} of {batch} but got {len(x)}: call begin_step")
        generator = torch.Generator(x.device).manual_seed(seed)
        whole = torch.empty((batch, *x.shape[1:]), dtype=x.dtype, device=x.device)
        return whole.bernoulli_(self.keep, generator=generator)[rows]

    def extra_repr(self) -> str:
        """Say kind and probability."""
        return f"keep={self.keep}, kind={self.kind!r}"


def begin_step(net: nn.Module, seed: int, step: int, rows: slice, batch: int) -> None:
    """Fix the masks of every dropout for one training step.

    Each mask is drawn for the whole batch from (seed, step, place of the dropout in the net) alone, and
    the rows that are seen now are cut out of it. A batch put through in parts, or by several processes,
    is therefore dropped exactly as in one piece. The generator is the device's own: another kind of device
    draws other masks.

    Args:
        net: a net with `Dropout` modules.
        seed: of the run, at least 0.
        step: number of the step, at least 0.
        rows: which rows of the batch come next.
        batch: rows of the whole batch.
    """
    dropouts = [module for module in net.modules() if isinstance(module, Dropout)]
    for layer, dropout in enumerate(dropouts):
        dropout.draw = (seed_of(seed, step, f"dropout {layer}"), rows, batch)
