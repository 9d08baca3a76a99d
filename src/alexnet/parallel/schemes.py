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
    # Each brings parts of torch that a single process need not load.
    if layout == "towers":
        from alexnet.parallel.towers import Towers

        return Towers(net, optimiser)
    if layout == "split":
        from alexnet.parallel.split_fully_connected import SplitFullyConnected

        return SplitFullyConnected(net, optimiser)
    if processes.size() == 1:
        return Scheme(net, optimiser)
    from alexnet.parallel.data_parallel import DataParallel

    return DataParallel(net, optimiser)


def refuse(net: Classifier, layout: Layout, n: int) -> None:
    """Raise an `InputError` where the processes that were joined cannot share batches of `n` images so."""
    count = processes.size()
    if layout == "towers":
        from alexnet.parallel.towers import TOWERS, refuse_odd, refuse_others

        refuse_others(net)
        refuse_odd(count)
        count //= TOWERS
    if layout == "split":
        from alexnet.parallel.split_fully_connected import fully_connected_end, refuse_others, refuse_uneven

        if count == 1:
            raise InputError(
                "fully-connected layers are split among processes and there is one: give --devices 2 or more, or leave "
                "--fully_connected out"
            )
        refuse_others(net, fully_connected_end(net), count)
        refuse_uneven(n, count)
    refuse_few(n, count)


def refuse_few(n: int, replicas: int) -> None:
    """Raise an `InputError` for a batch with fewer images than there are processes to share it."""
    if n < replicas:
        raise InputError(
            f"a batch of {n} images cannot be shared by {replicas} processes: raise --optimiser.batch, or lower "
            "--devices"
        )
