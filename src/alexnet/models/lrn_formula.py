"""The response normalisation and its gradient in plain tensor operations: what every implementation computes.

Written out as a reader would, and as a compiler likes it: `lrn_compiled` hands these functions to one, and so does
`lrn` inside `torch.compile` and `torch.export`. Run as they stand they are slow: every line makes a tensor.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Constants(NamedTuple):
    """What the formula of `lrn` says besides the answers.

    Attributes:
        n: maps in a window.
        k: constant in the bracket.
        each: factor of one square.
        beta: exponent.
        towers: groups of maps that no window crosses.
    """

    n: int
    k: float
    each: float
    beta: float
    towers: int

    @property
    def before(self) -> int:
        """Maps of a window that come before its own."""
        return self.n // 2

    @property
    def after(self) -> int:
        """Maps of a window that come after its own."""
        return self.n - 1 - self.n // 2


def normalised(a: Tensor, constants: Constants) -> Tensor:
    """b = a * d^-beta for a of shape [rows maps ...], the maps of one tower along axis 1."""
    wide = widened(a)
    return (wide * to_minus_beta(_bracket(wide, constants), constants.beta)).to(a.dtype)


def gradient(a: Tensor, g: Tensor, constants: Constants) -> Tensor:
    """The gradient of a, for the gradient g of b, both [rows maps ...]."""
    wide = widened(a)
    d = _bracket(wide, constants)
    r = widened(g) * to_minus_beta(d, constants.beta)
    # Map j lies in the windows of the maps j - after to j + before: the same sum, turned round. The root is
    # there already when beta is 0.75, and two products cost less than a division.
    root = d.rsqrt()
    effects = window_sum(r * wide * root * root, constants.after, constants.before)
    return (r - 2 * constants.each * constants.beta * wide * effects).to(a.dtype)


def forward(x: Tensor, constants: Constants) -> Tensor:
    """Normalise [n c h w]."""
    return _merged(normalised(_parted(x, constants), constants))


def backward(x: Tensor, g: Tensor, constants: Constants) -> Tensor:
    """The gradient of x, [n c h w], for the gradient g of the result."""
    return _merged(gradient(_parted(x, constants), _parted(g, constants), constants))


def window_sum(terms: Tensor, before: int, after: int) -> Tensor:
    """Sum over the maps (axis 1) from i - before to i + after, as far as they exist; the shape stays."""
    maps = terms.shape[1]
    padded = functional.pad(terms, (0, 0) * (terms.dim() - 2) + (before, after))
    total = padded[:, :maps]
    for shift in range(1, before + after + 1):
        total = total + padded[:, shift : shift + maps]
    return total


def to_minus_beta(d: Tensor, beta: float) -> Tensor:
    """d ^ -beta; the papers' 0.75 by two square roots, which is faster than a power."""
    if beta != 0.75:
        return d.pow(-beta)
    inverse_root = d.rsqrt()
    return inverse_root * inverse_root.sqrt()


def widened(a: Tensor) -> Tensor:
    """In the type that the formula is computed in: float64 stays, all else becomes float32."""
    return a if a.dtype == torch.float64 else a.float()


def _bracket(a: Tensor, constants: Constants) -> Tensor:
    return constants.k + constants.each * window_sum(a * a, constants.before, constants.after)


def _parted(x: Tensor, constants: Constants) -> Tensor:
    """[n c h w] -> [n maps towers h w], a view in every memory format: to a map, a tower is one more position."""
    return x.unflatten(1, (constants.towers, -1)).transpose(1, 2)


def _merged(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(1, 2)
