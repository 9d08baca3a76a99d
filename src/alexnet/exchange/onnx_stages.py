"""Our nets' layers as nodes of an ONNX graph: one function for each kind, all native operators.

A stage's output bears the stage's name, and a constant that of the weight in the net's state, so that whoever opens
the file finds his way by the same names. Sizes are worked out here, where the net's own rounding is known: poolings
and convolutions get explicit zeros, and no runtime's reading of "rounded up" matters.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from alexnet.errors import InputError
from alexnet.exchange.onnx_graph import Graph, Maps
from alexnet.models.blocks import (
    Conv,
    ConvNorm,
    ConvReLU,
    FullyConnected,
    FullyConnectedReLU,
    MaxPool,
    WindowAverage,
)
from alexnet.models.dropout import Dropout
from alexnet.models.googlenet import Inception
from alexnet.models.lenet import (
    ConvTanh,
    FullyConnectedTanh,
    MeanPool,
    Nearness,
    SubSampling,
    TableConv,
)
from alexnet.models.lrn import LRN, SpatialNorm
from alexnet.models.residual import Residual, ZeroMaps


def write_stage(graph: Graph, stage: nn.Module, x: Maps, name: str) -> Maps:
    """Add what a stage does to `x`.

    Args:
        graph: to add to.
        stage: a module of a `Classifier`, in evaluation mode.
        x: its input.
        name: of the stage in the net, which its output gets.

    Raises:
        InputError: a kind of layer that has no ONNX form here.
    """
    write = STAGES.get(type(stage))
    if write is None:
        raise InputError(f"{name} is a {type(stage).__name__}, which has no ONNX form here: use --format torch")
    return write(graph, stage, x, name)


def _conv(graph: Graph, conv: Conv, x: Maps, name: str) -> Maps:
    return _convolved(graph, conv, x, name, name)


def _conv_relu(graph: Graph, conv: Conv, x: Maps, name: str) -> Maps:
    return _relu(graph, None, _convolved(graph, conv, x, f"{name}.sum", name), name)


def _conv_tanh(graph: Graph, conv: Conv, x: Maps, name: str) -> Maps:
    return _squashed(graph, _convolved(graph, conv, x, f"{name}.sum", name), name)


def _convolved(graph: Graph, conv: Conv, x: Maps, name: str, weights: str) -> Maps:
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    before, _ = conv.ends
    side = conv.output_side(x.side)
    after = (side - 1) * stride + kernel - x.side - before  # below 0 where the last pixels are seen by no window
    inputs = [x.name, graph.constant(f"{weights}.weight", conv.weight)]
    if conv.bias is not None:
        inputs.append(graph.constant(f"{weights}.bias", conv.bias))
    window = {
        "kernel_shape": [kernel] * 2,
        "strides": [stride] * 2,
        "pads": [before, before, max(after, 0), max(after, 0)],
    }
    return Maps(graph.node("Conv", inputs, name, group=conv.groups, **window), conv.out_channels, side)


def _conv_norm(graph: Graph, stage: ConvNorm, x: Maps, name: str) -> Maps:
    y = _convolved(graph, stage.conv, x, f"{name}.sum", f"{name}.conv")
    norm = stage.norm
    tensors = {
        "weight": norm.weight,
        "bias": norm.bias,
        "running_mean": norm.running_mean,
        "running_var": norm.running_var,
    }
    inputs = [y.name]
    for key, values in tensors.items():
        assert values is not None
        inputs.append(graph.constant(f"{name}.norm.{key}", values))
    out = f"{name}.norm" if stage.relu else name
    y = Maps(graph.node("BatchNormalization", inputs, out, epsilon=norm.eps), y.maps, y.side)
    return _relu(graph, None, y, name) if stage.relu else y


def _relu(graph: Graph, stage: nn.Module | None, x: Maps, name: str) -> Maps:
    return Maps(graph.node("Relu", [x.name], name), x.maps, x.side)


def _squashed(graph: Graph, x: Maps, name: str) -> Maps:
    """1.7159 tanh(2 x / 3), see `lenet.squash`."""
    inner = graph.node("Mul", [x.name, graph.constant(f"{name}.two_thirds", 2 / 3)], f"{name}.inner")
    outer = [graph.node("Tanh", [inner], f"{name}.tanh"), graph.constant(f"{name}.height", 1.7159)]
    return Maps(graph.node("Mul", outer, name), x.maps, x.side)


def _table_conv(graph: Graph, stage: TableConv, x: Maps, name: str) -> Maps:
    dense = torch.zeros(len(stage.table) * stage.c_in, stage.kernel, stage.kernel)
    dense[stage.places.cpu()] = stage.weight.detach().cpu()  # missing links are zeros
    weight = graph.constant(f"{name}.dense", dense.view(len(stage.table), stage.c_in, stage.kernel, stage.kernel))
    inputs = [x.name, weight, graph.constant(f"{name}.bias", stage.bias)]
    total = graph.node("Conv", inputs, f"{name}.sum", kernel_shape=[stage.kernel] * 2)
    return _squashed(graph, Maps(total, len(stage.table), x.side - stage.kernel + 1), name)


def _sub_sampling(graph: Graph, stage: SubSampling, x: Maps, name: str) -> Maps:
    mean = graph.node("AveragePool", [x.name], f"{name}.mean", kernel_shape=[2, 2], strides=[2, 2])
    four = graph.node("Mul", [mean, graph.constant(f"{name}.four", 4.0)], f"{name}.four_pixels")
    factor = graph.constant(f"{name}.coefficient", stage.coefficient[:, None, None])
    product = graph.node("Mul", [four, factor], f"{name}.product")
    bias = graph.constant(f"{name}.bias", stage.bias[:, None, None])
    return _squashed(graph, Maps(graph.node("Add", [product, bias], f"{name}.sum"), x.maps, x.side // 2), name)


def _mean_pool(graph: Graph, stage: MeanPool, x: Maps, name: str) -> Maps:
    mean = graph.node("AveragePool", [x.name], name, kernel_shape=[2, 2], strides=[2, 2])
    return Maps(mean, x.maps, x.side // 2)


def _max_pool(graph: Graph, stage: MaxPool, x: Maps, name: str) -> Maps:
    side = stage.output_side(x.side)
    after = max(0, (side - 1) * stage.stride + stage.kernel - x.side - stage.padding)
    window = {"kernel_shape": [stage.kernel] * 2, "strides": [stage.stride] * 2}
    pads = [stage.padding] * 2 + [after] * 2  # what is added never wins
    return Maps(graph.node("MaxPool", [x.name], name, pads=pads, **window), x.maps, side)


def _average(graph: Graph, stage: WindowAverage, x: Maps, name: str) -> Maps:
    if x.side == stage.side:
        return averaged(graph, x, name)
    side = x.side - stage.side + 1
    return Maps(graph.node("AveragePool", [x.name], name, kernel_shape=[stage.side] * 2), x.maps, side)


def averaged(graph: Graph, x: Maps, name: str) -> Maps:
    """The mean of each map: [n maps side side] to [n maps]."""
    mean = graph.node("GlobalAveragePool", [x.name], f"{name}.mean")
    return Maps(graph.node("Flatten", [mean], name), x.maps)


def _adaptive_average(graph: Graph, stage: nn.AdaptiveAvgPool2d, x: Maps, name: str) -> Maps:
    """Means over windows that may differ in size: a matrix of shares from the left and from the right."""
    side = stage.output_size
    assert isinstance(side, int)
    if side == x.side:
        return _nothing(graph, stage, x, name)
    shares = np.zeros((side, x.side), np.float32)
    for i in range(side):
        first, end = i * x.side // side, -(-(i + 1) * x.side // side)
        shares[i, first:end] = 1 / (end - first)
    rows = graph.node("MatMul", [graph.constant(f"{name}.rows", shares), x.name], f"{name}.down")
    return Maps(graph.node("MatMul", [rows, graph.constant(f"{name}.columns", shares.T)], name), x.maps, side)


def _lrn(graph: Graph, stage: LRN, x: Maps, name: str) -> Maps:
    """One native node. ONNX's alpha is a mean's, and its window is ours where n is odd."""
    if stage.n % 2 == 0:
        raise InputError(f"{name} has a window of {stage.n} maps, ONNX's are odd: use --format torch")
    alpha = stage.alpha * stage.n if stage.alpha_is == "sum" else stage.alpha
    constants = {"size": stage.n, "bias": stage.k, "alpha": alpha, "beta": stage.beta}
    if stage.towers == 1:
        return Maps(graph.node("LRN", [x.name], name, **constants), x.maps, x.side)
    # The towers become images of their own, so that no window crosses from one to the next.
    apart = graph.constant(f"{name}.towers", np.array([-1, x.maps // stage.towers, x.side, x.side]))
    together = graph.constant(f"{name}.maps", np.array([-1, *x.shape]))
    rows = graph.node("Reshape", [x.name, apart], f"{name}.apart")
    rows = graph.node("LRN", [rows], f"{name}.of_towers", **constants)
    return Maps(graph.node("Reshape", [rows, together], name), x.maps, x.side)


def _spatial_norm(graph: Graph, stage: SpatialNorm, x: Maps, name: str) -> Maps:
    square = graph.node("Mul", [x.name, x.name], f"{name}.square")
    window = {"kernel_shape": [stage.n] * 2, "pads": [stage.n // 2] * 4, "count_include_pad": 1}
    mean = graph.node("AveragePool", [square], f"{name}.mean", **window)
    scaled = graph.node("Mul", [mean, graph.constant(f"{name}.alpha", stage.alpha)], f"{name}.scaled")
    bracket = graph.node("Add", [scaled, graph.constant(f"{name}.one", 1.0)], f"{name}.bracket")
    factor = graph.node("Pow", [bracket, graph.constant(f"{name}.exponent", -stage.beta)], f"{name}.factor")
    return Maps(graph.node("Mul", [x.name, factor], name), x.maps, x.side)


def _dropout(graph: Graph, stage: Dropout, x: Maps, name: str) -> Maps:
    """What it does at test: the paper's halves, the other kind nothing."""
    if stage.kind == "inverted":
        return _nothing(graph, stage, x, name)
    halved = graph.node("Mul", [x.name, graph.constant(f"{name}.keep", stage.keep)], name)
    return Maps(halved, x.maps, x.side)


def _linear(graph: Graph, stage: FullyConnected, x: Maps, name: str) -> Maps:
    return _connected(graph, stage, x, name, name)


def _linear_relu(graph: Graph, stage: FullyConnected, x: Maps, name: str) -> Maps:
    return _relu(graph, None, _connected(graph, stage, x, f"{name}.sum", name), name)


def _linear_tanh(graph: Graph, stage: FullyConnected, x: Maps, name: str) -> Maps:
    return _squashed(graph, _connected(graph, stage, x, f"{name}.sum", name), name)


def _connected(graph: Graph, stage: FullyConnected, x: Maps, name: str, weights: str) -> Maps:
    bias = graph.constant(f"{weights}.bias", stage.bias)
    if x.side and x.shape != stage.field:  # larger maps: the same weights at every position
        kernel = stage.weight.detach().view(-1, *stage.field)
        inputs = [x.name, graph.constant(f"{weights}.weight", kernel), bias]
        y = graph.node("Conv", inputs, name, kernel_shape=list(stage.field[1:]))
        return Maps(y, stage.out_features, x.side - stage.field[1] + 1)
    flat = graph.node("Flatten", [x.name], f"{weights}.flat") if x.side else x.name
    inputs = [flat, graph.constant(f"{weights}.weight", stage.weight), bias]
    return Maps(graph.node("Gemm", inputs, name, transB=1), stage.out_features)


def _nearness(graph: Graph, stage: Nearness, x: Maps, name: str) -> Maps:
    drawn = stage.bitmaps.view(*stage.bitmaps.shape, *[1] * (2 if x.side else 0))
    each = graph.node("Unsqueeze", [x.name, graph.constant(f"{name}.axis", np.array([1]))], f"{name}.each")
    apart = graph.node("Sub", [each, graph.constant(f"{name}.bitmaps", drawn)], f"{name}.apart")
    square = graph.node("Mul", [apart, apart], f"{name}.square")
    units = graph.constant(f"{name}.units", np.array([2]))
    penalty = graph.node("ReduceSum", [square, units], f"{name}.penalty", keepdims=0)
    return Maps(graph.node("Neg", [penalty], name), len(stage.bitmaps), x.side)


def _inception(graph: Graph, block: Inception, x: Maps, name: str) -> Maps:
    def through(y: Maps, *layers: str) -> Maps:
        for layer in layers:
            y = write_stage(graph, block.get_submodule(layer), y, f"{name}.{layer}")
        return y

    branches = [
        through(x, "one"),
        through(x, "three_reduce", "three"),
        through(x, "five_reduce", "five"),
        through(x, "pool", "projection"),
    ]
    joined = graph.node("Concat", [branch.name for branch in branches], name, axis=1)
    return Maps(joined, sum(branch.maps for branch in branches), x.side)


def _residual(graph: Graph, stage: Residual, x: Maps, name: str) -> Maps:
    last = len(stage.blocks)
    for i, block in enumerate(stage.blocks, start=1):
        y = x
        for j, convolution in enumerate(block.convolutions, start=1):
            y = _conv_norm(graph, convolution, y, f"{name}.{i}.conv{j}")
        if block.shortcut is not None:
            beside = write_stage(graph, block.shortcut, x, f"{name}.{i}.shortcut")
            y = Maps(graph.node("Add", [y.name, beside.name], f"{name}.{i}.sum"), y.maps, y.side)
        x = _relu(graph, None, y, name if i == last else f"{name}.{i}")
    return x


def _zero_maps(graph: Graph, stage: ZeroMaps, x: Maps, name: str) -> Maps:
    if stage.stride > 1:
        bounds = {"starts": [0, 0], "ends": [x.side, x.side], "axes": [2, 3], "steps": [stage.stride] * 2}
        inputs = [graph.constant(f"{name}.{key}", np.array(values)) for key, values in bounds.items()]
        side = -(-x.side // stage.stride)
        x = Maps(graph.node("Slice", [x.name, *inputs], f"{name}.pixels"), x.maps, side)
    behind = graph.constant(f"{name}.zeros", np.array([0, 0, 0, 0, 0, stage.added, 0, 0]))
    return Maps(graph.node("Pad", [x.name, behind], name), x.maps + stage.added, x.side)


def _nothing(graph: Graph, stage: nn.Module, x: Maps, name: str) -> Maps:
    return Maps(graph.node("Identity", [x.name], name), x.maps, x.side)


STAGES: dict[type[nn.Module], Callable[[Graph, Any, Maps, str], Maps]] = {
    Conv: _conv,
    ConvNorm: _conv_norm,
    ConvReLU: _conv_relu,
    ConvTanh: _conv_tanh,
    Dropout: _dropout,
    FullyConnected: _linear,
    FullyConnectedReLU: _linear_relu,
    FullyConnectedTanh: _linear_tanh,
    Inception: _inception,
    LRN: _lrn,
    MaxPool: _max_pool,
    MeanPool: _mean_pool,
    Nearness: _nearness,
    Residual: _residual,
    SpatialNorm: _spatial_norm,
    SubSampling: _sub_sampling,
    TableConv: _table_conv,
    WindowAverage: _average,
    ZeroMaps: _zero_maps,
    nn.AdaptiveAvgPool2d: _adaptive_average,
    nn.Identity: _nothing,
    nn.ReLU: _relu,
}
