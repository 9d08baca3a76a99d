"""Bytes that each process exchanges in one step: counted in a real step, and by arithmetic for every scheme.

Both by one convention, that of rings, in which no process sends more than another: of K processes each sends, and
receives as many, in an all-gather of parts of b bytes (K-1) b, in a reduce-scatter of B bytes (K-1)/K B, and in an
all-reduce, which is the one after the other, 2 (K-1)/K B. What is told once at a run's start is left out.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.models.blocks import Conv, FullyConnected
from alexnet.models.summary import layer_table
from alexnet.parallel import split_fully_connected, towers

LABEL = 8  # bytes


@dataclass(frozen=True)
class Exchange:
    """What each process sends in one step, in bytes.

    Attributes:
        scheme: in words.
        processes: how many.
        activations: outputs of layers and, on the way back, their gradients; labels and statistics too.
        gradients: of the weights.
    """

    scheme: str
    processes: int
    activations: float
    gradients: float

    @property
    def bytes(self) -> float:
        """All of it."""
        return self.activations + self.gradients


class Counted(TorchDispatchMode):
    """Within it, what this process's collectives send is counted, torch's own among them.

    Attributes:
        gathered: bytes of all-gathers and reduce-scatters: activations and their gradients.
        reduced: bytes of all-reduces: gradients of the weights, and sums for batch norm.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gathered = self.reduced = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count, and let it do its work."""
        name = func.overloadpacket.__name__
        if func.namespace == "_c10d_functional" and name == "all_gather_into_tensor":
            self.gathered += all_gather(args[0].nbytes, args[1])
        elif func.namespace == "_c10d_functional" and name == "reduce_scatter_tensor":
            self.gathered += reduce_scatter(args[0].nbytes, args[2])
        elif func.namespace == "c10d" and name == "allreduce_":
            group = dist.ProcessGroup.unbox(args[1])
            self.reduced += all_reduce(sum(tensor.nbytes for tensor in args[0]), group.size())
        return func(*args, **(kwargs or {}))

    @property
    def bytes(self) -> float:
        """All of it."""
        return self.gathered + self.reduced


def all_gather(part: float, count: int) -> float:
    """Bytes that each of `count` processes sends where each has a part of so many bytes and all shall have all."""
    return (count - 1) * part


def reduce_scatter(whole: float, count: int) -> float:
    """Bytes that each sends where each has so many bytes and shall have its part of their sum."""
    return (count - 1) / count * whole


def all_reduce(whole: float, count: int) -> float:
    """Bytes that each sends where each has so many bytes and all shall have their sum."""
    return 2 * reduce_scatter(whole, count)


def table(net: Classifier, batch: int, processes: int, width: int | None = None) -> list[Exchange]:
    """What each scheme that suits the net, the batch and the processes would exchange, one process first.

    Args:
        net: the whole, on any device; frozen weights send no gradients.
        batch: images of a step, in all processes together. Where they do not divide, of a process with most rows.
        processes: how many.
        width: bytes of a number of the activations, 2 in bfloat16; by default those of a weight.
    """
    found = [Exchange("one process", 1, 0, 0)]
    if processes == 1:
        return found
    found.append(data_parallel(net, processes))
    for scheme in (two_towers, fully_connected_split):
        try:
            found.append(scheme(net, batch, processes, width))
        except InputError:
            continue  # another net, or a number that it does not suit
    return found


def data_parallel(net: Classifier, processes: int) -> Exchange:
    """Every process has the whole net, and all gradients are averaged."""
    return Exchange("data-parallel", processes, _statistics(net, processes), _gradients(net, processes))


def two_towers(net: Classifier, batch: int, processes: int, width: int | None = None) -> Exchange:
    """Every process has a tower; outputs cross between two, gradients are averaged over the replicas.

    Raises:
        InputError: another net than one of two towers, or an odd number of processes.
    """
    towers.refuse_others(net)
    towers.refuse_odd(processes)
    replicas = processes // towers.TOWERS
    rows, width = -(-batch // replicas), width or _width(net)
    crossing, before, learns = 0.0, 0, False  # the first stage has none before it and sees the image
    outputs = {row["name"]: row["output"] for row in layer_table(net)}
    for name, stage in net.stages.items():
        sees_all = isinstance(stage, FullyConnected) or (isinstance(stage, Conv) and stage.groups == 1)
        if sees_all and before:
            crossing += _meeting(rows * before * width / towers.TOWERS, towers.TOWERS, learns)
        learns = learns or _learns(stage)
        before = torch.Size(outputs[name]).numel()
    crossing += _meeting(rows * -(-net.classes // towers.TOWERS) * width, towers.TOWERS, learns)
    words = "two towers" if replicas == 1 else f"{replicas} x two towers"
    own = sum(_part(p, towers.TOWERS) * p.itemsize for p in net.parameters() if p.requires_grad)
    return Exchange(words, processes, crossing, all_reduce(own, replicas))


def fully_connected_split(net: Classifier, batch: int, processes: int, width: int | None = None) -> Exchange:
    """Convolutions data-parallel, each process with some units of the fully-connected layers.

    Raises:
        InputError: a net, a batch or a number of processes that cannot be split so.
    """
    tail = split_fully_connected.fully_connected_end(net)
    split_fully_connected.refuse_others(net, tail, processes)
    split_fully_connected.refuse_uneven(batch, processes)
    width = width or _width(net)
    outputs = {row["name"]: torch.Size(row["output"]).numel() for row in layer_table(net)}
    names = list(net.stages)
    first = names.index(tail[0])
    convolutions = [net.stages[name] for name in names[:first]]
    learns = any(_learns(stage) for stage in convolutions)
    sent = _meeting(batch // processes * outputs[names[first - 1]] * width, processes, learns)
    for name in tail:
        stage = net.stages[name]
        if isinstance(stage, FullyConnected):
            learns = learns or _learns(stage)
            sent += _meeting(batch * -(-stage.out_features // processes) * width, processes, learns)
    sent += all_gather(batch // processes * LABEL, processes)
    own = nn.ModuleList(convolutions)
    return Exchange("fully-connected split", processes, sent + _statistics(net, processes), _gradients(own, processes))


def in_words(counted: Counted, net: Classifier, processes: int) -> str:
    """One line on a step's traffic, beside what data-parallel training would exchange."""
    beside = data_parallel(net, processes)
    line = f"each process sends and receives {_mb(counted.bytes)} a step"
    if counted.gathered:
        line += f" ({_mb(counted.gathered)} of activations, {_mb(counted.reduced)} of gradients)"
        line += f"; data-parallel would exchange {_mb(beside.bytes)}"
    return line


def _meeting(part: float, count: int, learns: bool) -> float:
    """Forward parts of so many bytes are gathered; back go their gradients, if anything before learns."""
    return all_gather(part, count) + (reduce_scatter(part * count, count) if learns else 0)


def _gradients(net: nn.Module, count: int) -> float:
    return all_reduce(sum(p.nbytes for p in net.parameters() if p.requires_grad), count)


def _statistics(net: nn.Module, count: int) -> float:
    """Sums for batch norm: of every map its sum and its squares, and once the count; forward, and gradients back."""
    norms = [norm for norm in net.modules() if isinstance(norm, nn.BatchNorm2d) and _learns(norm)]  # not the frozen
    return sum(2 * all_reduce((2 * norm.num_features + 1) * norm.weight.itemsize, count) for norm in norms)


def _part(weights: Tensor, parts: int) -> int:
    """Numbers in one process's part of a weight or bias, zeros that fill it up included."""
    return -(-len(weights) // parts) * weights[0].numel()


def _learns(stage: nn.Module) -> bool:
    return any(weights.requires_grad for weights in stage.parameters())


def _width(net: nn.Module) -> int:
    return next(net.parameters()).itemsize


def _mb(count: float) -> str:
    return f"{count / 1e6:.3g} MB"
