"""What the nets are built of: layers with their sizes, dropout with its draws, the classifier around them.

A classifier is an ordered row of named stages, each of which is a child module, so that the weights of
`conv1` are `conv1.weight` and nothing else. Features, filters, tables and fine-tuning use the same names.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from alexnet.errors import InputError

Rounding = Literal["down", "up"]


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
    ):
        before, after = padding
        even = before == after and rounding == "down"
        super().__init__(c_in, c_out, kernel, stride, padding=before if even else 0, groups=groups)
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


class MaxPool(nn.Module):
    """The largest answer in a window, map by map; unpadded.

    [n c h w] -> [n c h' w']. With rounding "up" the last window may reach over the edge.
    """

    def __init__(self, kernel: int = 3, stride: int = 2, rounding: Rounding = "down"):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.rounding: Rounding = rounding

    def forward(self, x: Tensor) -> Tensor:
        """Pool [n c h w]."""
        return functional.max_pool2d(x, self.kernel, self.stride, ceil_mode=self.rounding == "up")

    def output_side(self, side: int, layer: str = "layer") -> int:
        """Side of the output for a side of the input, in pixels."""
        return output_size(side, self.kernel, self.stride, 0, self.rounding, layer)

    def extra_repr(self) -> str:
        """Say the window."""
        return f"kernel={self.kernel}, stride={self.stride}, rounding={self.rounding}"


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


class Dropout(nn.Module):
    """Drop each unit with probability 1 - `keep` in training.

    Kind "paper" (AlexNet, section 4.2): times a mask of 0 and 1 in training, times `keep` at test.
    Kind "inverted": times mask / `keep` in training, nothing at test. The two are the same function only
    if the weights of the next layer differ by `keep`, and then train alike only with that layer's initial
    deviation, rate and decay changed as well.

    The mask comes from torch's global generator, or from the draw that `begin_step` set.
    """

    def __init__(self, keep: float = 0.5, kind: Literal["paper", "inverted"] = "paper"):
        super().__init__()
        self.keep, self.kind = keep, kind
        self.draw: tuple[int, slice, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of [n ...], or scale them at test."""
        if not self.training:
            return x * self.keep if self.kind == "paper" else x
        mask = self._mask(x)
        return x * (mask if self.kind == "paper" else mask / self.keep)

    def _mask(self, x: Tensor) -> Tensor:
        """0 and 1, of the shape of `x`: this part's rows of the mask of the whole batch."""
        if self.draw is None:
            return torch.empty_like(x).bernoulli_(self.keep)
        seed, rows, batch = self.draw
        if len(range(batch)[rows]) != len(x):
            raise InputError(f"dropout was told of rows {rows} of {batch} but got {len(x)}: call begin_step")
        generator = torch.Generator(x.device).manual_seed(seed)
        whole = torch.empty((batch, *x.shape[1:]), dtype=x.dtype, device=x.device)
        return whole.bernoulli_(self.keep, generator=generator)[rows]

    def extra_repr(self) -> str:
        """Say kind and probability."""
        return f"keep={self.keep}, kind={self.kind!r}"


def begin_step(net: nn.Module, seed: int, step: int, rows: slice, batch: int) -> None:
    """Fix the masks of every dropout for one training step.

    Each mask is drawn for the whole batch from (seed, step, place of the dropout in the net) alone, and
    the rows that are seen now are cut out of it. A batch put through in parts, or by several processes,
    is therefore dropped exactly as in one piece. The generator is the device's own: another kind of device
    draws other masks.

    Args:
        net: a net with `Dropout` modules.
        seed: of the run, at least 0.
        step: number of the step, at least 0.
        rows: which rows of the batch come next.
        batch: rows of the whole batch.
    """
    dropouts = [module for module in net.modules() if isinstance(module, Dropout)]
    for layer, dropout in enumerate(dropouts):
        mixed = np.random.SeedSequence([seed, step, layer]).generate_state(1, np.uint64)[0]
        dropout.draw = (int(mixed), rows, batch)


class Classifier(nn.Module):
    """A row of named stages that ends in scores, with the preprocessing that belongs to its weights.

    It takes RGB floats [n 3 h w], nominally 0..255, subtracts `mean` and divides by `scale`. The zeros
    that a convolution adds at the edge come after that: zero stands for the mean.

    Attributes:
        name: of the variant.
        stages: name -> module, in order; each is also a child of that name.
        size: side of the input in pixels that the fully-connected stages were built for.
        smallest: smallest side in pixels at which a net of this kind can be built.
        any_size: whether inputs smaller than `size` are taken (nets with adaptive pooling, from `smallest`).
        classes: number of scores.
        classifier_stage: the stage that fine-tuning replaces.
        mean: buffer, [3 1 1] or [3 size size], in 0..255.
        scale: buffer, one number.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        name: str,
        stages: Mapping[str, nn.Module],
        size: int,
        smallest: int,
        classes: int,
        any_size: bool = False,
        classifier_stage: str = "fc8",
    ):
        super().__init__()
        self.name, self.size, self.smallest, self.classes = name, size, smallest, classes
        self.any_size, self.classifier_stage = any_size, classifier_stage
        self._names = list(stages)
        for stage, module in stages.items():
            self.add_module(stage, module)
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("scale", torch.ones(()))
        self.register_load_state_dict_pre_hook(_fit_mean)

    @property
    def stages(self) -> dict[str, nn.Module]:
        """Name -> module, in the order of the forward pass."""
        return {name: self.get_submodule(name) for name in self._names}

    def set_preprocessing(self, mean: Tensor | ArrayLike, scale: float | Tensor) -> None:
        """Set what is subtracted and what is divided by.

        Args:
            mean: per channel ([3] or [3 1 1]) or a mean image [3 size size], RGB in 0..255.
            scale: one positive number; 1 in the paper's, the 2012 code's and Caffe's nets.

        Raises:
            InputError: another shape, or a scale that is not positive.
        """
        new = torch.as_tensor(np.asarray(mean) if not isinstance(mean, Tensor) else mean)
        new = new.to(self.mean.device, torch.float32)
        new = new.reshape(3, 1, 1) if new.numel() == 3 else new
        if tuple(new.shape) not in ((3, 1, 1), (3, self.size, self.size)):
            raise InputError(
                f"a mean of shape {tuple(new.shape)} came; give 3 numbers or an image [3, {self.size}, {self.size}]"
            )
        if not float(scale) > 0:
            raise InputError(f"a scale of {float(scale)} came; give a positive number, 1 for none")
        self.mean = new.clone()
        self.scale = torch.tensor(float(scale), device=self.scale.device)

    def forward(self, images: Tensor) -> Tensor:
        """Scores [n classes]; of larger images than built for, the mean of the scores over all positions."""
        scores = self._through(images, self._names[-1])
        return scores if scores.dim() == 2 else scores.mean((2, 3))

    def score_map(self, images: Tensor) -> Tensor:
        """Scores [n classes H W] at every position where the net fits into the images; 1 x 1 at `size`."""
        scores = self._through(images, self._names[-1])
        return scores if scores.dim() == 4 else scores[:, :, None, None]

    def features(self, images: Tensor, stage: str) -> Tensor:
        """Output of a stage: [n c h w], or [n units] of a fully-connected one at `size`.

        Raises:
            InputError: there is no stage of that name.
        """
        if stage not in self._names:
            raise InputError(f"{self.name} has no stage {stage!r}; it has {', '.join(self._names)}")
        return self._through(images, stage)

    def loss(self, images: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> dict[str, Tensor]:
        """Named terms of the loss, each a mean over the batch; their sum is minimised.

        Args:
            images: float [n 3 h w] in 0..255.
            labels: int64 [n].
            class_weights: positive, [classes], or None for 1 each; they are taken as they are. The weighted
                losses are summed and divided by n, not by the sum of the weights, so that the losses of
                equal parts of a batch average to that of the whole. Weights that average to 1 over the images
                keep the size of the loss and of its steps.
        """
        return self.scores_and_loss(images, labels, class_weights)[1]

    def scores_and_loss(
        self, images: Tensor, labels: Tensor, class_weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores, float32 [n classes], and the terms of `loss`, from one forward pass."""
        scores = self(images).float()
        if class_weights is None:
            return scores, {"cross_entropy": functional.cross_entropy(scores, labels)}
        each = functional.cross_entropy(scores, labels, reduction="none")
        return scores, {"cross_entropy": (each * class_weights.to(each)[labels]).mean()}

    def _through(self, images: Tensor, last: str) -> Tensor:
        self.check(images)
        x = self.preprocess(images)
        for name in self._names:
            x = self._modules[name](x)  # type: ignore[misc]
            if name == last:
                break
        return x

    def preprocess(self, images: Tensor) -> Tensor:
        """(images - mean) / scale; a mean image serves its own size, its mean per channel any other."""
        mean = self.mean
        if mean.shape[1:] != (1, 1) and mean.shape[1:] != images.shape[2:]:
            mean = mean.mean((1, 2), keepdim=True)  # a mean image has no meaning at another size
        return (images - mean).div_(self.scale)

    def check(self, images: Tensor) -> None:
        """Raise an `InputError` if images of this shape cannot go through the net."""
        if images.dim() != 4 or images.shape[1] != 3:
            raise InputError(f"images of shape {tuple(images.shape)} came; {self.name} takes [n, 3, h, w]")
        least = self.smallest if self.any_size else self.size
        if min(images.shape[2:]) < least:
            h, w = images.shape[2:]
            raise InputError(
                f"images of {h} x {w} pixels came; this {self.name} takes {least} x {least} or larger: "
                f"enlarge them, or build it with size={max(min(h, w), self.smallest)}"
            )


def _fit_mean(net: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Before a state is loaded: a mean image and a mean per channel are both at home in the buffer."""
    assert isinstance(net, Classifier)
    mean = state.get(f"{prefix}mean")
    if mean is not None and tuple(mean.shape) in ((3, 1, 1), (3, net.size, net.size)):
        net.mean = net.mean.new_empty(mean.shape)


def as_convolutions(net: Classifier) -> dict[str, Tensor]:
    """The net's state with fully-connected weights as kernels: fc6 [4096 256 6 6], fc7 [4096 4096 1 1]."""
    state = net.state_dict()
    for name, stage in net.stages.items():
        if isinstance(stage, FullyConnected):
            state[f"{name}.weight"] = state[f"{name}.weight"].view(-1, *stage.field)
    return state


def from_convolutions(net: Classifier, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `as_convolutions`: a state that `net.load_state_dict` takes."""
    plain = dict(state)
    for name, stage in net.stages.items():
        if isinstance(stage, FullyConnected):
            plain[f"{name}.weight"] = plain[f"{name}.weight"].flatten(1)
    return plain
