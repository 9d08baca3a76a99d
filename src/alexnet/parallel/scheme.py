"""How processes share the work of a training step; this one: a single process does all of it.

Every scheme keeps in every process the whole net and its optimiser, as one process has them: they are what is saved,
measured and loaded, so that a run can go on with any number of processes. What the steps work on is the process's own
net. Where that is a part of the whole, `spread` fills the part from the whole and `collect` the whole from the parts.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from alexnet import processes
from alexnet.models import Classifier


class Scheme:
    """A single process: its own net is the whole net.

    Attributes:
        net, optimiser: the whole, in one-process form, in every process.
        own_net: what this process's steps work on.
        own_optimiser: over the parameters of `own_net`, its groups those of `optimiser`, one for one.
        loss_factor: what a loss, a mean over the whole batch's rows that this process sees, is multiplied by before
            `backward`, so that the gradients which the update finds are those of one process.
        copies: how many processes see the same rows, so that sums over all processes count them so often.
        replica, replicas: which of so many equal parts of a batch's rows are this process's.
        can_be_compiled: whether forward pass and loss of `own_net` can be.
    """

    loss_factor = 1.0
    copies = 1
    replica, replicas = 0, 1
    can_be_compiled = True

    def __init__(self, net: Classifier, optimiser: torch.optim.SGD):
        self.net, self.optimiser = net, optimiser
        self.own_net: Classifier = net
        self.own_optimiser = optimiser

    def own_rows(self, n: int) -> slice:
        """Which rows of a batch of `n` this process reads and puts through its net; at least one."""
        return processes.own_rows(n, self.replica, self.replicas)

    def parts(self, n: int, micro_batch: int | None) -> int:
        """In how many parts this process's rows of a batch of `n` go through its net: in all processes as many."""
        longest = -(-n // self.replicas)
        return -(-longest // (micro_batch or longest))

    def dropped_rows(self, rows: slice) -> slice:
        """Which rows of the whole batch the dropouts see when `rows` of it go through this process's net."""
        return rows

    def forward(
        self, images: Tensor, labels: Tensor, class_weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """How many answers were wrong (a count on the device) and the loss terms, each a mean over the rows given."""
        scores, terms = self.own_net.scores_and_loss(images, labels, class_weights)
        return (scores.detach().argmax(1) != labels).sum(), terms

    def keep_gradients(self) -> AbstractContextManager[None]:
        """Within it, `backward` adds up gradients in this process alone: all micro-batches of a step but its last."""
        return nullcontext()

    def spread(self) -> None:
        """Fill this process's net and velocities from the whole."""

    def collect(self) -> None:
        """Fill the whole net, its velocities and rates from the processes' own; called by all of them."""
