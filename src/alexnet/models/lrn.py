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
the passes. On a CPU both passes go through the batch in chunks that stay in the cache, which is where the
time goes: `benchmarks/lrn.py`.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from alexnet.errors import InputError

Convention = Literal["sum", "mean"]
CHUNK_BYTES = 1 << 21  # of float32 input at once, so that the temporaries stay in the cache


def local_response_norm(
    x: Tensor,
    n: int = 5,
    k: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
    alpha_is: Convention = "sum",
    towers: int = 1,
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

    Returns:
        Tensor of the shape, type and memory format of `x`. Its gradient cannot be differentiated again.

    Raises:
        InputError: the maps cannot be divided among the towers.
    """
    if x.shape[1] % towers:
        raise InputError(f"{x.shape[1]} maps do not divide into {towers} towers: change widths or towers")
    if not x.is_contiguous() and not x.is_contiguous(memory_format=torch.channels_last):
        x = x.contiguous()
    each = alpha if alpha_is == "sum" else alpha / n
    return _AcrossMaps.apply(x, n, k, each, beta, towers)  # type: ignore[return-value]


class LRN(nn.Module):
    """`local_response_norm` as a stage; [n c h w] -> [n c h w]."""

    def __init__(self, n: int, k: float, alpha: float, beta: float, alpha_is: Convention, towers: int = 1):
        super().__init__()
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta
        self.alpha_is: Convention = alpha_is
        self.towers = towers

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [n c h w]."""
        return local_response_norm(x, self.n, self.k, self.alpha, self.beta, self.alpha_is, self.towers)

    def extra_repr(self) -> str:
        """Say the constants."""
        return (
            f"n={self.n}, k={self.k}, alpha={self.alpha}, beta={self.beta}, alpha_is={self.alpha_is!r}, "
            f"towers={self.towers}"
        )


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
    def forward(ctx: Any, x: Tensor, n: int, k: float, each: float, beta: float, towers: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.constants = n, k, each, beta, towers
        y = torch.empty_like(x)
        x_rows, y_rows = _rows(x, towers), _rows(y, towers)
        squares = _WindowSum(x_rows, n, before=n // 2)
        constant = x_rows.new_tensor(k, dtype=squares.dtype)
        for part in squares.chunks:
            a = x_rows[part].to(squares.dtype)
            torch.mul(a, a, out=squares.terms(part))
            d = squares.total(part)
            torch.add(constant, d, alpha=each, out=d)
            torch.mul(_to_minus(beta, d), a, out=y_rows[part])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        n, k, each, beta, towers = ctx.constants
        result = torch.empty_like(x)
        g = torch.empty_like(x).copy_(gradients[0]) if gradients[0].stride() != x.stride() else gradients[0]
        x_rows, g_rows, result_rows = _rows(x, towers), _rows(g, towers), _rows(result, towers)
        squares = _WindowSum(x_rows, n, before=n // 2)
        # Map j lies in the windows of the maps j - (n - 1 - n//2) to j + n//2: the same sum, turned round.
        effects = _WindowSum(x_rows, n, before=n - 1 - n // 2)
        constant = x_rows.new_tensor(k, dtype=squares.dtype)
        for part in squares.chunks:
            a = x_rows[part].to(squares.dtype)
            torch.mul(a, a, out=squares.terms(part))
            d = squares.total(part)
            torch.add(constant, d, alpha=each, out=d)
            r = _to_minus(beta, d).mul_(g_rows[part])
            torch.mul(r, a, out=effects.terms(part)).div_(d)
            torch.addcmul(r, a, effects.total(part), value=-2 * each * beta, out=r)
            result_rows[part] = r
        return result, None, None, None, None, None


def _rows(x: Tensor, towers: int) -> Tensor:
    """View [n c h w] as [independent rows, maps of a tower, positions], in either memory format."""
    n, c, h, w = x.shape
    if x.is_contiguous():
        return x.view(n * towers, c // towers, h * w)
    return x.permute(0, 2, 3, 1).view(n * h * w * towers, c // towers, 1)


def _to_minus(beta: float, d: Tensor) -> Tensor:
    """d ^ -beta; the papers' 0.75 by two square roots, which is faster than a power."""
    if beta != 0.75:
        return d.pow(-beta)
    inverse_root = d.rsqrt()
    return inverse_root.sqrt().mul_(inverse_root)


class _WindowSum:
    """Sums over windows of maps, chunk by chunk, in two buffers that are used again for every chunk.

    The terms of a sum are written into a buffer with as many maps of zeros at both ends as a window can
    reach over, so that a window's sum is n shifted slices added up, without special cases at the edges.
    """

    def __init__(self, rows: Tensor, n: int, before: int):
        count, self.maps, positions = rows.shape
        self.n, self.before = n, before
        self.dtype = torch.float64 if rows.dtype == torch.float64 else torch.float32
        at_once = count if rows.device.type != "cpu" else CHUNK_BYTES // (4 * self.maps * positions or 1)
        at_once = min(max(at_once, 1), max(count, 1))
        self.chunks = [slice(i, min(i + at_once, count)) for i in range(0, count, at_once)]
        self._terms = rows.new_zeros(at_once, self.maps + n - 1, positions, dtype=self.dtype)
        self._total = rows.new_empty(at_once, self.maps, positions, dtype=self.dtype)

    def terms(self, part: slice) -> Tensor:
        """Where to write this chunk's terms."""
        return self._terms[: part.stop - part.start, self.before : self.before + self.maps]

    def total(self, part: slice) -> Tensor:
        """The sums of the terms that were written."""
        terms, total = self._terms[: part.stop - part.start], self._total[: part.stop - part.start]
        if self.n == 1:
            return total.copy_(terms)
        torch.add(terms[:, : self.maps], terms[:, 1 : 1 + self.maps], out=total)
        for shift in range(2, self.n):
            total += terms[:, shift : shift + self.maps]
        return total
