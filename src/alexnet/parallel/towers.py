"""The paper's own scheme: each of two devices holds one tower, and several such pairs share the rows of a batch.

Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks" (2012), section 3.2
and 3.5. A process has half of the maps of conv1 to conv5 and half of the units of fc6, fc7 and fc8. Its outputs
meet the other's before conv3, fc6, fc7 and fc8, and the scores meet before the loss, since the softmax sees all
classes. Both compute that loss, so it counts half in each: what comes back through a meeting is the sum of both.

Departure: fc8 is divided even where the number of classes is odd; the second half has then a row of zeros more,
whose score nobody sees and which stays zero.
"""

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from alexnet import processes
from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.models.blocks import Conv, FullyConnected, MaxPool
from alexnet.models.dropout import Dropout
from alexnet.models.lrn import LRN, SpatialNorm
from alexnet.parallel.data_parallel import WrongAndLoss, averaged, settle
from alexnet.parallel.divided import Divided, Meeting, part_of

TOWERS = 2


class Towers(Divided):
    """Processes 0 and 1 hold the towers of the first replica, 2 and 3 those of the second, and so on.

    The towers of a replica take the same rows of a batch; gradients are averaged over the replicas.

    Args:
        net, optimiser: the whole, on this process's device, in the order in memory that the tower shall have.

    Raises:
        InputError: another net than one of two towers that see each other in conv3 and the fully-connected layers
            only; an odd number of processes.
    """

    copies = TOWERS
    can_be_compiled = False

    def __init__(self, net: Classifier, optimiser: torch.optim.SGD):
        refuse_others(net)
        refuse_odd(processes.size())
        device = next(net.parameters()).device.type
        replicas = processes.size() // TOWERS
        mesh = init_device_mesh(device, (replicas, TOWERS), mesh_dim_names=("replica", "tower"))
        super().__init__(net, optimiser, one_tower(net, mesh["tower"]), mesh["tower"])
        self.replica, self.replicas = mesh.get_local_rank("replica"), replicas
        self.loss_factor = replicas / TOWERS  # DDP takes the mean over the replicas, whose losses are shares of one
        self.module: nn.Module = WrongAndLoss(self.own_net)
        if replicas > 1:
            self.module = self.averaged = averaged(self.module, mesh["replica"].get_group())

    def spread(self) -> None:
        """As `Scheme`."""
        super().spread()
        if self.averaged is not None:
            settle(self.averaged, self.own_net)

    def forward(
        self, images: torch.Tensor, labels: torch.Tensor, class_weights: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """As `Scheme`."""
        return self.module(images, labels, class_weights)


def one_tower(net: Classifier, mesh: DeviceMesh) -> Classifier:
    """This process's tower of a net, with its weights; the stages have the whole net's names, with meetings between.

    Args:
        net: the whole; stages without weights are its own.
        mesh: the two towers.
    """
    tower = mesh.get_local_rank()
    stages: dict[str, nn.Module] = {}
    with torch.device("meta"):
        for name, stage in net.stages.items():
            if isinstance(stage, Conv):
                sees_all = stage.groups == 1
                if sees_all and stages:
                    stages[f"all_before_{name}"] = Meeting(mesh, stage.in_channels)
                c_in, c_out = stage.in_channels // stage.groups, stage.out_channels // TOWERS
                kernel, stride = stage.kernel_size[0], stage.stride[0]
                stages[name] = type(stage)(c_in, c_out, kernel, stride, stage.ends, stage.rounding)
            elif isinstance(stage, FullyConnected):
                stages[f"all_before_{name}"] = Meeting(mesh, stage.field[0])
                stages[name] = type(stage)(stage.field, -(-stage.out_features // TOWERS))
            elif isinstance(stage, LRN):
                norm = LRN(stage.n, stage.k, stage.alpha, stage.beta, stage.alpha_is)
                norm.implementation = stage.implementation
                stages[name] = norm
            elif isinstance(stage, Dropout):
                stages[name] = Dropout(stage.keep, stage.kind, (tower, TOWERS))
            else:
                stages[name] = stage
        stages["all_scores"] = Meeting(mesh, net.classes)
        own = Classifier(net.name, stages, net.size, net.smallest, net.classes)
    parts = {name: part_of(weights.detach(), mesh).clone() for name, weights in net.named_parameters()}
    own.load_state_dict(parts | {"mean": net.mean, "scale": net.scale}, assign=True)
    return own


def refuse_others(net: Classifier) -> None:
    """Raise an `InputError` for a net that is not of two towers."""
    if reason := _misfit(net):
        raise InputError(
            f"{net.name} cannot be divided between two devices, {reason}: take --model alexnet or alexnet_2012, "
            "or leave --towers out"
        )


def refuse_odd(count: int) -> None:
    """Raise an `InputError` for a number of processes that cannot be pairs."""
    if count % TOWERS:
        raise InputError(
            f"{count} process{'es' if count > 1 else ''} cannot hold two towers, one each: start an even number, "
            f"--devices {count + 1}, or leave --towers out"
        )


def _misfit(net: Classifier) -> str:
    stages = net.stages
    known = Conv | FullyConnected | LRN | SpatialNorm | MaxPool | nn.ReLU | Dropout
    if not all(isinstance(stage, known) for stage in stages.values()) or type(net) is not Classifier:
        return "it is not built as two towers"
    if not any(isinstance(stage, Conv) and stage.groups == TOWERS for stage in stages.values()):
        return "its convolutions are not in two towers"
    if any(isinstance(stage, LRN) and stage.towers != TOWERS for stage in stages.values()):
        return "its normalisation runs through the maps of both towers"
    for name, stage in stages.items():
        outputs = stage.out_channels if isinstance(stage, Conv) else getattr(stage, "out_features", 0)
        if outputs % TOWERS and name != net.classifier_stage:
            return f"{name} has {outputs} outputs"
    return ""
