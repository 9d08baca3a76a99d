"""The table of a net's stages: outputs, parameters, multiply-adds, and how far each unit sees.

Counting rule: a convolution takes kernel^2 * (maps in / groups) multiply-adds for every element of its
output, positions over padding included; a fully-connected layer inputs * outputs. Biases, normalisation,
pooling and the softmax count nothing. A receptive field is the side in pixels of the square of the input
that one unit depends on, the padding's zeros included; a step is the distance in pixels between two
neighbours.
"""

from collections.abc import Callable
from typing import Any

import torch
from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table
from torch import Tensor, nn
from torch.func import functional_call

from alexnet.models.blocks import Conv, ConvReLU, FullyConnected, FullyConnectedReLU, MaxPool, WindowAverage
from alexnet.models.classifier import Classifier
from alexnet.models.dropout import Dropout
from alexnet.models.lrn import LRN, SpatialNorm

KINDS: dict[type[nn.Module], str] = {
    Conv: "conv",
    ConvReLU: "conv + ReLU",
    FullyConnected: "linear",
    FullyConnectedReLU: "linear + ReLU",
    LRN: "response norm",
    SpatialNorm: "spatial norm",
    MaxPool: "max pool",
    nn.AdaptiveAvgPool2d: "average pool",
    WindowAverage: "average pool",
    nn.ReLU: "ReLU",
    Dropout: "dropout",
}


def layer_table(net: Classifier, size: int | None = None) -> list[dict[str, Any]]:
    """One row for each stage, found by sending the shape of an image through the net, without its weights.

    Args:
        net: the net, on any device.
        size: side of the image in pixels; by default the net's own. On larger images the fully-connected
            stages have maps.

    Returns:
        Rows of "name"; "kind"; "output": [c, h, w] or [units]; "parameters"; "multiply_adds";
        "receptive_field" and "step" in pixels, None behind an average pooling with uneven windows; "in_paper",
        where a stage has it: further columns, as the paper's own table heads and fills them.

    Raises:
        InputError: a size that the net does not take.
    """
    side = net.size if size is None else size
    image = torch.empty(1, 3, side, side, device="meta", dtype=net.mean.dtype)
    net.check(image)
    x, sees, step = torch.empty_like(_preprocessed(net, image), device="meta"), 1, 1
    even = True
    rows = []
    for name, stage in net.stages.items():
        y, multiply_adds = _output(stage, x)
        windows = _windows(stage, x)
        even = even and windows is not None
        for kernel, stride in windows or []:
            sees, step = sees + (kernel - 1) * step, step * stride
        row = {
            "name": name,
            "kind": KINDS.get(type(stage)) or getattr(stage, "kind", type(stage).__name__),
            "output": list(y.shape[1:]),
            "parameters": sum(p.numel() for p in stage.parameters()),
            "multiply_adds": multiply_adds,
            "receptive_field": sees if even else None,
            "step": step if even else None,
        }
        rows.append(row | ({"in_paper": stage.in_paper} if hasattr(stage, "in_paper") else {}))
        x = y
    return rows


def summary(net: Classifier, size: int | None = None) -> dict[str, Any]:
    """`layer_table` as "layers", with the totals "parameters", "multiply_adds" and "activations".

    Activations are the outputs of the stages that have weights: in AlexNet the paper's neurons. Of a stage of several
    layers, such as an inception block, the layers inside are not counted. "beside" has the parameters of
    each side classifier, which the totals leave out: they are gone at test.
    """
    layers = layer_table(net, size)
    weighted = [row for row in layers if row["parameters"]]
    return {
        "model": net.name,
        "size": net.size if size is None else size,
        "classes": net.classes,
        "layers": layers,
        "parameters": sum(row["parameters"] for row in layers),
        "multiply_adds": sum(row["multiply_adds"] for row in layers),
        "activations": sum(torch.Size(row["output"]).numel() for row in weighted),
        "beside": {name: sum(p.numel() for p in side.parameters()) for name, side in net.sides.items()},
    }


def summary_for_terminal(document: dict[str, Any]) -> Group:
    """The document that `summary` gives as a table of 80 columns; below "output" stand the activations.

    Where stages have columns of their paper's own table, a second table has these.
    """
    side, classes = document["size"], document["classes"]
    table = _table(f"{document['model']}, {side} × {side} pixels, {classes} classes")
    table.show_footer = True
    table.add_column("stage", footer="total", no_wrap=True)
    table.add_column("kind")
    right = {"justify": "right", "no_wrap": True}
    table.add_column("output", footer=f"{document['activations']:,}", **right)
    table.add_column("parameters", footer=f"{document['parameters']:,}", **right)
    table.add_column("mult-adds", footer=f"{document['multiply_adds']:,}", **right)
    table.add_column("sees", footer="px", **right)
    table.add_column("step", footer="px", **right)
    for row in document["layers"]:
        table.add_row(
            row["name"],
            row["kind"],
            _size(row["output"]),
            f"{row['parameters']:,}" if row["parameters"] else "",
            f"{row['multiply_adds']:,}" if row["multiply_adds"] else "",
            _or_dash(row["receptive_field"]),
            _or_dash(row["step"]),
        )
    if document["beside"]:
        beside = ", ".join(f"{name} {count:,}" for name, count in document["beside"].items())
        table.caption = f"beside it in training: {beside} parameters"
    columns = list(dict.fromkeys(key for row in document["layers"] for key in row.get("in_paper", {})))
    return Group(table, _in_paper(document, columns)) if columns else Group(table)


def _in_paper(document: dict[str, Any], columns: list[str]) -> Table:
    table = _table("as the paper's table has it")
    table.add_column("stage", no_wrap=True)
    table.add_column("output", justify="right", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    for row in document["layers"]:
        if "in_paper" in row:
            table.add_row(row["name"], _size(row["output"]), *(row["in_paper"].get(column, "") for column in columns))
    return table


def _table(title: str) -> Table:
    return Table(title=title, box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))


def _size(output: list[int]) -> str:
    return "×".join(f"{n}" for n in output)


def _preprocessed(net: Classifier, image: Tensor) -> Tensor:
    """What reaches the first stage, for its shape: a net may read colours as grey."""
    return net.preprocess(torch.zeros(1, *image.shape[1:], device=net.mean.device, dtype=net.mean.dtype))


def _output(stage: nn.Module, x: Tensor) -> tuple[Tensor, int]:
    """Output of a stage as a shape without numbers, and the multiply-adds of all layers inside it."""
    if isinstance(stage, Dropout):
        return x, 0
    tensors = [*stage.named_parameters(), *stage.named_buffers()]
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    counted: list[int] = []

    def count(layer: nn.Module, _: object, y: Tensor) -> None:
        own: Callable[[Tensor], int] | None = getattr(layer, "multiply_adds", None)
        if own is not None:  # a layer that lacks some of the weights of a dense one
            counted.append(own(y))
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            counted.append(layer.weight[0].numel() * y.shape[1:].numel())

    hooks = [m.register_forward_hook(count) for m in stage.modules()]
    training = stage.training
    try:
        with torch.no_grad():
            return functional_call(stage.eval(), shapes, (x,)), sum(counted)
    finally:
        stage.train(training)
        for hook in hooks:
            hook.remove()


def _windows(stage: nn.Module, x: Tensor) -> list[tuple[int, int]] | None:
    """Kernels and strides of a stage over [n c h w], or None where they differ from place to place."""
    if isinstance(stage, Conv):
        return [(stage.kernel_size[0], stage.stride[0])]
    if isinstance(stage, MaxPool):
        return [(stage.kernel, stage.stride)]
    if isinstance(stage, SpatialNorm):
        return [(stage.n, 1)]
    if isinstance(stage, FullyConnected):
        return [(stage.field[1], 1)]
    if isinstance(stage, WindowAverage):
        return [(stage.side, 1)]
    if isinstance(stage, nn.AdaptiveAvgPool2d):
        side, out = x.shape[2], stage.output_size
        assert isinstance(out, int)
        return [(side // out, side // out)] if side % out == 0 else None
    declared: list[tuple[int, int]] = stage.windows() if hasattr(stage, "windows") else []  # type: ignore[operator]
    return declared


def _or_dash(value: int | None) -> str:
    return "–" if value is None else f"{value}"
