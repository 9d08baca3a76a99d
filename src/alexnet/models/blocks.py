"""The layers that the nets are built of, and how they round sizes."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet import processes
from alexnet.errors import InputError

Rounding = Literal["down", "up"]
SMALL_MAPS = 16  # rows up to which turning maps for their pooling pays in training, too


def output_size(
    side: int, kernel: int, stride: int, padding: int = 0, rounding: Rounding = "down", layer: str = "layer"
) -> int:
    """Positions of a window along one side: (side + padding - kernel) / stride, rounded, + 1.

    Args:
        side: pixels of the input.
        kernel: pixels of the window.
        stride: pixels between two windows.
        padding: zeros added in all, both ends together (2 P of the usual formula).
        rounding: "down" in torch and in Caffe's convolutions; "up" in the 2012 code and Caffe's pooling,
            where the last window may reach over the edge.
        layer: named in the error.

    Raises:
        InputError: the window does not fit once.
    """
    room = side + padding - kernel
    if room < 0:
        raise InputError(
            f"{layer}: a window of {kernel} does not fit into {side} pixels with {padding} of padding; "
            f"give at least {kernel - padding}"
        )
    return (-(-room // stride) if rounding == "up" else room // stride) + 1


class Conv(nn.Conv2d):
    """A convolution (the kernel is not flipped) whose zeros may differ at the two ends of a side.

    Args:
        c_in: maps in.
        c_out: maps out.
        kernel: side of the kernel in pixels.
        stride: pixels between positions.
        padding: zeros at left and top, zeros at right and bottom.
        rounding: "up" adds the zeros at right and bottom that the last, incomplete window needs.
        groups: towers that do not see each other.
        bias: whether each map has one.

    [n c_in h w] -> [n c_out h' w'] with h' as `output_size` says.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
        rounding: Rounding = "down",
        groups: int = 1,
        bias: bool = True,
    ):
        before, after = padding
        even = before == after and rounding == "down"
        super().__init__(c_in, c_out, kernel, stride, padding=before if even else 0, groups=groups, bias=bias)
        self.ends, self.even = padding, even
        self.rounding: Rounding = rounding

    def forward(self, input: Tensor) -> Tensor:
        """Convolve [n c h w]."""
        return super().forward(input if self.even else self._padded(input))

    def output_side(self, side: int, layer: str = "layer") -> int:
        """Side of the output for a side of the input, in pixels."""
        return output_size(side, self.kernel_size[0], self.stride[0], sum(self.ends), self.rounding, layer)

    def _padded(self, x: Tensor) -> Tensor:
        before, after = self.ends
        kernel, stride = self.kernel_size[0], self.stride[0]
        missing = [-(side + before + after - kernel) % stride if self.rounding == "up" else 0 for side in x.shape[2:]]
        return functional.pad(x, (before, after + missing[1], before, after + missing[0]))

    def extra_repr(self) -> str:
        """Say the padding as it is."""
        return f"{super().extra_repr()}, ends={self.ends}, rounding={self.rounding}"


class ConvReLU(Conv):
    """`Conv` and max(0, x) in one stage."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve [n c h w] and cut at 0."""
        return functional.relu(super().forward(input), inplace=True)


class ConvNorm(nn.Module):
    """A convolution, batch normalisation (Ioffe and Szegedy, 2015) and, where told, max(0, x), in one stage.

    The convolution has no bias unless asked for: the normalisation takes it away and adds its own.
    [n c_in h w] -> [n c_out h' w'].
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
        relu: bool = True,
        bias: bool = False,
        eps: float = 1e-5,
    ):
        super().__init__()
        self.conv = Conv(c_in, c_out, kernel, stride, padding, bias=bias)
        self.norm = nn.BatchNorm2d(c_out, eps=eps)
        self.relu = relu

    @property
    def kind(self) -> str:
        """What the table of stages calls it."""
        return "conv + BN + ReLU" if self.relu else "conv + BN"

    def windows(self) -> list[tuple[int, int]]:
        """Kernel and stride of the convolution."""
        return [(self.conv.kernel_size[0], self.conv.stride[0])]

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalise [n c h w].

        Raises:
            InputError: in training, maps of one number in the whole batch, which has no deviation.
        """
        x = self.conv(x)
        alone = x.shape[0] == 1 and processes.size() == 1  # with others, statistics are of all their rows
        if self.norm.training and alone and tuple(x.shape[2:]) == (1, 1):
            raise InputError(
                "a batch of one image came, with maps of 1 x 1: batch normalisation learns from two numbers a map or "
                "more, raise --optimiser.batch (and --optimiser.micro_batch), or --size"
            )
        x = self.norm(x)
        return functional.relu(x, inplace=True) if self.relu else x


class MaxPool(nn.Module):
    """The largest answer in a window, map by map.

    [n c h w] -> [n c h' w']. With rounding "up" the last window may reach over the edge. Padding adds
    so many rows at each end that never win.
    """

    def __init__(self, kernel: int = 3, stride: int = 2, rounding: Rounding = "down", padding: int = 0):
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.rounding: Rounding = rounding

    def forward(self, x: Tensor) -> Tensor:
        """Pool [n c h w]; the order in memory stays."""
        turned = _is_slow_to_pool(x)
        if turned:
            x = x.contiguous(memory_format=torch.channels_last)
        y = functional.max_pool2d(x, self.kernel, self.stride, self.padding, ceil_mode=self.rounding == "up")
        return y.contiguous() if turned else y

    def output_side(self, side: int, layer: str = "layer") -> int:
        """Side of the output for a side of the input, in pixels."""
        if self.rounding == "up" and self.kernel - self.stride < side + 2 * self.padding < self.kernel:
            return 1  # the only window reaches over the edge, by less than a step
        return output_size(side, self.kernel, self.stride, 2 * self.padding, self.rounding, layer)

    def extra_repr(self) -> str:
        """Say the window."""
        padding = f", padding={self.padding}" if self.padding else ""
        return f"kernel={self.kernel}, stride={self.stride}, rounding={self.rounding}{padding}"


def _is_slow_to_pool(x: Tensor) -> bool:
    """Whether maps are better turned to channels-last and back for their pooling: the numbers are equal, to the bit.

    A CPU pools channels-last several times faster; turning the maps takes part of that, and on the way back, with
    large maps, all of it (docs/log.md).
    """
    if x.device.type != "cpu" or x.dim() != 4 or torch.compiler.is_compiling():
        return False
    pays = not x.requires_grad or x.shape[2] <= SMALL_MAPS
    return pays and not x.is_contiguous(memory_format=torch.channels_last)


class WindowAverage(nn.Module):
    """The mean of each map over a window of side x side.

    A map of that size gives one number: [n c side side] -> [n c] (global average pooling; Lin, Chen and Yan, 2014).
    A larger one gives a map, the window moving by one: [n c H W] -> [n c H-side+1 W-side+1], so that a net
    that ends in it slides over a larger image.
    """

    def __init__(self, side: int):
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Average [n c h w]."""
        if tuple(x.shape[2:]) == (self.side, self.side):
            return x.mean((2, 3))
        return functional.avg_pool2d(x, self.side, 1)

    def extra_repr(self) -> str:
        """Say the window."""
        return f"side={self.side}"


class FullyConnected(nn.Linear):
    """Every output sees all of `field` = (c, h, w): [n c h w] or [n c*h*w] -> [n outputs].

    On maps larger than the field it acts as a convolution with the same weights, at every position where
    the field fits: [n c H W] -> [n outputs H-h+1 W-w+1].
    """

    def __init__(self, field: tuple[int, int, int], outputs: int):
        c, h, w = field
        super().__init__(c * h * w, outputs)
        self.field = field

    def forward(self, input: Tensor) -> Tensor:
        """Connect [n c h w] or [n c*h*w]."""
        if input.dim() == 4 and input.shape[1:] != self.field:
            return functional.conv2d(input, self.weight.view(-1, *self.field), self.bias)
        return super().forward(input.flatten(1))


class FullyConnectedReLU(FullyConnected):
    """`FullyConnected` and max(0, x) in one stage."""

    def forward(self, input: Tensor) -> Tensor:
        """Connect and cut at 0."""
        return functional.relu(super().forward(input), inplace=True)
