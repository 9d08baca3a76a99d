"""A net as layers that know their inputs: what our nets and foreign files are both brought to.

Only what decides the numbers is kept: convolutions with their batch normalisation, fully-connected layers, ReLU,
pooling, averages, response normalisation, sums and concatenations.
"""

import operator
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from alexnet.models import Classifier, Dropout
from alexnet.models.blocks import Conv, ConvNorm, ConvReLU, FullyConnected, FullyConnectedReLU, MaxPool, WindowAverage
from alexnet.models.lrn import LRN

Fact = int | float | str | tuple[int, ...]


@dataclass
class Layer:
    """One layer.

    Attributes:
        name: of the module, or of the node in a file.
        kind: "input", "conv", "linear", "relu", "pool", "average", "lrn", "add" or "concat".
        maps: it gives.
        side: of its maps in pixels; 1 behind an average and in fully-connected layers.
        inputs: the layers it reads, in order.
        facts: what else decides its numbers, by name.
        shape: of the weights, of a convolution or fully-connected layer.
        tensors: weight and bias, and norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps.
        norm: whether a convolution has batch normalisation behind it.
    """

    name: str
    kind: str
    maps: int
    side: int
    inputs: list["Layer"] = field(default_factory=list)
    facts: dict[str, Fact] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    tensors: dict[str, Tensor] = field(default_factory=dict)
    norm: bool = False


class CannotRead(Exception):
    """A net holds something that has no counterpart here."""


class _Tracer(fx.Tracer):
    LEAVES = (ConvNorm, Conv, FullyConnected, MaxPool, WindowAverage, LRN, Dropout)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self.LEAVES) or super().is_leaf_module(m, module_qualified_name)


def layers_of(net: Classifier) -> Layer:
    """The last layer of one of our nets, for its own size; the others hang on it.

    Raises:
        CannotRead: it holds something that has no counterpart here.
    """
    row = nn.Sequential(OrderedDict(net.stages))
    try:
        graph = _Tracer().trace(row)
    except Exception as error:  # whatever a net does that cannot be traced
        raise CannotRead(f"{net.name} cannot be read: {error}") from None
    made: dict[fx.Node, Layer] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            made[node] = Layer("the input", "input", 3, net.size)
        elif node.op == "call_module":
            before = made[node.args[0]]  # type: ignore[index]
            made[node] = _of_module(str(node.target), row.get_submodule(str(node.target)), before)
        elif node.op in ("call_function", "call_method"):
            made[node] = _of_function(node, made)
        elif node.op == "output":
            return made[node.args[0]]  # type: ignore[index]
    raise CannotRead(f"{net.name} has no output")


def _of_module(name: str, module: nn.Module, before: Layer) -> Layer:
    if isinstance(module, ConvNorm):
        conv = _conv(f"{name}.conv", module.conv, before)
        conv.norm = True
        return _relu(name, conv) if module.relu else conv
    if isinstance(module, Conv):
        conv = _conv(name, module, before)
        return _relu(name, conv) if isinstance(module, ConvReLU) else conv
    if isinstance(module, FullyConnected):
        c, h, w = module.field
        if (before.maps, before.side, before.side) != (c, h, w):
            raise CannotRead(f"{name} takes {module.field}, {before.name} gives {before.maps} maps of {before.side}")
        linear = Layer(name, "linear", module.out_features, 1, [before], shape=tuple(module.weight.shape))
        return _relu(name, linear) if isinstance(module, FullyConnectedReLU) else linear
    if isinstance(module, MaxPool):
        facts: dict[str, Fact] = {"window": module.kernel, "stride": module.stride, "padding before": module.padding}
        return Layer(name, "pool", before.maps, module.output_side(before.side, name), [before], facts)
    if isinstance(module, WindowAverage):
        return Layer(name, "average", before.maps, 1, [before], {"window": module.side})
    if isinstance(module, LRN):
        alpha = module.alpha * (module.n if module.alpha_is == "sum" else 1)
        return lrn(name, before, module.n, alpha, module.beta, module.k, module.towers)
    if isinstance(module, nn.ReLU):
        return _relu(name, before)
    if isinstance(module, Dropout | nn.Dropout | nn.Identity):
        return before
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size == before.side:
        return before  # as many windows as pixels
    raise CannotRead(f"{name} is a {type(module).__name__}, which has no counterpart")


def _of_function(node: fx.Node, made: dict[fx.Node, Layer]) -> Layer:
    name = node.name
    arguments: list[Any] = list(node.args)
    if node.target in (torch.cat, torch.concat):
        return joined(name, [made[part] for part in arguments[0]])
    if node.target in (operator.add, operator.iadd, torch.add, "add", "add_"):
        return added(name, [made[part] for part in arguments[:2]])
    if node.target in (functional.relu, torch.relu, "relu", "relu_"):
        return _relu(name, made[arguments[0]])
    raise CannotRead(f"{name} calls {node.target}, which has no counterpart")


def _conv(name: str, conv: Conv, before: Layer) -> Layer:
    facts: dict[str, Fact] = {"stride": conv.stride[0], "padding before": conv.ends[0], "towers": conv.groups}
    side = conv.output_side(before.side, name)
    return Layer(name, "conv", conv.out_channels, side, [before], facts, tuple(conv.weight.shape))


def _relu(name: str, before: Layer) -> Layer:
    return Layer(f"{name}'s ReLU", "relu", before.maps, before.side, [before])


def lrn(name: str, before: Layer, n: int, alpha: float, beta: float, k: float, towers: int = 1) -> Layer:
    """Response normalisation across maps; `alpha` multiplies the mean of the squares."""
    facts: dict[str, Fact] = {"maps in the window": n, "alpha": alpha, "beta": beta, "k": k, "towers": towers}
    return Layer(name, "lrn", before.maps, before.side, [before], facts)


def added(name: str, parts: list[Layer]) -> Layer:
    """The sum of layers of one shape."""
    return Layer(name, "add", parts[0].maps, parts[0].side, parts)


def joined(name: str, parts: list[Layer]) -> Layer:
    """The maps of several layers behind each other."""
    return Layer(name, "concat", sum(part.maps for part in parts), parts[0].side, parts)


def in_order(last: Layer) -> list[Layer]:
    """All layers, each behind what it reads."""
    found: dict[int, Layer] = {}
    waiting = [(last, False)]
    while waiting:
        layer, ready = waiting.pop()
        if id(layer) in found:
            continue
        if ready:
            found[id(layer)] = layer
        else:
            waiting += [(layer, True), *((before, False) for before in reversed(layer.inputs))]
    return list(found.values())
