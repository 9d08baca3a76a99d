"""Layers divided among processes: each holds some of the outputs, whose weights are rows of the whole layer's.

Where a layer needs all outputs of the one before, they meet: every process's are put side by side. In the backward
pass the gradients that the processes found for all outputs are added, and each gets its own part back.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.nn.parallel import DistributedDataParallel

from alexnet.models import Classifier
from alexnet.parallel.scheme import Scheme


class Meeting(nn.Module):
    """The outputs of all processes of a mesh side by side.

    Args:
        mesh: of one dimension.
        outputs: of all together, without those that only fill up the last process's part; None where all count.
        axis: 1: [n own ...] -> [n outputs ...]; 0: [own rows ...] -> [all rows ...].
    """

    def __init__(self, mesh: DeviceMesh, outputs: int | None = None, axis: int = 1):
        super().__init__()
        self.mesh, self.outputs, self.axis = mesh, outputs, axis

    def forward(self, x: Tensor) -> Tensor:
        """Put side by side; equal shapes in all processes."""
        parts = DTensor.from_local(x, self.mesh, [Shard(self.axis)], run_check=False)
        whole = parts.redistribute(placements=[Replicate()]).to_local(grad_placements=[Partial()])
        if self.outputs is None or self.outputs == whole.shape[self.axis]:
            return whole
        return whole.narrow(self.axis, 0, self.outputs)

    def extra_repr(self) -> str:
        """Say how many meet."""
        return f"processes={self.mesh.size()}, outputs={self.outputs}, axis={self.axis}"


class Divided(Scheme):
    """A scheme whose own net holds rows of some of the whole net's weights; the base of such.

    Args:
        net, optimiser: the whole.
        own_net: its stages have the whole net's names; a parameter that is not the whole net's own is a part of it.
        mesh: the processes that hold the parts, of one dimension.
    """

    averaged: DistributedDataParallel | None = None

    def __init__(self, net: Classifier, optimiser: torch.optim.SGD, own_net: Classifier, mesh: DeviceMesh):
        super().__init__(net, optimiser)
        self.own_net, self.mesh = own_net, mesh
        own = dict(own_net.named_parameters())
        self.pairs = [(whole, own[name]) for name, whole in net.named_parameters()]
        for whole, part in self.pairs:
            part.requires_grad_(whole.requires_grad)
        parts = {id(whole): part for whole, part in self.pairs}
        groups = [
            group | {"params": [parts[id(whole)] for whole in group["params"]]} for group in optimiser.param_groups
        ]
        self.own_optimiser = torch.optim.SGD(groups, **optimiser.defaults)

    def keep_gradients(self) -> AbstractContextManager[None]:
        """As `Scheme`."""
        return self.averaged.no_sync() if self.averaged is not None else nullcontext()

    @torch.no_grad()
    def spread(self) -> None:
        """As `Scheme`; also the rates."""
        self.own_net.set_preprocessing(self.net.mean, self.net.scale)
        take_rates(self.own_optimiser, self.optimiser)
        for whole, part in self.pairs:
            if part is not whole:
                part.copy_(part_of(whole, self.mesh))
            velocity = velocity_of(self.optimiser, whole)
            if velocity is not None and part is not whole:
                velocity = torch.empty_like(part).copy_(part_of(velocity, self.mesh))
            set_velocity(self.own_optimiser, part, velocity)

    @torch.no_grad()
    def collect(self) -> None:
        """As `Scheme`."""
        take_rates(self.optimiser, self.own_optimiser)
        for whole, part in self.pairs:
            if part is not whole:
                whole.copy_(whole_of(part, self.mesh, len(whole)))
            velocity = velocity_of(self.own_optimiser, part)
            if velocity is not None and part is not whole:
                velocity = torch.empty_like(whole).copy_(whole_of(velocity, self.mesh, len(whole)))
            set_velocity(self.optimiser, whole, velocity)


def part_of(whole: Tensor, mesh: DeviceMesh) -> Tensor:
    """The rows of a weight or bias, [rows ...], that are this process's; the last part is filled up with zeros."""
    count = -(-len(whole) // mesh.size())
    first = count * mesh.get_local_rank()
    own = whole[first : first + count]
    return own if len(own) == count else torch.cat([own, own.new_zeros(count - len(own), *whole.shape[1:])])


def whole_of(own: Tensor, mesh: DeviceMesh, count: int) -> Tensor:
    """The first `count` of all processes' rows, in all processes."""
    return DTensor.from_local(own, mesh, [Shard(0)], run_check=False).full_tensor()[:count]


def take_rates(optimiser: torch.optim.SGD, other: torch.optim.SGD) -> None:
    """Set every group's rate to that of the other's group; tensors that hold a rate stay where they are."""
    for group, others in zip(optimiser.param_groups, other.param_groups):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(float(others["lr"]))
        else:
            group["lr"] = float(others["lr"])


def velocity_of(optimiser: torch.optim.SGD, parameter: nn.Parameter) -> Tensor | None:
    """A parameter's velocity, None before its first step and where it is frozen."""
    return optimiser.state.get(parameter, {}).get("momentum_buffer")


def set_velocity(optimiser: torch.optim.SGD, parameter: nn.Parameter, velocity: Tensor | None) -> None:
    """Give a parameter its velocity, or none."""
    if velocity is None:
        optimiser.state.pop(parameter, None)
    else:
        optimiser.state[parameter] = {"momentum_buffer": velocity}
