"""What a built net is like, in words, read off its stages: the facts that `compare` puts side by side.

Nothing here knows a net by its name. What only AlexNets have is read off their row in `alexnet.VARIANTS`.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, TypeVar

from torch import nn

from alexnet.models.alexnet import Variant, padding_of_conv1
from alexnet.models.blocks import ConvNorm, FullyConnected, MaxPool, WindowAverage
from alexnet.models.classifier import Classifier
from alexnet.models.dropout import Dropout
from alexnet.models.googlenet import Inception
from alexnet.models.grey import GreyClassifier
from alexnet.models.lenet import ConvTanh, LeNet5, MeanPool, SubSampling
from alexnet.models.lrn import LRN
from alexnet.models.residual import Bottleneck, Residual, ZeroMaps
from alexnet.models.summary import summary

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
Kind = TypeVar("Kind", bound=nn.Module)
_STEPS = {"relu": "ReLU", "norm": "LRN", "spatial": "spatial norm", "pool": "pool"}


def anatomy(net: Classifier) -> dict[str, str]:
    """The facts of any net, by topic.

    Args:
        net: as it is built by its name; one of shapes alone (on torch's meta device) will do.
    """
    counts = summary(net)
    rows = {row["name"]: row for row in counts["layers"]}
    weighted = {name: row for name, row in rows.items() if row["parameters"] and name != net.classifier_stage}
    maps = {name: row for name, row in weighted.items() if row["multiply_adds"] and len(row["output"]) == 3}
    units = [row["output"][0] for row in weighted.values() if len(row["output"]) == 1]
    return {
        "input": f"{net.size} x {net.size}",
        "reads": "one grey map, the mean of RGB" if isinstance(net, GreyClassifier) else "RGB",
        "smallest input": f"{net.smallest} x {net.smallest}",
        "maps": "-".join(str(row["output"][0]) for row in maps.values()),
        "hidden units": "-".join(map(str, units)) or "none",
        "windows": "-".join(str(_widest(net.stages[name])) for name in maps),
        "strides": _strides(counts["layers"]),
        "sees at the end": _field(counts["layers"]),
        "towers": "1",
        "blocks": _blocks(net),
        "shortcuts": _shortcuts(net),
        "stride within a block": _stride_within(net),
        "activation": "1.7159 tanh(2/3 x)" if any(isinstance(m, ConvTanh) for m in net.modules()) else "ReLU",
        **_response_normalisation(net, rows),
        "batch normalisation": _batch_normalisation(net),
        "pooling": _pooling(net),
        "rounding of pooling": _rounding(net),
        "into the last layers": _into_the_last_layers(net),
        "dropout": _dropout(net),
        "dropout's place": _dropouts_place(net),
        "side classifiers": _sides(net),
        "loss": _loss(net),
        "parameters": f"{counts['parameters']:,}",
        "multiply-adds": f"{counts['multiply_adds']:,}",
    }


def anatomy_of_alexnet(variant: Variant) -> dict[str, str]:
    """The facts that only AlexNets have, or that their row tells more precisely."""
    return {
        "zeros at conv1": _zeros(variant),
        "towers": "1" if variant.towers == 1 else f"{variant.towers}, which meet at conv3 and fc6 to fc8",
        **{f"after conv{i}": ", ".join(_STEPS[step] for step in variant.order[i - 1]) for i in range(1, 6)},
        "spatial normalisation": "5 x 5 in each map of conv2: 4e-05 a square, 0.75"
        if any("spatial" in order for order in variant.order)
        else "none",
        "initial weights": _deviations(variant),
        "initial biases": _biases(variant),
    }


def _of(net: nn.Module, kind: type[Kind]) -> list[Kind]:
    return [module for module in net.modules() if isinstance(module, kind)]


def _widest(stage: nn.Module) -> int:
    """Side of the widest window of a stage's convolutions."""
    sides = [conv.kernel_size[0] for conv in _of(stage, nn.Conv2d)]
    windows: Any = getattr(stage, "windows", list)
    return max(sides or [kernel for kernel, _ in windows()])


def _strides(rows: list[dict[str, Any]]) -> str:
    steps = [("", 1), *((row["name"], row["step"]) for row in rows if row["step"] is not None)]
    return ", ".join(f"{name} {step // before}" for (_, before), (name, step) in pairwise(steps) if step != before)


def _field(rows: list[dict[str, Any]]) -> str:
    """Receptive field of the last stage that has maps to slide over."""
    last = [row for row in rows if len(row["output"]) == 3 and row["receptive_field"] is not None][-1]
    return f"{last['receptive_field']} px, every {last['step']} px"


def _blocks(net: Classifier) -> str:
    residual = _of(net, Residual)
    if residual:
        kind = residual[0].kind.partition(" ")[2]
        return f"{'-'.join(str(len(stage.blocks)) for stage in residual)} {kind}"
    inception = len(_of(net, Inception))
    return f"{inception} inception" if inception else "none"


def _shortcuts(net: Classifier) -> str:
    carried = [block.shortcut for stage in _of(net, Residual) for block in stage.blocks]
    kinds = {"as it is": nn.Identity, "projected": ConvNorm, "with maps of zeros": ZeroMaps}
    counts = {words: sum(isinstance(shortcut, kind) for shortcut in carried) for words, kind in kinds.items()}
    return ", ".join(f"{count} {words}" for words, count in counts.items() if count) or "none"


def _stride_within(net: Classifier) -> str:
    for stage in _of(net, Residual):
        first = stage.blocks[0]
        for layer in first.convolutions:
            if layer.conv.stride[0] > 1:
                side = layer.conv.kernel_size[0]
                only = isinstance(first, Bottleneck) and side == 3
                return f"the {side}x{side}" if only else f"the first {side}x{side}"
    return "none"


def _response_normalisation(net: Classifier, rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    norms = {name: stage for name, stage in net.stages.items() if isinstance(stage, LRN)}
    topics = ("LRN constant k", "LRN factor of a square", "LRN window and power", "LRN maps in reach")
    if not norms:
        return dict.fromkeys(topics, "no LRN")
    norm = next(iter(norms.values()))
    each = norm.alpha if norm.alpha_is == "sum" else norm.alpha / norm.n
    reach = [rows[name]["output"][0] // stage.towers for name, stage in norms.items()]
    values = (f"{norm.k:g}", f"{each:g}", f"{norm.n} maps, {norm.beta:g}", " and ".join(map(str, reach)))
    return dict(zip(topics, values, strict=True))


def _batch_normalisation(net: Classifier) -> str:
    norms = [norm for stage in net.stages.values() for norm in _of(stage, nn.BatchNorm2d)]
    return f"behind each of {len(norms)} convolutions, epsilon {norms[0].eps:g}" if norms else "none"


def _pooling(net: Classifier) -> str:
    """The poolings between stages."""

    def kinds() -> Iterator[str]:
        for stage in net.stages.values():
            if isinstance(stage, MaxPool):
                zeros = f", {stage.padding} at each end" if stage.padding else ""
                yield f"max of {stage.kernel}x{stage.kernel} by {stage.stride}{zeros}"
            if isinstance(stage, SubSampling):
                yield "sum of 2x2 by 2, times and plus what is trained"
            if isinstance(stage, MeanPool):
                yield "mean of 2x2 by 2"

    return "; ".join(dict.fromkeys(kinds())) or "none"


def _rounding(net: Classifier) -> str:
    found = {stage.rounding for stage in net.stages.values() if isinstance(stage, MaxPool)}
    return " and ".join(sorted(found)) or "nothing to round"


def _into_the_last_layers(net: Classifier) -> str:
    for stage in net.stages.values():
        if isinstance(stage, WindowAverage):
            return f"the mean of each map, {stage.side} x {stage.side}"
        if isinstance(stage, nn.AdaptiveAvgPool2d):
            return f"averages of {stage.output_size} x {stage.output_size} areas, at any input size"
        if isinstance(stage, FullyConnected):
            maps, height, width = stage.field
            return f"all {maps} maps of {height} x {width}"
    return "none"


def _dropout(net: Classifier) -> str:
    drops = [stage for stage in net.stages.values() if isinstance(stage, Dropout)]
    if not drops:
        return "none"
    if drops[0].kind == "paper":
        return f"times 0 or 1; at test times {drops[0].keep:g}"
    return f"times 0 or {1 / drops[0].keep:.3g}; at test nothing"


def _dropouts_place(net: Classifier) -> str:
    before = [name for (name, _), (_, stage) in pairwise(net.stages.items()) if isinstance(stage, Dropout)]
    return f"behind {' and '.join(before)}" if before else "none"


def _sides(net: Classifier) -> str:
    said = []
    for side in net.sides.values():
        mean, windows = side.average, "uneven areas"
        if isinstance(mean, nn.AvgPool2d):
            windows = f"{mean.kernel_size} x {mean.kernel_size} by {mean.stride}"
        said.append(f"behind {side.reads}, times {side.weight:g}, on means of {windows}")
    return "; ".join(said) or "none"


def _loss(net: Classifier) -> str:
    if isinstance(net, LeNet5):
        return "loss (9), of all penalties" if net.criterion == "discriminative" else "loss (8), the right class's"
    return "cross-entropy of the softmax"


def _zeros(variant: Variant) -> str:
    before, after = padding_of_conv1(variant, variant.size)
    if variant.conv1_padding == "up":
        after = -(variant.size - 11) % 4
        return f"{before} left and top, {after} right and bottom, by rounding up"
    unused = (variant.size + before + after - 11) % 4
    if before == after == 0:
        return "none"
    rest = f", {unused} of them unused" if unused else ""
    return f"{before} left and top, {after} right and bottom{rest}"


def _deviations(variant: Variant) -> str:
    if variant.deviations is None:
        return "uniform within 1 / sqrt(fan-in)"
    rest = [
        f"{layer} {sd:g}" for layer, sd in zip(LAYERS, variant.deviations, strict=True) if sd != variant.deviations[0]
    ]
    return f"N(0, {variant.deviations[0]:g})" + (f"; {', '.join(rest)}" if rest else "")


def _biases(variant: Variant) -> str:
    if variant.deviations is None:
        return "uniform within 1 / sqrt(fan-in)"
    rest = [f"{layer} {b:g}" for layer, b in zip(LAYERS, variant.biases, strict=True) if b]
    return "0" + (f"; {', '.join(rest)}" if rest else "")
