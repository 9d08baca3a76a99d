"""The response normalisation as one GPU kernel for each pass, written in Triton.

A pass is bound by memory, so the kernels read each number from it once and write each once. A program works on a tile
of 32 maps by 32 positions, in whichever of the two memory formats. The neighbours that the windows need are read again,
shifted, and come out of the near cache: 5 reads a number forward, 14 backward for windows of 5. What the gradient
needs of the maps around is computed anew for each of them, which costs two approximate roots and no memory.

Numbers of 16 and 32 bits come in, all arithmetic is float32. The kernels are ops of torch, opaque to its compiler, so
that they work unchanged in eager mode, inside `torch.compile` and in a CUDA graph.
"""

# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# Triton's own annotations do not know what its compiler takes as a constant.

from typing import Any

import torch
import triton
from torch import Tensor
from triton import language as tl

from alexnet.models import lrn_eager
from alexnet.models.lrn_choice import give_up
from alexnet.models.lrn_formula import Constants

MAPS, POSITIONS = 32, 32  # of a tile: a warp reads 64 or 128 bytes in a row, along either axis
# Four numbers a thread, which leaves registers for enough threads; a product and its sum in one step, as in torch.
OPTIONS = {"num_warps": 8, "enable_fp_fusion": True}


def forward(x: Tensor, constants: Constants) -> Tensor:
    """Normalise [n c h w], contiguous or channels-last, of 16- or 32-bit floats; the result is laid out alike."""
    return _forward(x, *constants)


def backward(x: Tensor, g: Tensor, constants: Constants) -> Tensor:
    """The gradient of x for the gradient g of the result; both laid out alike, as is what comes back."""
    return _backward(x, g, *constants)


@torch.library.custom_op("alexnet::response_norm", mutates_args=())
def _forward(x: Tensor, n: int, k: float, each: float, beta: float, towers: int) -> Tensor:
    constants, y = Constants(n, k, each, beta, towers), torch.empty_like(x)
    return y if _launch(_forward_kernel, constants, x, y) else lrn_eager.forward(x, constants)


@torch.library.custom_op("alexnet::response_norm_gradient", mutates_args=())
def _backward(x: Tensor, g: Tensor, n: int, k: float, each: float, beta: float, towers: int) -> Tensor:
    constants, result = Constants(n, k, each, beta, towers), torch.empty_like(x)
    return result if _launch(_backward_kernel, constants, x, g, result) else lrn_eager.backward(x, g, constants)


@_forward.register_fake
@_backward.register_fake
def _(x: Tensor, *_: Tensor | float) -> Tensor:
    return torch.empty_like(x)


def _launch(kernel: Any, constants: Constants, *tensors: Tensor) -> bool:
    """Let a kernel fill the last tensor; False when Triton cannot do it here, say without a C compiler."""
    x = tensors[0]
    n, c, h, w = x.shape
    if x.is_contiguous():
        images, positions, strides = n, h * w, (c * h * w, h * w, 1)
    else:  # channels-last: the batch is one long row of positions
        images, positions, strides = 1, n * h * w, (0, 1, c)
    if not x.numel():
        return True
    tiles = triton.cdiv(positions, POSITIONS)
    sizes = c, c // constants.towers, positions, tiles, *strides
    numbers = constants.k, constants.each, constants.beta
    try:
        with torch.cuda.device_of(x):
            kernel[images * tiles, triton.cdiv(c, MAPS)](
                *tensors, *sizes, *numbers, constants.n, constants.beta == 0.75, MAPS, POSITIONS, **OPTIONS
            )
    except Exception as error:  # whatever Triton or its C compiler may raise
        give_up("triton", error)
        return False
    return True


# The compiler must not know how addresses are aligned: it would give each thread several neighbouring numbers, and the
# shifted reads, which cannot be aligned, would skip through memory.
_UNKNOWN = ["x", "g", "out", "image_stride", "map_stride"]


@triton.jit(do_not_specialize_on_alignment=_UNKNOWN)
def _forward_kernel(
    x, out, c, width, positions, tiles, image_stride, map_stride, position_stride, k, each, beta,
    N: tl.constexpr, BY_ROOTS: tl.constexpr, MAPS: tl.constexpr, POSITIONS: tl.constexpr,
):  # fmt: skip
    """One tile of a * d^-beta. `x` and `out` are images of c maps, `width` in a tower, and positions cut into tiles."""
    at, there, place = _tile(c, width, positions, tiles, image_stride, map_stride, position_stride, MAPS, POSITIONS)
    a = _shifted(x + at, there, place, 0, width, map_stride)
    d = _bracket(x + at, there, place, 0, width, map_stride, k, each, N)
    power, _ = _powers(d, beta, BY_ROOTS)
    tl.store(out + at, a * power, there)


@triton.jit(do_not_specialize_on_alignment=_UNKNOWN)
def _backward_kernel(
    x, g, out, c, width, positions, tiles, image_stride, map_stride, position_stride, k, each, beta,
    N: tl.constexpr, BY_ROOTS: tl.constexpr, MAPS: tl.constexpr, POSITIONS: tl.constexpr,
):  # fmt: skip
    """One tile of r - 2 each beta a * sum of r a / d, the sum over the maps that have this one in their window."""
    at, there, place = _tile(c, width, positions, tiles, image_stride, map_stride, position_stride, MAPS, POSITIONS)
    effects = tl.zeros((MAPS, POSITIONS), tl.float32)
    own = tl.zeros((MAPS, POSITIONS), tl.float32)
    for shift in tl.static_range(N // 2 + 1 - N, N // 2 + 1):
        a = _shifted(x + at, there, place, shift, width, map_stride)
        d = _bracket(x + at, there, place, shift, width, map_stride, k, each, N)
        power, inverse = _powers(d, beta, BY_ROOTS)
        r = _shifted(g + at, there, place, shift, width, map_stride) * power
        effects += r * a * inverse
        if shift == 0:
            own = r
    a = _shifted(x + at, there, place, 0, width, map_stride)
    tl.store(out + at, own - 2 * each * beta * a * effects, there)


@triton.jit
def _tile(
    c, width, positions, tiles, image_stride, map_stride, position_stride,
    MAPS: tl.constexpr, POSITIONS: tl.constexpr,
):  # fmt: skip
    """Of this program's numbers: where they lie, whether they exist, and the place of their map in its tower."""
    image, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    position = tile * POSITIONS + tl.arange(0, POSITIONS)[None, :]
    index = tl.program_id(1) * MAPS + tl.arange(0, MAPS)[:, None]
    at = image * image_stride + index * map_stride + position * position_stride
    return at, (index < c) & (position < positions), index % width


@triton.jit
def _shifted(pointers, there, place, shift: tl.constexpr, width, map_stride):
    """The numbers `shift` maps further on, 0 beyond the tower."""
    inside = there & (place + shift >= 0) & (place + shift < width)
    return tl.load(pointers + shift * map_stride, inside, 0.0).to(tl.float32)


@triton.jit
def _bracket(pointers, there, place, shift: tl.constexpr, width, map_stride, k, each, N: tl.constexpr):
    """d of the maps `shift` further on. What is read for one shift serves the next: the compiler sees that."""
    total = 0.0
    for i in tl.static_range(N):
        a = _shifted(pointers, there, place, shift - N // 2 + i, width, map_stride)
        total += a * a
    return k + each * total


@triton.jit
def _powers(d, beta, BY_ROOTS: tl.constexpr):
    """d^-beta and 1 / d."""
    if BY_ROOTS:  # beta is 0.75
        root = tl.rsqrt(d)
        power, inverse = root * tl.sqrt(root), root * root
    else:
        power, inverse = tl.exp2(-beta * tl.log2(d)), 1 / d
    return power, inverse
