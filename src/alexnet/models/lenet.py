"""LeNet-5: the net that read the amounts on cheques.

LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition" (1998), section II and
appendices A and C. One grey map of 32 x 32 pixels; convolutions and sub-sampling that both learn; the last layer
compares 84 units with drawings of the characters, 7 wide and 12 high, and the nearest drawing wins.

    stage    output        parameters  connections     (10 classes)
    c1        6 x 28 x 28         156      122,304
    s2        6 x 14 x 14          12        5,880
    c3       16 x 10 x 10       1,516      151,600
    s4       16 x 5 x 5            32        2,000
    c5      120 x 1 x 1        48,120       48,120
    f6       84                10,164       10,164
    output   10                     0          840

`lenet5` learns by the paper's loss (9), `lenet5_mse` by its loss (8). `lenet5_softmax` is the net that most tutorials
call by the name: every map of c3 sees all six, sub-sampling is a plain mean, a linear layer and a softmax end it;
61,706 parameters. What it squashes by is the paper's here (tutorials take a plain tanh, a sigmoid or ReLU).

Departures: 1. Images come in RGB, 0..255; the net reads the mean of the three channels, each with its own mean
subtracted. Fresh nets subtract 20 and divide by 200, which is the paper's -0.1 for background 0 and 1.175 for ink 255.
2. The paper shows its drawings as a figure only; ours are our own, and there are letters so that 36 classes find one.
3. The constant j of loss (9) is not printed; ours is `RUBBISH`. 4. Biases start as the weights of their layer do.
5. The paper trains by a diagonal Levenberg-Marquardt rule, one image a step; ours by the recipe's descent.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.errors import InputError
from alexnet.models.bitmaps import CHARACTERS, HEIGHT, WIDTH, bitmaps
from alexnet.models.blocks import Conv, FullyConnected
from alexnet.models.classifier import Classifier, wide
from alexnet.models.grey import GreyClassifier
from alexnet.models.initial import Start, checked

Criterion = Literal["discriminative", "squared"]

SIZE = 32
MEAN, SCALE = 20.0, 200.0  # background 0 -> -0.1 and ink 255 -> 1.175
RUBBISH = 20.0  # j of loss (9)

# Maps of s2 that each map of c3 sees (the paper's table I).
TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip


def squash(a: Tensor) -> Tensor:
    """1.7159 tanh(2 a / 3), which takes 1 to 1 and -1 to -1 (appendix A)."""
    return 1.7159 * torch.tanh(a * (2 / 3))


class ConvTanh(Conv):
    """`Conv` and the squashing in one stage."""

    kind = "conv + tanh"

    def forward(self, input: Tensor) -> Tensor:
        """Convolve and squash [n c h w]."""
        return squash(super().forward(input))


class TableConv(nn.Module):
    """A convolution whose maps each see some of the maps below, and the squashing.

    [n 6 h w] -> [n 16 h-4 w-4]. Only the links of the table have weights: 60 kernels of 5 x 5.

    Attributes:
        weight: [links 5 5], map by map in the order of the table.
        bias: [maps].
        places: buffer, int64 [links]: where each kernel stands in a full weight of [maps * maps below].
    """

    kind = "table + tanh"
    places: Tensor

    def __init__(self, c_in: int, table: tuple[tuple[int, ...], ...], kernel: int):
        super().__init__()
        self.c_in, self.table, self.kernel = c_in, table, kernel
        self.weight = nn.Parameter(torch.empty(sum(map(len, table)), kernel, kernel))
        self.bias = nn.Parameter(torch.empty(len(table)))
        self.register_buffer("places", self.links())

    def links(self) -> Tensor:
        """What `places` holds."""
        return torch.tensor([to * self.c_in + below for to, seen in enumerate(self.table) for below in seen])

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and squash [n c h w]."""
        # One dense convolution with zeros for the missing links: many times as fast as sixteen small ones.
        dense = self.weight.new_zeros(len(self.table) * self.c_in, self.kernel, self.kernel)
        dense = dense.index_put((self.places,), self.weight)
        return squash(functional.conv2d(x, dense.view(len(self.table), self.c_in, self.kernel, self.kernel), self.bias))

    def windows(self) -> list[tuple[int, int]]:
        """Kernel and stride."""
        return [(self.kernel, 1)]

    def multiply_adds(self, y: Tensor) -> int:
        """Of one image, for an output of the shape of `y`; missing links cost nothing."""
        return self.weight.numel() * y.shape[2:].numel()


class SubSampling(nn.Module):
    """The sum of each 2 x 2 square, times a coefficient, plus a bias, squashed; both are trained, one each a map.

    [n c h w] -> [n c h/2 w/2].
    """

    kind = "sub-sampling"

    def __init__(self, maps: int):
        super().__init__()
        self.coefficient = nn.Parameter(torch.empty(maps))
        self.bias = nn.Parameter(torch.empty(maps))

    def forward(self, x: Tensor) -> Tensor:
        """Sub-sample [n c h w]."""
        total = 4 * functional.avg_pool2d(x, 2)
        return squash(total * self.coefficient[:, None, None] + self.bias[:, None, None])

    def windows(self) -> list[tuple[int, int]]:
        """Kernel and stride."""
        return [(2, 2)]


class MeanPool(nn.Module):
    """The mean of each 2 x 2 square: [n c h w] -> [n c h/2 w/2]."""

    kind = "average pool"

    def forward(self, x: Tensor) -> Tensor:
        """Pool [n c h w]."""
        return functional.avg_pool2d(x, 2)

    def windows(self) -> list[tuple[int, int]]:
        """Kernel and stride."""
        return [(2, 2)]


class FullyConnectedTanh(FullyConnected):
    """`FullyConnected` and the squashing in one stage."""

    kind = "linear + tanh"

    def forward(self, input: Tensor) -> Tensor:
        """Connect and squash."""
        return squash(super().forward(input))


class Nearness(nn.Module):
    """Minus the squared distance to each drawing: [n 84] -> [n classes], [n 84 H W] -> [n classes H W].

    The paper's output units, Euclidean radial basis functions, give the penalties y_i = sum_j (x_j - w_ij)^2; the
    smallest wins. These are scores, the largest wins: -y_i.

    Attributes:
        bitmaps: buffer, [classes 84], +1 and -1, not trained.
    """

    kind = "RBF"
    bitmaps: Tensor

    def __init__(self, classes: int):
        super().__init__()
        self.register_buffer("bitmaps", bitmaps(classes))

    def forward(self, x: Tensor) -> Tensor:
        """Compare [n 84 ...] with every drawing."""
        drawn = self.bitmaps.view(*self.bitmaps.shape, *[1] * (x.dim() - 2))
        return -(x.unsqueeze(1) - drawn).square().sum(2)


class LeNet5(GreyClassifier):
    """LeNet-5 with the paper's output and one of its two losses.

    Attributes:
        criterion: "discriminative" for loss (9), "squared" for loss (8).
    """

    criterion: Criterion = "discriminative"

    @property
    def fresh(self) -> set[str]:
        """Also f6: it learned to draw the characters of the old classes."""
        return {"f6", *super().fresh}

    def scores_and_loss(
        self, images: Tensor, labels: Tensor, class_weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores, float32 [n classes], which are minus the penalties, and the terms of the loss.

        "penalty": the right class's y, the whole of loss (8). "competition", of loss (9) only:
        log(exp(-j) + sum_i exp(-y_i)), over all classes: it pushes the others' penalties up, as far as about j.
        It can be negative; their sum cannot.
        """
        scores = wide(self(images))
        each = {"penalty": -scores.gather(1, labels[:, None]).squeeze(1)}
        if self.criterion == "discriminative":
            rubbish = scores.new_full((len(scores), 1), -RUBBISH)
            each["competition"] = torch.cat([scores, rubbish], 1).logsumexp(1)
        weights = 1 if class_weights is None else class_weights.to(scores)[labels]
        return scores, {name: (weights * values).mean() for name, values in each.items()}


CRITERIA: dict[str, Criterion] = {"lenet5": "discriminative", "lenet5_mse": "squared"}


def build_lenet5(name: str, classes: int = 10, size: int | None = None, start: Start = "paper") -> Classifier:
    """Build `lenet5`, `lenet5_mse` or `lenet5_softmax` with fresh weights, drawn from torch's global generator.

    Args:
        name: one of these.
        classes: number of scores, at least 2; at most 36 where they are compared with drawings.
        size: side of the input in pixels, at least 32; the scores of a larger one are averaged over its positions.
        start: see `initialise`.

    Raises:
        InputError: an unknown start, too few or too many classes, or too small a size.
    """
    size = SIZE if size is None else size
    checked(name, classes, start, size, SIZE)
    if name in CRITERIA:
        if classes > len(CHARACTERS):
            raise InputError(
                f"{name} has drawings for {len(CHARACTERS)} classes and {classes} came: take lenet5_softmax instead"
            )
        net = LeNet5(name, _stages(classes), size, SIZE, classes, classifier_stage="output")
        net.criterion = CRITERIA[name]
        _count_connections(net)
    else:
        net = GreyClassifier(name, _softmax_stages(classes), size, SIZE, classes, classifier_stage="output")
    net.set_preprocessing(torch.full((3,), MEAN), SCALE)
    initialise(net, start)
    return net


def _stages(classes: int) -> dict[str, nn.Module]:
    return {
        "c1": ConvTanh(1, 6, 5),
        "s2": SubSampling(6),
        "c3": TableConv(6, TABLE, 5),
        "s4": SubSampling(16),
        "c5": ConvTanh(16, 120, 5),
        "f6": FullyConnectedTanh((120, 1, 1), WIDTH * HEIGHT),
        "output": Nearness(classes),
    }


def _softmax_stages(classes: int) -> dict[str, nn.Module]:
    return {
        "c1": ConvTanh(1, 6, 5),
        "s2": MeanPool(),
        "c3": ConvTanh(6, 16, 5),
        "s4": MeanPool(),
        "c5": ConvTanh(16, 120, 5),
        "f6": FullyConnectedTanh((120, 1, 1), WIDTH * HEIGHT),
        "output": FullyConnected((WIDTH * HEIGHT, 1, 1), classes),
    }


def _count_connections(net: Classifier) -> None:
    """Give each stage the paper's column of connections, at the size it was built for.

    A unit of a sub-sampling has five: four pixels and the bias. The drawings have no bias.
    """
    with torch.no_grad():
        x = net.preprocess(torch.zeros(1, 3, net.size, net.size))
        for stage in net.stages.values():
            x = stage(x)
            if isinstance(stage, SubSampling):
                count = 5 * x.numel()
            elif isinstance(stage, Nearness):
                count = stage.bitmaps.numel() * x[0, 0].numel()
            else:
                count = sum(p.numel() for p in stage.parameters()) * x[0, 0].numel()
            stage.in_paper = {"connections": f"{count:,}"}  # type: ignore[assignment]


@torch.no_grad()
def initialise(net: Classifier, start: Start) -> None:
    """Draw weights.

    "paper": weights and biases uniform within 2.4 / fan-in on both sides, the fan-in that of each unit: 25 in c1;
    75, 100 or 150 in c3; 4 in the sub-samplings (appendix A). "he": what He's start is to ReLU, for units that
    squash: normal with variance 1 / fan-in, biases 0, coefficients of the sub-samplings 0.5.
    """
    for stage in net.stages.values():
        if isinstance(stage, TableConv):
            fans = [stage.kernel**2 * len(seen) for seen in stage.table]
            _draw(stage.weight, [fan for fan, seen in zip(fans, stage.table, strict=True) for _ in seen], start)
            _draw_bias(stage.bias, fans, start)
        elif isinstance(stage, SubSampling):
            if start == "he":
                stage.coefficient.fill_(0.5)
            else:
                _draw(stage.coefficient, [4], start)
            _draw_bias(stage.bias, [4], start)
        elif isinstance(stage, Conv | FullyConnected):
            assert stage.bias is not None
            fan = stage.weight[0].numel()
            _draw(stage.weight, [fan], start)
            _draw_bias(stage.bias, [fan], start)


def _draw(values: Tensor, fans: list[int], start: Start) -> None:
    """Fill [units ...] with numbers as large as the fan-in of each unit, or of all, allows."""
    fan = torch.tensor(fans, dtype=values.dtype).view(-1, *[1] * (values.dim() - 1))
    if start == "he":
        values.normal_().div_(fan.sqrt())
    else:
        values.uniform_(-2.4, 2.4).div_(fan)


def _draw_bias(bias: Tensor, fans: list[int], start: Start) -> None:
    if start == "he":
        bias.zero_()
    else:
        _draw(bias, fans, start)
