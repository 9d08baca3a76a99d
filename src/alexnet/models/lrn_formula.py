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


def forward(x: Tensor, constants: Constants) -> Tensor:
    """Normalise [n c h w]."""
    return _merged(normalised(_parted(x, constants), constants))


def backward(x: Tensor, g: Tensor, constants: Constants) -> Tensor:
    """The gradient of x, [n c h w], for the gradient g of the result."""
    a, g = _parted(x, constants), widened(_parted(g, constants))
    wide = widened(a)
    d = bracket(padded(wide * wide, constants.before, constants.after), constants)
    effects = padded(effect(wide, g, d, constants), constants.after, constants.before)
    return _merged(gradient(wide, g, d, effects, constants).to(x.dtype))


def normalised(a: Tensor, constants: Constants) -> Tensor:
    """b = a * d^-beta for a of shape [rows maps ...], the maps of one tower along axis 1."""
    wide = widened(a)
    d = bracket(padded(wide * wide, constants.before, constants.after), constants)
    return (wide * to_minus_beta(d, constants.beta)).to(a.dtype)


def padded(terms: Tensor, before: int, after: int) -> Tensor:
    """Put so many maps of zeros before and behind: [rows maps ...] -> [rows before+maps+after ...]."""
    return functional.pad(terms, (0, 0) * (terms.dim() - 2) + (before, after))


def bracket(squares: Tensor, constants: Constants) -> Tensor:
    """The formula's d [rows maps ...], of padded squares [rows maps+n-1 ...]."""
    return constants.k + constants.each * _window_sum(squares, constants.n)


def effect(a: Tensor, g: Tensor, d: Tensor, constants: Constants) -> Tensor:
    """r * a / d. The root is there already when beta is 0.75, and two products cost less than a division."""
    root = d.rsqrt()
    return g * to_minus_beta(d, constants.beta) * a * (root * root)


def gradient(a: Tensor, g: Tensor, d: Tensor, effects: Tensor, constants: Constants) -> Tensor:
    """The gradient of a, for the gradient g of b, all [rows maps ...] but the effects, which are padded.

    Map j lies in the windows of the maps j - after to j + before: the same sum, turned round.
    """
    around = _window_sum(effects, constants.n)
    return g * to_minus_beta(d, constants.beta) - 2 * constants.each * constants.beta * a * around


def to_minus_beta(d: Tensor, beta: float) -> Tensor:
    """d ^ -beta; the papers' 0.75 by two square roots, which is faster than a power."""
    if beta != 0.75:
        return d.pow(-beta)
    inverse_root = d.rsqrt()
    return inverse_root * inverse_root.sqrt()


def widened(a: Tensor) -> Tensor:
    """In the type that the formula is computed in: float64 stays, all else becomes float32."""
    return a if a.dtype == torch.float64 else a.float()


def _window_sum(terms: Tensor, n: int) -> Tensor:
    maps = terms.shape[1] - n + 1
    total = terms[:, :maps]
    for shift in range(1, n):
        total = total + terms[:, shift : shift + maps]
    return total


def _parted(x: Tensor, constants: Constants) -> Tensor:
    """[n c h w] -> [n maps towers h w], a view in every memory format: to a map, a tower is one more position."""
    return x.unflatten(1, (constants.towers, -1)).transpose(1, 2)


def _merged(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(1, 2)
