"""The table of a net's stages: outputs, parameters, multiply-adds, and how far each unit sees.

Counting rule: a convolution takes kernel^2 * (maps in / groups) multiply-adds for every element of its
output, positions over padding included; a fully-connected layer inputs * outputs. Biases, normalisation,
pooling and the softmax count nothing. A receptive field is the side in pixels of the square of the input
that one unit depends on, the padding's zeros included; a step is the distance in pixels between two
neighbours.
"""

from typing import Any

import torch
from rich.box import SIMPLE
from rich.table import Table
from torch import Tensor, nn
from torch.func import functional_call

from alexnet.models.blocks import Conv, ConvReLU, FullyConnected, FullyConnectedReLU, MaxPool
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
        "receptive_field" and "step" in pixels, None behind an average pooling with uneven windows.

    Raises:
        InputError: a size that the net does not take.
    """
    side = net.size if size is None else size
    image = torch.empty(1, 3, side, side, device="meta", dtype=net.mean.dtype)
    net.check(image)
    x, sees, step = image, 1, 1
    even = True
    rows = []
    for name, stage in net.stages.items():
        y = _output(stage, x)
        window = _window(stage, x)
        if window is None:
            even = False
        else:
            kernel, stride = window
            sees, step = sees + (kernel - 1) * step, step * stride
        rows.append(
            {
                "name": name,
                "kind": KINDS.get(type(stage), type(stage).__name__),
                "output": list(y.shape[1:]),
                "parameters": sum(p.numel() for p in stage.parameters()),
                "multiply_adds": _multiply_adds(stage, y),
                "receptive_field": sees if even else None,
                "step": step if even else None,
            }
        )
        x = y
    return rows


def summary(net: Classifier, size: int | None = None) -> dict[str, Any]:
    """`layer_table` as "layers", with the totals "parameters", "multiply_adds" and "activations".

    Activations are the outputs of the layers that have weights: the paper's neurons.
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
    }


def summary_for_terminal(document: dict[str, Any]) -> Table:
    """The document that `summary` gives, as a table of 80 columns; below "output" stand the activations."""
    side, classes = document["size"], document["classes"]
    table = Table(
        title=f"{document['model']}, {side} × {side} pixels, {classes} classes",
        box=SIMPLE,
        pad_edge=False,
        show_footer=True,
    )
    table.add_column("stage", footer="total")
    table.add_column("kind")
    table.add_column("output", justify="right", footer=f"{document['activations']:,}")
    table.add_column("parameters", justify="right", footer=f"{document['parameters']:,}")
    table.add_column("mult-adds", justify="right", footer=f"{document['multiply_adds']:,}")
    table.add_column("sees", justify="right", footer="px")
    table.add_column("step", justify="right", footer="px")
    for row in document["layers"]:
        table.add_row(
            row["name"],
            row["kind"],
            "×".join(f"{n}" for n in row["output"]),
            f"{row['parameters']:,}" if row["parameters"] else "",
            f"{row['multiply_adds']:,}" if row["multiply_adds"] else "",
            _or_dash(row["receptive_field"]),
            _or_dash(row["step"]),
        )
    return table


def _output(stage: nn.Module, x: Tensor) -> Tensor:
    if isinstance(stage, Dropout):
        return x
    shapes = {name: torch.empty_like(p, device="meta") for name, p in stage.named_parameters()}
    with torch.no_grad():
        return functional_call(stage, shapes, (x,))


def _window(stage: nn.Module, x: Tensor) -> tuple[int, int] | None:
    """Kernel and stride of a stage over [n c h w], or None where they differ from place to place."""
    if isinstance(stage, Conv):
        return stage.kernel_size[0], stage.stride[0]
    if isinstance(stage, MaxPool):
        return stage.kernel, stage.stride
    if isinstance(stage, SpatialNorm):
        return stage.n, 1
    if isinstance(stage, FullyConnected):
        return stage.field[1], 1
    if isinstance(stage, nn.AdaptiveAvgPool2d):
        side, out = x.shape[2], stage.output_size
        assert isinstance(out, int)
        return (side // out, side // out) if side % out == 0 else None
    return 1, 1


def _multiply_adds(stage: nn.Module, y: Tensor) -> int:
    if not isinstance(stage, Conv | FullyConnected):
        return 0
    return stage.weight[0].numel() * y.shape[1:].numel()


def _or_dash(value: int | None) -> str:
    return "–" if value is None else f"{value}"
