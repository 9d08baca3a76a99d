"""The response normalisation in torch's own operations, in chunks that stay in the processor's cache.

Most of the time of such an operation goes into memory: each of its dozen steps reads and writes all it works on. A
chunk of one or two images passes through all the steps while it is in the cache, in buffers that are used again for
the next chunk. That needs no compiler, runs on every device and in every width of float.
"""

import torch
from torch import Tensor

from alexnet.models.lrn_formula import Constants

CHUNK_BYTES = 1 << 20  # of float32 input at once, for each thread


def forward(x: Tensor, constants: Constants) -> Tensor:
    """Normalise [n c h w], contiguous or channels-last; the result is laid out alike."""
    y = torch.empty_like(x)
    x_rows, y_rows = rows(x, constants.towers), rows(y, constants.towers)
    work = _Buffers(x_rows, constants)
    for part in chunks(x_rows):
        a = x_rows[part].to(work.dtype)
        d = work.bracket(a)
        root = torch.rsqrt(d, out=work.spare(part)) if constants.beta == 0.75 else None
        power = d.pow_(-constants.beta) if root is None else torch.sqrt(root, out=d).mul_(root)
        torch.mul(power, a, out=y_rows[part])
    return y


def backward(x: Tensor, g: Tensor, constants: Constants) -> Tensor:
    """The gradient of x for the gradient g of the result; both laid out alike, as is what comes back."""
    result = torch.empty_like(x)
    x_rows, g_rows, result_rows = (rows(each, constants.towers) for each in (x, g, result))
    work = _Buffers(x_rows, constants)
    factor = -2 * constants.each * constants.beta
    for part in chunks(x_rows):
        a = x_rows[part].to(work.dtype)
        d = work.bracket(a)
        r = work.spare(part)
        if constants.beta == 0.75:
            root = torch.rsqrt(d, out=r)
            power = torch.sqrt(root).mul_(root)
        else:
            power = torch.pow(d, -constants.beta, out=r)
        r = power.mul_(g_rows[part])
        torch.addcmul(r, a, work.effects(r, a, d), value=factor, out=r)
        result_rows[part] = r
    return result


def rows(x: Tensor, towers: int) -> Tensor:
    """View [n c h w], contiguous or channels-last, as [independent rows, maps of a tower, positions]."""
    n, c, h, w = x.shape
    if x.is_contiguous():
        return x.view(n * towers, c // towers, h * w)
    return x.permute(0, 2, 3, 1).view(n * h * w * towers, c // towers, 1)


def chunks(x_rows: Tensor) -> list[slice]:
    """Which rows to compute together: as many as the caches of all threads hold; on a GPU all of them."""
    count, maps, positions = x_rows.shape
    if x_rows.device.type != "cpu":
        return [slice(0, count)] if count else []
    at_once = max(CHUNK_BYTES * torch.get_num_threads() // (4 * maps * positions or 1), 1)
    return [slice(i, min(i + at_once, count)) for i in range(0, count, at_once)]


class _Buffers:
    """What one chunk needs beside its input and output.

    The terms of a sum are written between as many maps of zeros as a window can reach over, so that a window's sum is
    n shifted slices added up, without special cases at the edges.
    """

    def __init__(self, x_rows: Tensor, constants: Constants):
        parts = chunks(x_rows)
        largest = parts[0].stop if parts else 0
        _, self.maps, positions = x_rows.shape
        self.constants = constants
        self.dtype = torch.float64 if x_rows.dtype == torch.float64 else torch.float32
        self._terms = x_rows.new_zeros(largest, self.maps + constants.n - 1, positions, dtype=self.dtype)
        self._turned = torch.zeros_like(self._terms) if constants.before != constants.after else self._terms
        self._total = x_rows.new_empty(largest, self.maps, positions, dtype=self.dtype)
        self._spare = torch.empty_like(self._total)
        self._k = x_rows.new_tensor(constants.k, dtype=self.dtype)

    def spare(self, part: slice) -> Tensor:
        """A buffer of the chunk's shape."""
        return self._spare[: part.stop - part.start]

    def bracket(self, a: Tensor) -> Tensor:
        """The formula's d."""
        terms = self._terms[: len(a)]
        torch.mul(a, a, out=terms[:, self.constants.before : self.constants.before + self.maps])
        total = self._sum(terms)
        return torch.add(self._k, total, alpha=self.constants.each, out=total)

    def effects(self, r: Tensor, a: Tensor, d: Tensor) -> Tensor:
        """The sum of r * a / d over the maps that have each map in their window; d is lost."""
        terms = self._turned[: len(a)]
        inner = terms[:, self.constants.after : self.constants.after + self.maps]
        torch.mul(r, a, out=inner).div_(d)
        return self._sum(terms)

    def _sum(self, terms: Tensor) -> Tensor:
        total = self._total[: len(terms)]
        if self.constants.n == 1:
            return total.copy_(terms)
        torch.add(terms[:, : self.maps], terms[:, 1 : 1 + self.maps], out=total)
        for shift in range(2, self.constants.n):
            total += terms[:, shift : shift + self.maps]
        return total
