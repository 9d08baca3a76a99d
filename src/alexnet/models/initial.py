"""How fresh nets are made and how their weights start."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from alexnet.errors import InputError
from alexnet.models.blocks import Conv, FullyConnected
from alexnet.models.classifier import Classifier

Start = Literal["paper", "he"]


def checked(name: str, classes: int, start: str, size: int, smallest: int) -> None:
    """Refuse what no net can be built from.

    Raises:
        InputError: an unknown start, fewer than two classes, or a size under the smallest.
    """
    if start not in ("paper", "he"):
        raise InputError(f"there is no start {start!r}; choose 'paper' or 'he'")
    if classes < 2:
        raise InputError(f"{name}: {classes} classes came; a classifier needs at least 2")
    if size < smallest:
        raise InputError(f"{name} cannot be built for {size} x {size} pixels: the smallest size is {smallest}")


def made_empty(make: Callable[[], Classifier]) -> Classifier:
    """Make a net without drawing weights, which the caller sets: its layers' own would be drawn for nothing.

    It subtracts 0 and divides by 1, and its batch normalisations start as they should. Other constants that a net
    holds as buffers are the caller's affair too.
    """
    device = torch.get_default_device()
    with torch.device("meta"):
        net = make()
    net.to_empty(device=device)
    net.set_preprocessing(torch.zeros(3), 1.0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # weight 1, bias 0; mean 0 and variance 1 until images came through
    return net


@torch.no_grad()
def he(net: Classifier) -> None:
    """Draw normal weights with variance 2 / fan-in (He and others, 2015) and set all biases to 0.

    The last layer, and that of each side classifier, gets a deviation of 0.01: the first scores are small and the
    first loss is about ln(classes).
    """
    if net.mean.is_meta:
        return  # shapes alone: there is nothing to draw, and torch takes seconds over it in the deep nets
    last = {id(net.stages[net.classifier_stage]), *(id(side.last) for side in net.sides.values())}
    for layer in net.modules():
        if isinstance(layer, Conv | FullyConnected):
            if id(layer) in last:
                layer.weight.normal_(0, 0.01)
            else:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                layer.bias.zero_()
