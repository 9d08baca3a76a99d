"""The schemes by name, and the choice of one."""

from typing import Literal

import torch

from alexnet import processes
from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.parallel.scheme import Scheme

Layout = Literal["data", "towers", "split"]
"""Rows of a batch; the two towers, and rows; fully-connected layers, and rows of what comes before them."""


def make_scheme(net: Classifier, optimiser: torch.optim.SGD, layout: Layout) -> Scheme:
    """Give what shares a training step among the processes that were joined.

    Args:
        net: whole, on this process's device.
        optimiser: over its parameters.
        layout: how the work is shared; a single process takes all of it.

    Raises:
        InputError: a layout that this net, or this number of processes, cannot have.
    """
    refuse(net, layout)
    if processes.size() == 1:
        return Scheme(net, optimiser)
    # Each brings parts of torch that a single process need not load.
    if layout == "towers":
        from alexnet.parallel.towers import Towers

        return Towers(net, optimiser, processes.size() // 2)
    if layout == "split":
        from alexnet.parallel.split_fully_connected import SplitFullyConnected

        return SplitFullyConnected(net, optimiser)
    from alexnet.parallel.data_parallel import DataParallel

    return DataParallel(net, optimiser)


def refuse(net: Classifier, layout: Layout) -> None:
    """Raise an `InputError` where the processes that were joined cannot share the work so."""
    count = processes.size()
    if layout == "towers" and count % 2:
        raise InputError(f"two towers want two processes each, {count} came: give --devices 2, or another even number")
    if layout == "split" and count == 1:
        raise InputError("fully-connected layers are split among processes, one came: give --devices 2 or more")
