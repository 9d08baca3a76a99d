"""Data-parallel training: every process holds the whole net, and puts its own rows of each batch through it.

The same batch gives the weights of one process: losses are means over the whole batch, dropout is drawn for the whole
batch, and batch norm takes its statistics from the whole batch. torch's DistributedDataParallel averages gradients
while `backward` is still at work.
"""

import inspect
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from alexnet import processes
from alexnet.models import Classifier
from alexnet.parallel.scheme import Scheme


class DataParallel(Scheme):
    """Each of all processes takes its rows of a batch."""

    def __init__(self, net: Classifier, optimiser: torch.optim.SGD):
        super().__init__(net, optimiser)
        self.replica, self.replicas = processes.rank(), processes.size()
        self.loss_factor = float(self.replicas)  # DDP takes the mean over the processes, and theirs are shares of one
        share_batch_norm(net)
        self.averaged = averaged(WrongAndLoss(net))

    def spread(self) -> None:
        """Nothing is to be filled; the first exchange settles how gradients will lie in DDP's buckets."""
        settle(self.averaged, self.net)

    def forward(
        self, images: Tensor, labels: Tensor, class_weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As `Scheme`, with gradients averaged over the processes in `backward`."""
        return self.averaged(images, labels, class_weights)

    def keep_gradients(self) -> AbstractContextManager[None]:
        """As `Scheme`."""
        return self.averaged.no_sync()


class WrongAndLoss(nn.Module):
    """Wrong answers and loss terms as the forward pass of a module, which is what DDP wraps."""

    def __init__(self, net: Classifier):
        super().__init__()
        self.net = net

    def forward(
        self, images: Tensor, labels: Tensor, class_weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As `Scheme.forward`."""
        scores, terms = self.net.scores_and_loss(images, labels, class_weights)
        return (scores.detach().argmax(1) != labels).sum(), terms


def averaged(module: nn.Module, group: dist.ProcessGroup | None = None) -> DistributedDataParallel:
    """A module whose gradients `backward` averages over a group of processes (all of them by default).

    Buffers are not broadcast: they are equal, since all statistics are of the whole batch.
    """
    known = inspect.signature(DistributedDataParallel).parameters
    told = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # before torch 2.15
    left: dict[str, Any] = {told: False}
    return DistributedDataParallel(module, process_group=group, gradient_as_bucket_view=True, **left)


def settle(module: nn.Module, net: Classifier) -> None:
    """Put two empty images through a module that `averaged` gave, and forget all that came of it.

    DDP orders its buckets anew after its first step, by when gradients were ready, and the order in which numbers of
    more than two processes are added goes by their place in a bucket. After this every step has the last order, also
    the first one of a run that is resumed, which then gives the bits of a run that was never stopped.
    """
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    training, device = net.training, next(net.parameters()).device
    net.train()
    images = torch.zeros(2, 3, net.size, net.size, device=device, dtype=next(net.parameters()).dtype)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        _, terms = module(images, torch.zeros(2, dtype=torch.int64, device=device))
        torch.stack(list(terms.values())).sum().backward()
    net.zero_grad(set_to_none=True)
    for name, buffer in net.named_buffers():
        buffer.copy_(before[name])
    net.train(training)


def share_batch_norm(net: nn.Module) -> None:
    """Let every batch norm of a net take its statistics from the rows of all processes."""
    for module in net.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by the mean and variance over the rows of all processes (Ioffe and Szegedy, 2015).

    What one process computes of the whole batch, but for rounding. In evaluation, and where the module is frozen,
    it is torch's own. Statistics are float32 or finer whatever comes in.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise [n c h w], map by map."""
        if not self.training or processes.size() == 1:
            return super().forward(input)
        x = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        own = torch.tensor([x.numel() / x.shape[1]], dtype=x.dtype, device=x.device)
        sums = Total.apply(torch.cat([x.sum((0, 2, 3)), own]))
        count = sums[-1].detach()
        centred = x - (sums[:-1] / count)[:, None, None]
        variance = Total.apply((centred * centred).sum((0, 2, 3))) / count
        y = centred * (torch.rsqrt(variance + self.eps) * self.weight)[:, None, None] + self.bias[:, None, None]
        with torch.no_grad():
            means, unbiased = sums[:-1] / count, variance * (count / (count - 1))
            for running, seen in ((self.running_mean, means), (self.running_var, unbiased)):
                if running is not None:
                    running.lerp_(seen.to(running), self.momentum or 0.0)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        return y.to(input.dtype)


class Total(torch.autograd.Function):
    """The sum over all processes; each one's gradient is then the sum of all processes' gradients of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Sum."""
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        """Sum the gradients."""
        grad = grad.clone()
        dist.all_reduce(grad)
        return grad
