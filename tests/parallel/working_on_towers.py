"""What the processes of test_towers.py and test_split_fully_connected.py do."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch

from alexnet import processes
from alexnet.models import Classifier, begin_step
from alexnet.models.alexnet import VARIANTS, build_variant
from alexnet.parallel.divided import Divided, whole_of
from alexnet.parallel.scheme import Scheme
from alexnet.parallel.split_fully_connected import SplitFullyConnected
from alexnet.parallel.towers import Towers

SEED = 5
NARROW: dict[str, Any] = {"widths": (8, 12, 20, 16, 8), "hidden": (20, 12)}


def whole_net(name: str, classes: int, size: int = 67, **changes: Any) -> Classifier:
    """The same net in every process, in float64, with weights large enough for every gradient to count."""
    torch.manual_seed(SEED)
    net = build_variant(replace(VARIANTS[name], **(changes or NARROW)), classes, size, start="he")
    torch.nn.init.kaiming_normal_(net.fc8.weight)
    for stage in net.stages.values():
        if getattr(stage, "bias", None) is not None:
            stage.bias.data.normal_(0, 0.1)
    net.set_preprocessing(torch.tensor([120.0, 110.0, 100.0]), 60.0)
    return net.double()


def optimiser_of(net: Classifier, momentum: float = 0.9) -> torch.optim.SGD:
    groups = [
        {"params": [p for name, p in net.named_parameters() if name.endswith("bias") is bias and p.requires_grad]}
        | {"weight_decay": 0.0 if bias else 5e-4, "bias": bias}
        for bias in (False, True)
    ]
    return torch.optim.SGD(groups, lr=0.01, momentum=momentum, fused=True)


def batch_of(net: Classifier, n: int, step: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(100 + step)
    images = torch.rand(n, 3, net.size, net.size, generator=drawn, dtype=torch.float64) * 255
    return images, torch.randint(net.classes, (n,), generator=drawn)


def gradients(scheme: Scheme, n: int, step: int = 0, micro_batch: int | None = None) -> tuple[float, float]:
    """One step's gradients, as the training loop takes them; loss and wrong answers of the whole batch."""
    images, labels = batch_of(scheme.net, n, step)
    own = scheme.own_rows(n)
    images, labels = images[own], labels[own]
    parts = scheme.parts(n, micro_batch)
    seen = torch.zeros(2, dtype=torch.float64)
    weights = torch.linspace(0.5, 1.5, scheme.net.classes, dtype=torch.float64)
    for part in range(parts):
        rows = processes.own_rows(len(labels), part, parts)
        share = (rows.stop - rows.start) / n
        dropped = scheme.dropped_rows(slice(own.start + rows.start, own.start + rows.stop))
        begin_step(scheme.own_net, SEED, step, dropped, n)
        with scheme.keep_gradients() if part < parts - 1 else nullcontext():
            wrong, terms = scheme.forward(images[rows], labels[rows], weights)
            loss = torch.stack(list(terms.values())).sum() * share
            (loss * scheme.loss_factor).backward()
        seen += torch.stack([loss.detach(), wrong.double()])
    seen = processes.total(seen) if type(scheme) is not Scheme else seen
    return float(seen[0]) / scheme.copies, float(seen[1]) / scheme.copies


def steps(scheme: Scheme, n: int, first: int, last: int, micro_batch: int | None = None) -> None:
    """Steps with a drop of the rate before the third."""
    for step in range(first, last):
        for group in scheme.own_optimiser.param_groups:
            group["lr"] = 0.01 if step < 2 else 0.001
        gradients(scheme, n, step, micro_batch)
        scheme.own_optimiser.step()
        scheme.own_optimiser.zero_grad(set_to_none=True)


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference, relative to the largest number."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-300))


def make(kind: str, net: Classifier) -> Divided:
    if kind == "split":
        return SplitFullyConnected(net, optimiser_of(net))
    return Towers(net, optimiser_of(net), processes.size() // 2)


def gradients_beside_one_process(kind: str, n: int, *net: Any, **changes: Any) -> dict[str, float]:
    """How far loss, wrong answers and each gradient are from those of one process with the whole net."""
    whole = whole_net(*net, **changes)
    alone = Scheme(whole, optimiser_of(whole))
    expected = gradients(alone, n)
    shared = make(kind, whole_net(*net, **changes))
    shared.spread()
    found = gradients(shared, n)
    far = {"loss": abs(found[0] / expected[0] - 1), "wrong": abs(found[1] - expected[1])}
    for (name, theirs), (itself, ours) in zip(alone.net.named_parameters(), shared.pairs):
        assert theirs.grad is not None
        assert ours.grad is not None
        assert theirs.grad.abs().max() > 0, name
        ours = ours.grad if ours is itself else whole_of(ours.grad, shared.mesh, len(theirs))
        far[name] = apart(ours, theirs.grad)
    return far


def both_nets(kind: str, n: int) -> list[dict[str, float]]:
    return [
        gradients_beside_one_process(kind, n, name, classes)
        for name, classes in (("alexnet", 3), ("alexnet", 1000), ("alexnet_2012", 3))
    ]
