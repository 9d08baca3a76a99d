"""The residual stage: blocks that add what their convolutions give to what a shortcut carries past them.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015), sections 3.2 to 3.4 and 4.1, figure 5.

    y = ReLU(F(x) + shortcut(x))

F is two 3x3 convolutions (`Basic`) or 1x1, 3x3, 1x1 (`Bottleneck`), each followed by batch normalisation, and by a
ReLU but the last, whose ReLU comes after the addition. Where x and F(x) have the same shape the shortcut is x itself;
elsewhere, and in option C everywhere, it is one of

    A     every second pixel where the side is halved, and maps of zeros behind the real ones: no parameters
    B     a projection: 1x1 convolution and batch normalisation, where the number of maps changes
    C     a projection in every block
    none  no shortcut: the paper's plain nets, y = ReLU(F(x))
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from alexnet.models.blocks import ConvNorm

Shortcuts = Literal["A", "B", "C", "none"]


class ZeroMaps(nn.Module):
    """Option A: every `stride`-th pixel, and `added` maps of zeros behind the real ones.

    [n c h w] -> [n c+added ceil(h/stride) ceil(w/stride)].
    """

    def __init__(self, added: int, stride: int):
        super().__init__()
        self.added, self.stride = added, stride

    def forward(self, x: Tensor) -> Tensor:
        """Take pixels of [n c h w] and append zeros."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))

    def extra_repr(self) -> str:
        """Say what is added and left out."""
        return f"added={self.added}, stride={self.stride}"


class _Block(nn.Module):
    """What both blocks have: convolutions in a row, `conv1`, `conv2`, ..., and a shortcut beside them."""

    def __init__(self, convolutions: list[ConvNorm], shortcut: nn.Module | None):
        super().__init__()
        self._row = [f"conv{i}" for i, _ in enumerate(convolutions, start=1)]
        for name, convolution in zip(self._row, convolutions, strict=True):
            self.add_module(name, convolution)
        self.shortcut = shortcut

    @property
    def convolutions(self) -> list[ConvNorm]:
        """The branch's convolutions, in order."""
        return [self.get_submodule(name) for name in self._row]  # type: ignore[misc]

    def forward(self, x: Tensor) -> Tensor:
        """ReLU(F(x) + shortcut(x)) of [n c h w]."""
        y = x
        for name in self._row:
            y = self._modules[name](y)  # type: ignore[misc]
        if self.shortcut is not None:
            y = y.add_(self.shortcut(x))
        return functional.relu(y, inplace=True)


class Basic(_Block):
    """Two 3x3 convolutions: [n maps h w] -> [n width h/stride w/stride].

    Args:
        maps: in.
        width: maps of both convolutions.
        stride: of the first, 1 or 2.
        shortcut: what carries x past them, or None without.
    """

    def __init__(self, maps: int, width: int, stride: int, shortcut: nn.Module | None):
        first, second = ConvNorm(maps, width, 3, stride, (1, 1)), ConvNorm(width, width, 3, 1, (1, 1), relu=False)
        super().__init__([first, second], shortcut)


class Bottleneck(_Block):
    """1x1 to `width` maps, 3x3, and 1x1 to 4 `width`: [n maps h w] -> [n 4*width h/stride w/stride].

    Args:
        maps: in.
        width: maps of the first two convolutions.
        stride: 1 or 2.
        shortcut: what carries x past them, or None without.
        stride_at: which convolution has the stride: 1, or 2 in v1.5.
    """

    def __init__(self, maps: int, width: int, stride: int, shortcut: nn.Module | None, stride_at: Literal[1, 2]):
        first, second = (stride, 1) if stride_at == 1 else (1, stride)
        convolutions = [
            ConvNorm(maps, width, 1, first),
            ConvNorm(width, width, 3, second, (1, 1)),
            ConvNorm(width, 4 * width, 1, relu=False),
        ]
        super().__init__(convolutions, shortcut)


class Residual(nn.Sequential):
    """A stage of residual blocks, children "1", "2", ...; the first has the stride and changes the maps.

    [n maps h w] -> [n self.maps h/stride w/stride].

    Args:
        maps: in.
        width: maps of the blocks' 3x3 convolutions.
        blocks: how many.
        stride: of the first block, 1 or 2.
        bottleneck: whether the blocks are `Bottleneck` or `Basic`.
        shortcuts: "A", "B", "C" or "none".
        stride_at: see `Bottleneck`.
    """

    def __init__(
        self,
        maps: int,
        width: int,
        blocks: int,
        stride: int,
        bottleneck: bool,
        shortcuts: Shortcuts,
        stride_at: Literal[1, 2],
    ):
        super().__init__()
        self.maps = out = 4 * width if bottleneck else width
        self.kind = f"{blocks} {'plain ' if shortcuts == 'none' else ''}{'bottleneck' if bottleneck else 'basic'}"
        row = [f"1×1, {width}", f"3×3, {width}", f"1×1, {out}"] if bottleneck else [f"3×3, {width}"] * 2
        self.in_paper = {"structure": f"[{' · '.join(row)}] × {blocks}"}
        for i in range(1, blocks + 1):
            shortcut = _shortcut(maps, out, stride, shortcuts)
            if bottleneck:
                block: _Block = Bottleneck(maps, width, stride, shortcut, stride_at)
            else:
                block = Basic(maps, width, stride, shortcut)
            self.add_module(str(i), block)
            maps, stride = out, 1

    @property
    def blocks(self) -> list[_Block]:
        """The blocks, in order."""
        return list(self.children())  # type: ignore[arg-type]

    def windows(self) -> list[tuple[int, int]]:
        """Kernel and stride of every convolution along the blocks' branches, which see further than shortcuts."""
        convolutions = [layer.conv for block in self.blocks for layer in block.convolutions]
        return [(conv.kernel_size[0], conv.stride[0]) for conv in convolutions]


def _shortcut(maps: int, out: int, stride: int, shortcuts: Shortcuts) -> nn.Module | None:
    if shortcuts == "none":
        return None
    if shortcuts == "C" or (shortcuts == "B" and maps != out):
        return ConvNorm(maps, out, 1, stride, relu=False)
    return nn.Identity() if maps == out and stride == 1 else ZeroMaps(out - maps, stride)
