"""Local response normalisation: every activation is divided by what its neighbours answer.

Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012),
section 3.3. At one position of one image, with a_i the answer of map i,

    b_i = a_i / (k + alpha * sum of a_j^2 over the window of map i) ^ beta

and the window of map i holds the n maps from i - n//2 on, as far as they exist. Writings of this formula
differ in two ways that change every number, so both are arguments here: whether alpha multiplies the
sum of squares (the paper) or their mean over n (the 2012 code, Caffe, torch), and whether the window stops at
the border of a tower (the paper's two GPUs) or runs through all maps.

The gradient has a closed form. With d the bracket, g the gradient of b, and r = g * d^-beta,

    gradient of a = r - 2 * alpha * beta * a * sum of r * a / d

with the sum over the maps that have this one in their window. Nothing but the input need be kept between
the passes. Four files compute the same: `lrn_formula` says it plainly, `lrn_eager` in chunks that stay in the
cache, `lrn_compiled` through torch's compiler, `lrn_triton` in one kernel a pass on a GPU.
"""

from types import ModuleType
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from alexnet.errors import InputError
from alexnet.models import lrn_compiled, lrn_eager, lrn_formula
from alexnet.models.lrn_choice import Implementation, note_refusal, refusal, response_norm_for, works
from alexnet.models.lrn_formula import Constants

__all__ = [
    "LRN",
    "Convention",
    "Implementation",
    "SpatialNorm",
    "local_response_norm",
    "response_norm_for",
    "set_response_norm",
    "works",
]

Convention = Literal["sum", "mean"]


def local_response_norm(
    x: Tensor,
    n: int = 5,
    k: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
    alpha_is: Convention = "sum",
    towers: int = 1,
    implementation: Implementation = "eager",
) -> Tensor:
    """Normalise across maps; the defaults are the paper's formula as printed.

    Args:
        x: [n c h w], float of any width. 16-bit floats are computed in float32.
        n: maps in a window, from i - n//2 to i - n//2 + n - 1; maps that do not exist count as 0.
        k: constant in the bracket.
        alpha: factor of the squares.
        beta: exponent.
        alpha_is: "sum": alpha multiplies the sum of squares; "mean": their sum divided by n, at the
            edges too.
        towers: the maps are so many equal groups, and no window crosses from one to the next.
        implementation: "eager", "compiled" or "triton"; where it cannot be had, "eager" does the work, after one note.
            Inside `torch.compile` and `torch.export` the plain formula stands for the first two.

    Returns:
        Tensor of the shape, type and memory format of `x`. Its gradient cannot be differentiated again.

    Raises:
        InputError: the maps cannot be divided among the towers.
    """
    if x.shape[1] % towers:
        raise InputError(f"{x.shape[1]} maps do not divide into {towers} towers: change widths or towers")
    if not x.is_contiguous() and not x.is_contiguous(memory_format=torch.channels_last):
        x = x.contiguous()
    constants = Constants(n, k, alpha if alpha_is == "sum" else alpha / n, beta, towers)
    return _AcrossMaps.apply(x, constants, implementation)  # type: ignore[return-value]


class LRN(nn.Module):
    """`local_response_norm` as a stage; [n c h w] -> [n c h w].

    Attributes:
        implementation: how this machine computes it, see `set_response_norm`; no part of what the net is.
    """

    implementation: Implementation = "eager"

    def __init__(self, n: int, k: float, alpha: float, beta: float, alpha_is: Convention, towers: int = 1):
        super().__init__()
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta
        self.alpha_is: Convention = alpha_is
        self.towers = towers

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [n c h w]."""
        return local_response_norm(
            x, self.n, self.k, self.alpha, self.beta, self.alpha_is, self.towers, self.implementation
        )

    def extra_repr(self) -> str:
        """Say the constants."""
        return (
            f"n={self.n}, k={self.k}, alpha={self.alpha}, beta={self.beta}, alpha_is={self.alpha_is!r}, "
            f"towers={self.towers}"
        )


def set_response_norm(net: nn.Module, name: Implementation) -> None:
    """Let all response normalisations of a net be computed in one way.

    Raises:
        InputError: there is no such implementation.
    """
    if name not in get_args(Implementation):
        raise InputError(f"there is no response normalisation {name!r}: take {', '.join(get_args(Implementation))}")
    for module in net.modules():
        if isinstance(module, LRN):
            module.implementation = name


class SpatialNorm(nn.Module):
    """Normalise within each map, by the squares of an n x n neighbourhood (2012 code, second norm of conv2).

    b = a / (1 + alpha / n^2 * sum of squares) ^ beta, positions outside the map count as 0. The paper
    does not mention it.
    """

    def __init__(self, n: int = 5, alpha: float = 1e-3, beta: float = 0.75):
        super().__init__()
        if n % 2 == 0:
            raise InputError(f"a spatial window of {n} has no centre: use an odd one")
        self.n, self.alpha, self.beta = n, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [n c h w]."""
        wide = x if x.dtype == torch.float64 else x.float()
        # The mean over n x n positions, zeros outside included, is the sum divided by n^2.
        mean_square = functional.avg_pool2d(wide * wide, self.n, stride=1, padding=self.n // 2)
        return (wide * (1 + self.alpha * mean_square).pow(-self.beta)).to(x.dtype)

    def extra_repr(self) -> str:
        """Say the constants."""
        return f"n={self.n}, alpha={self.alpha}, beta={self.beta}"


class _AcrossMaps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, constants: Constants, implementation: Implementation) -> Tensor:
        ctx.save_for_backward(x)
        ctx.constants, ctx.implementation = constants, implementation
        return _passes(implementation, x).forward(x, constants)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        g = torch.empty_like(x).copy_(gradients[0]) if gradients[0].stride() != x.stride() else gradients[0]
        return _passes(ctx.implementation, x).backward(x, g, ctx.constants), None, None


def _passes(implementation: Implementation, x: Tensor) -> ModuleType:
    """The file whose `forward` and `backward` compute it."""
    tracing = torch.compiler.is_compiling()
    if implementation == "triton":
        reason = refusal(x)
        if reason is None:
            from alexnet.models import lrn_triton

            return lrn_triton
        if not tracing:
            note_refusal(reason)
    if tracing:
        return lrn_formula
    return lrn_compiled if implementation == "compiled" else lrn_eager
