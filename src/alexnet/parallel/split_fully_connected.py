"""Convolutions by rows, fully-connected layers by units: the scheme of 2014.

Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014). Convolutions have most of the
work and few weights, so each process puts its rows of the batch through all of them, and gradients are averaged.
Fully-connected layers have most of the weights and little work, so each process holds some of their units and computes
these for the whole batch. Features meet in between, as in the paper's scheme (a): all of the batch at once.

Each process computes the loss of the whole batch, of which the step counts 1 / processes in each; what comes back
through a meeting is the sum over the processes, the gradient of the loss itself. For the convolutions it must be
summed over the processes' rows where DDP takes the mean, so it is multiplied by their number on its way.

Departure: the last layer's units are filled up with rows of zeros where the classes do not divide.
"""

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Shard

from alexnet import processes
from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.models.blocks import FullyConnected
from alexnet.models.classifier import cross_entropy, wide
from alexnet.models.dropout import Dropout
from alexnet.parallel.data_parallel import averaged, settle, share_batch_norm
from alexnet.parallel.divided import Divided, Meeting, part_of

FEATURES = "all_features"


class SplitFullyConnected(Divided):
    """Every process takes its rows through the convolutions, and all rows through its fully-connected units.

    Raises:
        InputError: a net that does not end in several fully-connected layers, or whose units do not divide.
    """

    can_be_compiled = False

    def __init__(self, net: Classifier, optimiser: torch.optim.SGD):
        count = processes.size()
        tail = fully_connected_end(net)
        refuse_others(net, tail, count)
        mesh = init_device_mesh(next(net.parameters()).device.type, (count,), mesh_dim_names=("process",))
        share_batch_norm(net)
        super().__init__(net, optimiser, with_own_units(net, tail, mesh), mesh)
        self.replica, self.replicas = processes.rank(), count
        self.module = _Whole(self.own_net, mesh)
        self.averaged = self.module.averaged

    def own_rows(self, n: int) -> slice:
        """As `Scheme`.

        Raises:
            InputError: a batch that does not divide.
        """
        refuse_uneven(n, self.replicas)
        return super().own_rows(n)

    def parts(self, n: int, micro_batch: int | None) -> int:
        """As `Scheme`; always 1.

        Raises:
            InputError: a micro-batch smaller than a process's rows.
        """
        if super().parts(n, micro_batch) > 1:
            raise InputError(
                f"split fully-connected layers see whole batches, and micro-batches of {micro_batch} were asked for: "
                "leave --optimiser.micro_batch out, or --fully_connected"
            )
        return 1

    def dropped_rows(self, rows: slice) -> slice:
        """All: dropouts stand among the fully-connected layers."""
        n = (rows.stop - rows.start) * self.replicas
        return slice(0, n)

    def spread(self) -> None:
        """As `Scheme`."""
        super().spread()
        settle(self.module, self.own_net)

    def forward(
        self, images: Tensor, labels: Tensor, class_weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As `Scheme`, but the loss terms are means over the whole batch in every process."""
        return self.module(images, labels, class_weights)


class _Convolutions(nn.Module):
    """The stages before the meeting, from images of own rows to their features."""

    def __init__(self, net: Classifier, last: str):
        super().__init__()
        self.stages = nn.ModuleList(list(net.stages.values())[: list(net.stages).index(last) + 1])
        self.preprocess = net.preprocess

    def forward(self, images: Tensor) -> Tensor:
        x = self.preprocess(images)
        for stage in self.stages:
            x = stage(x)
        return x


class _Whole(nn.Module):
    """Wrong answers of own rows, and the loss of the whole batch."""

    def __init__(self, net: Classifier, mesh: DeviceMesh):
        super().__init__()
        self.mesh = mesh
        names = list(net.stages)
        here = names.index(FEATURES)
        convolutions = _Convolutions(net, names[here - 1])
        learns = any(weights.requires_grad for weights in convolutions.parameters())
        self.averaged = averaged(convolutions) if learns else None
        self.convolutions = self.averaged or convolutions
        self.rest = nn.ModuleList(list(net.stages.values())[here:])

    def forward(
        self, images: Tensor, labels: Tensor, class_weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        count, own = self.mesh.size(), processes.own_rows(len(labels) * self.mesh.size())
        x = self.convolutions(images)
        if x.requires_grad:
            x.register_hook(lambda gradient: gradient * count)
        for stage in self.rest:
            x = stage(x)
        scores = wide(x)
        missed = scores[own].detach().argmax(1) != labels
        everybodys = DTensor.from_local(labels, self.mesh, [Shard(0)], run_check=False).full_tensor()
        return missed.sum(), {"cross_entropy": cross_entropy(scores, everybodys, class_weights)}


def with_own_units(net: Classifier, tail: list[str], mesh: DeviceMesh) -> Classifier:
    """A net's own stages, then of those in `tail` this process's units, with the weights of the whole and meetings.

    Args:
        net: the whole.
        tail: names of its last stages, from the first fully-connected one or a dropout before it.
        mesh: all processes.
    """
    part, parts = mesh.get_local_rank(), mesh.size()
    stages: dict[str, nn.Module] = {name: stage for name, stage in net.stages.items() if name not in tail}
    stages[FEATURES] = Meeting(mesh, axis=0)
    inside = False  # behind the first of them, units are divided
    for name in tail:
        stage = net.stages[name]
        if isinstance(stage, FullyConnected):
            if inside:
                stages[f"all_before_{name}"] = Meeting(mesh, stage.field[0])
            with torch.device("meta"):
                stages[name] = type(stage)(stage.field, -(-stage.out_features // parts))
            own = {key: part_of(value.detach(), mesh).clone() for key, value in stage.named_parameters()}
            stages[name].load_state_dict(own, assign=True)
            inside = True
        elif isinstance(stage, Dropout):
            stages[name] = Dropout(stage.keep, stage.kind, units=(part, parts) if inside else (0, 1))
        else:
            stages[name] = stage
    stages["all_scores"] = Meeting(mesh, net.classes)
    return Classifier(net.name, stages, net.size, net.smallest, net.classes, net.any_size)


def fully_connected_end(net: Classifier) -> list[str]:
    """Names of the last stages, from the first fully-connected one or a dropout before it."""
    tail: list[str] = []
    for name, stage in reversed(net.stages.items()):
        if not isinstance(stage, FullyConnected | Dropout | nn.ReLU):
            break
        tail.insert(0, name)
    while tail and isinstance(net.stages[tail[0]], nn.ReLU):
        tail.pop(0)
    return tail


def refuse_others(net: Classifier, tail: list[str], count: int) -> None:
    """Raise an `InputError` for a net whose fully-connected layers cannot be split among so many processes."""
    layers = {name: stage for name in tail if isinstance(stage := net.stages[name], FullyConnected)}
    if len(layers) < 2 or net.sides or type(net) is not Classifier:
        raise InputError(
            f"{net.name} does not end in several fully-connected layers that could be split: take an AlexNet or a VGG, "
            "or leave --fully_connected out"
        )
    for name, layer in layers.items():
        if layer.out_features % count and name != net.classifier_stage:
            raise InputError(
                f"{layer.out_features} units of {name} do not divide among {count} processes: "
                "set --devices to a number that divides them, or leave --fully_connected out"
            )


def refuse_uneven(n: int, count: int) -> None:
    """Raise an `InputError` for a batch of `n` images that does not divide among so many processes."""
    if n % count:
        raise InputError(
            f"a batch of {n} images does not divide among {count} processes, as split fully-connected layers need it: "
            f"set --optimiser.batch to a multiple of {count}, or leave --fully_connected out"
        )
