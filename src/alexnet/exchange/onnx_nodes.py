"""What each kind of node of an ONNX graph becomes: strides, zeros and rounding as the file has them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.errors import InputError
from alexnet.exchange.layers import Fact, Layer, added, joined, lrn
from alexnet.models.blocks import output_size

Constants = Mapping[str, np.ndarray]


def _conv(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    before, weight = inputs[0], _constant(node, 1, constants)
    side, window = _window(node, before, tuple(weight.shape[2:]))
    facts: dict[str, Fact] = {"stride": window["stride"], "padding before": window["padding before"]}
    facts["towers"] = attributes(node).get("group", 1)
    tensors = {"weight": weight} | ({"bias": _constant(node, 2, constants)} if len(node.input) > 2 else {})
    return Layer(named(node), "conv", weight.shape[0], side, [before], facts, tuple(weight.shape), tensors)


def _batch_normalization(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    conv = inputs[0]
    if conv.kind != "conv" or conv.norm:
        raise InputError(f"{named(node)} normalises what is no convolution, as none of our nets does")
    order = ("weight", "bias", "running_mean", "running_var")
    norm = {f"norm.{name}": _constant(node, i, constants) for i, name in enumerate(order, start=1)}
    norm["norm.eps"] = torch.tensor(attributes(node).get("epsilon", 1e-5))
    return replace(conv, tensors=conv.tensors | norm, norm=True)


def _gemm(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    said = attributes(node)
    if said.get("alpha", 1.0) != 1.0 or said.get("beta", 1.0) != 1.0 or said.get("transA", 0):
        raise InputError(f"{named(node)} scales or turns its input, as none of our nets does")
    weight = _constant(node, 1, constants)
    tensors = {"weight": weight if said.get("transB", 0) else weight.T.contiguous()}
    if len(node.input) > 2:
        tensors["bias"] = _constant(node, 2, constants).reshape(-1)
    return _linear(node, inputs[0], tensors)


def _matmul(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    return _linear(node, inputs[0], {"weight": _constant(node, 1, constants).T.contiguous()})


def _linear(node: Any, before: Layer, tensors: dict[str, Tensor]) -> Layer:
    outputs, inputs = tensors["weight"].shape
    if inputs != before.maps * before.side**2:
        raise InputError(
            f"{named(node)} takes {inputs} numbers, {before.name} gives {before.maps} maps of "
            f"{before.side} x {before.side}: give another --size"
        )
    return Layer(named(node), "linear", outputs, 1, [before], {}, (outputs, inputs), tensors)


def _add(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    if len(inputs) == 2:
        return added(named(node), inputs)
    linear = inputs[0]  # and a constant: its bias, written apart
    if linear.kind != "linear" or "bias" in linear.tensors or len(node.input) != 2:
        raise InputError(f"{named(node)} adds other than two layers, as none of our nets does")
    bias = _constant(node, 0 if node.input[0] in constants else 1, constants)
    return replace(linear, tensors=linear.tensors | {"bias": bias.reshape(-1)})


def _concat(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    if attributes(node).get("axis") not in (1, -3):
        raise InputError(f"{named(node)} joins other than maps, as none of our nets does")
    return joined(named(node), inputs)


def _relu(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    return Layer(named(node), "relu", inputs[0].maps, inputs[0].side, [inputs[0]])


def _lrn(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    said: dict[str, Any] = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0} | attributes(node)
    return lrn(named(node), inputs[0], said["size"], said["alpha"], said["beta"], said["bias"])


def _max_pool(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    side, facts = _window(node, inputs[0])
    return Layer(named(node), "pool", inputs[0].maps, side, [inputs[0]], facts)


def _average_pool(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    before, said = inputs[0], attributes(node)
    side, facts = _window(node, before)
    window = said["kernel_shape"][0]
    if window == 1:
        return before
    zeros_count = said.get("count_include_pad", 0) and sum(said.get("pads", []))
    part = window < before.side  # one that hangs over the edge takes the mean of what is there
    if side != 1 or part or facts["padding before"] or zeros_count:
        raise InputError(
            f"{named(node)} averages {window} x {window} of {before.side} x {before.side} pixels to {side} x {side}; "
            "our nets average whole maps"
        )
    return _global_average(node, inputs, constants)


def _global_average(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    return Layer(named(node), "average", inputs[0].maps, 1, [inputs[0]], {"window": inputs[0].side})


def _reduce_mean(node: Any, inputs: list[Layer], constants: Constants) -> Layer:
    axes = attributes(node).get("axes") or _constant(node, 1, constants).tolist()
    if sorted(axis % 4 for axis in axes) != [2, 3]:
        raise InputError(f"{named(node)} averages over axes {axes}; our nets average whole maps")
    return _global_average(node, inputs, constants)


KINDS: dict[str, Callable[[Any, list[Layer], Constants], Layer]] = {
    "Add": _add,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Concat": _concat,
    "Conv": _conv,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average,
    "LRN": _lrn,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "ReduceMean": _reduce_mean,
    "Relu": _relu,
    "Sum": _add,
}


def _window(node: Any, before: Layer, kernel: tuple[int, ...] = ()) -> tuple[int, dict[str, Fact]]:
    """Side of the output, and what a window does along a side."""
    said = attributes(node)
    kernel = tuple(said.get("kernel_shape", kernel))
    strides, pads = said.get("strides", [1, 1]), said.get("pads", [0, 0, 0, 0])
    automatic = said.get("auto_pad", b"NOTSET").decode()
    if len(set(kernel)) > 1 or len(set(strides)) > 1 or pads[0] != pads[1] or pads[2] != pads[3]:
        raise InputError(f"{named(node)} has a window that is not square, as none of our nets has")
    if set(said.get("dilations", [1])) != {1}:
        raise InputError(f"{named(node)} has a window with holes, as none of our nets has")
    stride, start, end = strides[0], pads[0], pads[2]
    if automatic.startswith("SAME"):
        missing = max(0, (-(-before.side // stride) - 1) * stride + kernel[0] - before.side)
        start = missing // 2 if automatic == "SAME_UPPER" else -(-missing // 2)
        end = missing - start
    rounding = "up" if said.get("ceil_mode", 0) else "down"
    side = output_size(before.side, kernel[0], stride, start + end, rounding, named(node))
    return side, {"window": kernel[0], "stride": stride, "padding before": start}


def _constant(node: Any, i: int, constants: Constants) -> Tensor:
    name = node.input[i]
    if name not in constants:
        raise InputError(f"{name} of {named(node)} is no constant of the file, so it cannot be read")
    return torch.from_numpy(np.array(constants[name]))  # a copy: the file's own memory may not be written to


def named(node: Any) -> str:
    """A node's name, or that of what it makes."""
    return node.name or node.output[0]


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes as plain values."""
    from onnx.helper import get_attribute_value

    return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
