"""The response normalisation through torch's compiler, which makes one loop over memory of several steps.

The compiler gets the parts of `lrn_formula` one by one, and chunk by chunk, so that what one loop hands to the next
stays in the cache. The terms of the window sums lie between maps of zeros, as far as a window reaches over: without a
question at every edge the loops are twice as fast. Only the forward pass of the contiguous format, where the edge is a
question to the outer loop, does better in one. Sizes are left open: one compilation serves them all.

On a CPU this needs a C++ compiler. Where there is none, or where it fails, `lrn_eager` does the work, after one note.
"""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from alexnet.models import lrn_eager
from alexnet.models.lrn_choice import give_up, works
from alexnet.models.lrn_eager import chunks, rows
from alexnet.models.lrn_formula import Constants, bracket, effect, gradient, normalised, to_minus_beta, widened

# The constants are written into the loops. torch's own limit of 8 is meant for the versions of a whole model.
SETTINGS: dict[str, Any] = {"specialize_float": True, "recompile_limit": 64}


def forward(x: Tensor, constants: Constants) -> Tensor:
    """Normalise [n c h w], contiguous or channels-last; the result is laid out alike."""
    y = torch.empty_like(x)
    return y if _filled(_forward, constants, x, y) else lrn_eager.forward(x, constants)


def backward(x: Tensor, g: Tensor, constants: Constants) -> Tensor:
    """The gradient of x for the gradient g of the result; both laid out alike, as is what comes back."""
    result = torch.empty_like(x)
    return result if _filled(_backward, constants, x, g, result) else lrn_eager.backward(x, g, constants)


def _filled(rows_pass: Callable[..., None], constants: Constants, *tensors: Tensor) -> bool:
    """Let compiled loops fill the last tensor; False when that cannot be had here."""
    x = tensors[0]
    if not x.numel():
        return True
    if not works("compiled", x.device):
        return False
    views = [rows(each, constants.towers) for each in tensors]
    parts = _even_chunks(views[0])
    if views[0].shape[2] == 1:
        views = [each.squeeze(2) for each in views]  # channels-last: one loop less
    try:
        # What surrounds a call, such as autocast, would be one more reason to compile.
        with torch._dynamo.config.patch(SETTINGS), torch.autocast(x.device.type, enabled=False):
            rows_pass(_Loops.of(constants), constants, parts, *views)
    except Exception as error:  # whatever a compiler may raise: its own errors, a full disk, a missing header
        give_up("compiled", error)
        return False
    return True


def _forward(loops: "_Loops", constants: Constants, parts: list[slice], x: Tensor, y: Tensor) -> None:
    if x.dim() == 3:
        for part in parts:
            loops.whole(x[part], y[part])
        return
    squares = _Terms(x, parts, constants.n, constants.before)
    for part in parts:
        loops.squares(x[part], squares.inner(part))
        loops.result(x[part], squares.padded(part), y[part])


def _backward(loops: "_Loops", constants: Constants, parts: list[slice], x: Tensor, g: Tensor, result: Tensor) -> None:
    squares = _Terms(x, parts, constants.n, constants.before)
    effects = _Terms(x, parts, constants.n, constants.after)
    for part in parts:
        loops.squares(x[part], squares.inner(part))
        loops.effects(x[part], g[part], squares.padded(part), effects.inner(part))
        loops.gradient(x[part], g[part], squares.padded(part), effects.padded(part), result[part])


class _Loops:
    """What is compiled, when it is first called. Each fills its last argument."""

    def __init__(self, constants: Constants):
        def whole(x: Tensor, y: Tensor) -> None:
            y.copy_(normalised(x, constants))

        def squares(x: Tensor, terms: Tensor) -> None:
            a = widened(x)
            terms.copy_(a * a)

        def result(x: Tensor, squares: Tensor, y: Tensor) -> None:
            y.copy_(widened(x) * to_minus_beta(bracket(squares, constants), constants.beta))

        def effects(x: Tensor, g: Tensor, squares: Tensor, terms: Tensor) -> None:
            terms.copy_(effect(widened(x), widened(g), bracket(squares, constants), constants))

        def turned(x: Tensor, g: Tensor, squares: Tensor, effects: Tensor, result: Tensor) -> None:
            result.copy_(gradient(widened(x), widened(g), bracket(squares, constants), effects, constants))

        self.whole = _compiled(whole)
        self.squares = _compiled(squares)
        self.result = _compiled(result)
        self.effects = _compiled(effects)
        self.gradient = _compiled(turned)

    @staticmethod
    @cache
    def of(constants: Constants) -> "_Loops":
        """The loops of these constants, always the same."""
        return _Loops(constants)


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    # It warns of GPU headers without a GPU, which a compilation for the processor has no use for.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    loop = torch.compile(function, dynamic=True)

    def call(*tensors: Tensor) -> None:
        # `data` is no view: a view would tie what is compiled to how its size compares with its base's.
        loop(*(each.data for each in tensors))

    return call


class _Terms:
    """Room for the terms of a window sum, for one chunk after the other, between maps of zeros."""

    def __init__(self, x: Tensor, parts: list[slice], n: int, before: int):
        self.before, self.maps = before, x.shape[1]
        longest = max(part.stop - part.start for part in parts)
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        self.room = x.new_zeros(longest, self.maps + n - 1, *x.shape[2:], dtype=dtype)

    def padded(self, part: slice) -> Tensor:
        """Terms and zeros."""
        return self.room[: part.stop - part.start]

    def inner(self, part: slice) -> Tensor:
        """Where the terms are written."""
        return self.padded(part)[:, self.before : self.before + self.maps]


def _even_chunks(x_rows: Tensor) -> list[slice]:
    """`chunks`, but never one row alone beside others: a length of 1 is compiled apart from all others."""
    parts, count = chunks(x_rows), len(x_rows)
    if len(parts) < 2:
        return parts
    starts = list(range(0, count - 1, max(parts[0].stop, 2)))
    return [slice(i, j) for i, j in zip(starts, [*starts[1:], count], strict=True)]
