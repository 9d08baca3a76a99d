"""The response normalisation through torch's compiler, which makes one loop over memory of all its steps.

The compiler knows how to fuse `lrn_formula`, and is given it chunk by chunk, so that what the two loops of the
gradient hand over stays in the cache. Sizes are left open: one compilation serves every batch and every map. The
compiler needs a C++ compiler on a CPU. Where there is none, or where it fails, `lrn_eager` does the work, after one
note.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from alexnet.models import lrn_eager
from alexnet.models.lrn_choice import give_up, works
from alexnet.models.lrn_eager import rows
from alexnet.models.lrn_formula import Constants, gradient, normalised

# Formats, types, thread counts and constants that one process may meet; torch's own limit of 8 is for whole models.
COMPILATIONS = 64


def forward(x: Tensor, constants: Constants) -> Tensor:
    """Normalise [n c h w], contiguous or channels-last; the result is laid out alike."""
    y = torch.empty_like(x)
    if _run(_compiled(constants)[0], constants.towers, x, y):
        return y
    return lrn_eager.forward(x, constants)


def backward(x: Tensor, g: Tensor, constants: Constants) -> Tensor:
    """The gradient of x for the gradient g of the result; both laid out alike, as is what comes back."""
    result = torch.empty_like(x)
    if _run(_compiled(constants)[1], constants.towers, x, g, result):
        return result
    return lrn_eager.backward(x, g, constants)


@cache
def _compiled(constants: Constants) -> tuple[Callable[..., None], Callable[..., None]]:
    """Functions that fill their last argument, compiled when they are first called."""

    def fill_normalised(x: Tensor, y: Tensor) -> None:
        y.copy_(normalised(x, constants))

    def fill_gradient(x: Tensor, g: Tensor, result: Tensor) -> None:
        result.copy_(gradient(x, g, constants))

    return torch.compile(fill_normalised, dynamic=True), torch.compile(fill_gradient, dynamic=True)


def _run(function: Callable[..., None], towers: int, *tensors: Tensor) -> bool:
    """Let a compiled function fill the last tensor; False when that cannot be had here."""
    x = tensors[0]
    if not works("compiled", x.device):
        return False
    views = [rows(each, towers) for each in tensors]
    parts = _even_chunks(views[0])
    if views[0].shape[2] == 1:
        views = [each.squeeze(2) for each in views]  # channels-last: one loop less
    try:
        # What surrounds a call, such as autocast, would be one more reason to compile.
        with torch._dynamo.config.patch(recompile_limit=COMPILATIONS), torch.autocast(x.device.type, enabled=False):
            for part in parts:
                function(*(each[part] for each in views))
    except Exception as error:  # whatever a compiler may raise: its own errors, a full disk, a missing header
        give_up("compiled", error)
        return False
    return True


def _even_chunks(x_rows: Tensor) -> list[slice]:
    """`lrn_eager.chunks`, but never one row alone beside others: a length of 1 is compiled apart from all others."""
    parts = lrn_eager.chunks(x_rows)
    if not x_rows.numel() or len(parts) < 2:
        return parts if x_rows.numel() else []
    starts = list(range(0, len(x_rows) - 1, max(parts[0].stop, 2)))
    return [slice(i, j) for i, j in zip(starts, [*starts[1:], len(x_rows)], strict=True)]
