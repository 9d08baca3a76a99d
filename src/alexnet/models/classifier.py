"""A net as a row of named stages, with the preprocessing that belongs to its weights.

Each stage is a child module, so that the weights of `conv1` are `conv1.weight` and nothing else. Features,
filters, tables and fine-tuning use the same names.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from alexnet.errors import InputError
from alexnet.models.blocks import FullyConnected


class SideClassifier(nn.Module):
    """A second classifier that reads a stage's output in training and is gone at test; the base of such.

    Attributes:
        reads: name of the stage.
        weight: of its cross-entropy in the loss.
        last: its last layer.
    """

    def __init__(self, reads: str, weight: float):
        super().__init__()
        self.reads, self.weight = reads, weight

    @property
    def last(self) -> FullyConnected:
        """The layer that gives the scores."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Features [n c h w] to scores [n classes]."""
        raise NotImplementedError


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
        classifier_stage: the stage that gives the scores.
        sides: name -> classifier beside the row, which only the loss in training asks; each is a child too.
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
        sides: Mapping[str, SideClassifier] | None = None,
    ):
        super().__init__()
        self.name, self.size, self.smallest, self.classes = name, size, smallest, classes
        self.any_size, self.classifier_stage = any_size, classifier_stage
        self._names = list(stages)
        self._sides = list(sides or {})
        for stage, module in [*stages.items(), *(sides or {}).items()]:
            self.add_module(stage, module)
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("scale", torch.ones(()))
        self.register_load_state_dict_pre_hook(_fit_mean)

    @property
    def stages(self) -> dict[str, nn.Module]:
        """Name -> module, in the order of the forward pass."""
        return {name: self.get_submodule(name) for name in self._names}

    @property
    def sides(self) -> dict[str, SideClassifier]:
        """Name -> classifier beside the row of stages."""
        return {name: side for name in self._sides if isinstance(side := self.get_submodule(name), SideClassifier)}

    @property
    def parameter_count(self) -> int:
        """Number of trainable parameters; side classifiers, which are gone at test, are not counted."""
        return sum(p.numel() for stage in self.stages.values() for p in stage.parameters())

    @property
    def parts(self) -> dict[str, nn.Module]:
        """Name -> module of all that can have weights: the stages, then the sides."""
        return self.stages | self.sides

    @property
    def fresh(self) -> set[str]:
        """What starts anew when the other weights come from a net with other classes."""
        return {self.classifier_stage, *self._sides}

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
        return _one_each(self._through(images, self._names[-1]))

    def score_map(self, images: Tensor) -> Tensor:
        """Scores [n classes H W] at every position where the net fits into the images.

        1 x 1 at `size`, and always in a net with adaptive pooling, which sees the whole image at once.
        """
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
        """Scores, float32 (float64 of a net in float64) [n classes], and the terms of `loss`, from one forward pass.

        In training each side classifier adds a term of its name: its weight times its cross-entropy.
        """
        beside: dict[str, Tensor] = {}
        scores = wide(_one_each(self._through(images, self._names[-1], beside if self.training else None)))
        terms = {"cross_entropy": cross_entropy(scores, labels, class_weights)}
        for name, theirs in beside.items():
            weight = self.sides[name].weight
            terms[name] = weight * cross_entropy(wide(_one_each(theirs)), labels, class_weights)
        return scores, terms

    def _through(self, images: Tensor, last: str, beside: dict[str, Tensor] | None = None) -> Tensor:
        """Output of the stage `last`; what the sides answer on the way is put into `beside`."""
        self.check(images)
        x = self.preprocess(images)
        readers = {side.reads: name for name, side in self.sides.items()} if beside is not None else {}
        for name in self._names:
            x = self._modules[name](x)  # type: ignore[misc]
            if beside is not None and name in readers:
                beside[readers[name]] = self._modules[readers[name]](x)  # type: ignore[misc]
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


def cross_entropy(scores: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean multinomial log-loss of scores [n classes]; with weights, see `Classifier.loss`."""
    if class_weights is None:
        return functional.cross_entropy(scores, labels)
    each = functional.cross_entropy(scores, labels, reduction="none")
    return (each * class_weights.to(each)[labels]).mean()


def _one_each(scores: Tensor) -> Tensor:
    """Scores [n classes]; a map of them is averaged over its positions."""
    return scores if scores.dim() == 2 else scores.mean((2, 3))


def wide(scores: Tensor) -> Tensor:
    """Scores wide enough for a loss, also where the net computes in 16 bits."""
    return scores if scores.dtype == torch.float64 else scores.float()


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
