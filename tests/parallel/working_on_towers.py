"""What the processes of test_towers.py do."""

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch

from alexnet import processes
from alexnet.errors import InputError
from alexnet.models import Classifier, begin_step
from alexnet.models.alexnet import VARIANTS, build_variant
from alexnet.models.vgg import Variant
from alexnet.models.vgg import build_variant as build_vgg
from alexnet.parallel import traffic
from alexnet.parallel.data_parallel import DataParallel
from alexnet.parallel.divided import velocity_of, whole_of
from alexnet.parallel.scheme import Scheme
from alexnet.parallel.split_fully_connected import SplitFullyConnected
from alexnet.parallel.towers import Towers

SEED = 5
NARROW: dict[str, Any] = {"widths": (8, 12, 20, 16, 8), "hidden": (20, 12)}
KINDS: dict[str, type[Scheme]] = {"towers": Towers, "split": SplitFullyConnected, "data": DataParallel}
BATCH = 8


def whole_net(name: str, classes: int, frozen: tuple[str, ...] = (), **changes: Any) -> Classifier:
    """The same net in every process, in float64, with weights large enough for every gradient to count."""
    torch.manual_seed(SEED)
    net = build_variant(replace(VARIANTS[name], **(NARROW | changes)), classes, 67, start="he")
    for stage in net.stages.values():
        if isinstance(stage, torch.nn.Linear | torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(stage.weight)
            torch.nn.init.normal_(stage.bias, 0, 0.1)
    for stage in frozen:
        net.stages[stage].requires_grad_(False)
    net.set_preprocessing(torch.tensor([120.0, 110.0, 100.0]), 60.0)
    return net.double()


def optimiser_of(net: Classifier) -> torch.optim.SGD:
    groups = [
        {"params": [p for name, p in net.named_parameters() if name.endswith("bias") is bias and p.requires_grad]}
        | {"weight_decay": 0.0 if bias else 5e-4, "bias": bias}
        for bias in (False, True)
    ]
    return torch.optim.SGD(groups, lr=0.01, momentum=0.9, fused=True)


def scheme_of(kind: str, net: Classifier) -> Any:
    return KINDS[kind](net, optimiser_of(net))


def batch_of(net: Classifier, n: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(100 + step)
    images = torch.rand(n, 3, net.size, net.size, generator=drawn, dtype=torch.float64) * 255
    return images.to(next(net.parameters()).dtype), torch.randint(net.classes, (n,), generator=drawn)


def gradients(scheme: Scheme, n: int, step: int = 0, micro_batch: int | None = None) -> torch.Tensor:
    """A step's gradients, as the training loop takes them; this process's share of loss and wrong answers."""
    images, labels = batch_of(scheme.net, n, step)
    own = scheme.own_rows(n)
    images, labels = images[own], labels[own]
    weights = torch.linspace(0.5, 1.5, scheme.net.classes, dtype=torch.float64)
    seen = torch.zeros(2, dtype=torch.float64)
    parts = scheme.parts(n, micro_batch)
    for part in range(parts):
        rows = processes.own_rows(len(labels), part, parts)
        dropped = scheme.dropped_rows(slice(own.start + rows.start, own.start + rows.stop))
        begin_step(scheme.own_net, SEED, step, dropped, n)
        waits: AbstractContextManager[None] = scheme.keep_gradients() if part < parts - 1 else nullcontext()
        with waits:
            wrong, terms = scheme.forward(images[rows], labels[rows], weights)
            loss = torch.stack(list(terms.values())).sum() * ((rows.stop - rows.start) / n)
            (loss * scheme.loss_factor).backward()
        seen += torch.stack([loss.detach().double(), wrong.double()])
    return seen


def take_steps(scheme: Scheme, first: int, last: int, micro_batch: int | None = None) -> None:
    """Steps, with a drop of the rate before the third."""
    for step in range(first, last):
        for group in scheme.own_optimiser.param_groups:
            group["lr"] = (0.01 if step < 2 else 0.001) * (2 if group["bias"] else 1)
        gradients(scheme, BATCH, step, micro_batch)
        scheme.own_optimiser.step()
        scheme.own_optimiser.zero_grad(set_to_none=True)


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference, relative to the largest number."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-300))


def beside_one_process(kind: str, n: int, *net: Any, **changes: Any) -> dict[str, float]:
    """How far loss, count of wrong answers and each gradient are from those of one process with the whole net."""
    whole = whole_net(*net, **changes)
    alone = Scheme(whole, optimiser_of(whole))
    loss, wrong = gradients(alone, n).tolist()
    theirs = {name: weights.grad.clone() for name, weights in whole.named_parameters() if weights.grad is not None}
    whole.zero_grad(set_to_none=True)
    shared = scheme_of(kind, whole)
    shared.spread()
    ours = (processes.total(gradients(shared, n)) / shared.copies).tolist()
    far = {"loss": abs(ours[0] / loss - 1), "wrong": abs(ours[1] - wrong)}
    for (name, itself), (_, own) in zip(whole.named_parameters(), shared.pairs):
        if name not in theirs:
            assert own.grad is None, name
            continue
        assert theirs[name].abs().max() > 0, name
        found = own.grad if own is itself else whole_of(own.grad, shared.mesh, len(itself))
        far[name] = apart(found, theirs[name])
    return far


def state_of(scheme: Scheme) -> dict[str, torch.Tensor]:
    """Weights, velocities and rates of the whole, by name."""
    held = {name: weights.detach().clone() for name, weights in scheme.net.named_parameters()}
    for name, weights in scheme.net.named_parameters():
        if weights in scheme.optimiser.state:
            held[f"velocity of {name}"] = scheme.optimiser.state[weights]["momentum_buffer"].clone()
    rates = [float(group["lr"]) for group in scheme.optimiser.param_groups]
    return held | {"rates": torch.tensor(rates, dtype=torch.float64)}


def taken_up(kind: str, scheme: Scheme, *net: Any, **changes: Any) -> Any:
    """Another scheme, as after a restart: built as at the beginning, the state of the first loaded, then spread."""
    other = whole_net(*net, **changes)
    optimiser = optimiser_of(other)
    other.load_state_dict(scheme.net.state_dict())
    optimiser.load_state_dict(deepcopy(scheme.optimiser.state_dict()))
    made = Scheme(other, optimiser) if kind == "alone" else KINDS[kind](other, optimiser)
    made.spread()
    return made


def compared(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    assert list(ours) == list(theirs), "they do not hold the same"
    return max(apart(ours[name], theirs[name]) for name in theirs)


def stepping(kind: str, micro_batch: int | None, *net: Any, **changes: Any) -> dict[str, Any]:
    """Three steps of a scheme beside one process: undisturbed, taken up after two by another kind, and back."""
    whole = whole_net(*net, **changes)
    alone = Scheme(whole, optimiser_of(whole))
    take_steps(alone, 0, 2)
    after_two = state_of(alone)
    there = taken_up(kind, alone, *net, **changes)
    take_steps(alone, 2, 3)
    shared = scheme_of(kind, whole_net(*net, **changes))
    shared.spread()
    take_steps(shared, 0, 2, micro_batch)
    shared.collect()
    told: dict[str, Any] = {"after two": compared(state_of(shared), after_two)}
    back, again = taken_up("alone", shared, *net, **changes), taken_up(kind, shared, *net, **changes)
    for other, name in ((there, "there"), (back, "back"), (again, "again"), (shared, "after three")):
        take_steps(other, 2, 3, micro_batch if other is not back else None)
        other.collect()
        told[name] = compared(state_of(other), state_of(alone))
    told["to the bit"] = all(torch.equal(ours, state_of(shared)[name]) for name, ours in state_of(again).items())
    told["moved"] = compared({name: after_two[name] for name in after_two}, state_of(alone))
    part = shared.mesh.get_local_rank()
    held = [(own.detach(), len(whole) - part * len(own)) for whole, own in shared.pairs if own is not whole]
    told["padding"] = [float(own[count:].abs().sum()) for own, count in held if count < len(own)]
    return told


def bytes_beside_arithmetic(kind: str, net: Classifier, bfloat16: bool = False) -> tuple[float, float, str]:
    """Bytes of a real step, those by arithmetic, and the line that is printed."""
    count = processes.size()
    of_kind = {"data": "data-parallel", "split": "fully-connected split"}
    of_kind["towers"] = "two towers" if count == 2 else f"{count // 2} x two towers"
    expected = {row.scheme: row for row in traffic.table(net, BATCH, count, 2 if bfloat16 else None)}[of_kind[kind]]
    scheme = scheme_of(kind, net)
    scheme.spread()
    micro_batch = None if kind == "split" else 3
    with traffic.Counted() as counted, torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        gradients(scheme, BATCH, 0, micro_batch)
    assert expected.processes == count
    return counted.bytes, expected.bytes, traffic.in_words(counted, net, count)


def refused(kind: str) -> str:
    """What is said to somebody who wants micro-batches."""
    scheme = scheme_of(kind, whole_net("alexnet", 3))
    try:
        scheme.parts(BATCH, 1)
    except InputError as error:
        return str(error)
    return ""


def in_channels_last(kind: str) -> list[bool]:
    """Whether a process's weights and velocities, spread from a state, keep the whole's order in memory; and back."""
    scheme = scheme_of(kind, whole_net("alexnet", 3).to(memory_format=torch.channels_last))
    scheme.spread()
    take_steps(scheme, 0, 1)
    scheme.collect()
    scheme.spread()
    ours, theirs = scheme.own_net.stages["conv3"].weight, scheme.net.stages["conv3"].weight
    held = [ours, theirs, velocity_of(scheme.own_optimiser, ours), velocity_of(scheme.optimiser, theirs)]
    return [x.is_contiguous(memory_format=torch.channels_last) for x in held]


def of_two() -> dict[str, Any]:
    printed = {"widths": VARIANTS["alexnet"].widths, "hidden": VARIANTS["alexnet"].hidden}
    in_float = whole_net("alexnet", 3).float()
    return {
        "gradients": {
            "alexnet": beside_one_process("towers", 5, "alexnet", 3),
            "alexnet, 1000 classes": beside_one_process("towers", 5, "alexnet", 1000),
            "alexnet_2012": beside_one_process("towers", 5, "alexnet_2012", 3),
            "alexnet_2012, 1000 classes": beside_one_process("towers", 5, "alexnet_2012", 1000),
            "printed widths": beside_one_process("towers", 2, "alexnet", 3, **printed),
            "frozen conv1 and fc7": beside_one_process("towers", 5, "alexnet", 3, ("conv1", "fc7")),
            "split": beside_one_process("split", 8, "alexnet", 3),
            "split, one column": beside_one_process("split", 8, "alexnet_2014", 1000),
            "split, frozen convolutions": beside_one_process(
                "split", 8, "alexnet", 3, ("conv1", "conv2", "conv3", "conv4", "conv5")
            ),
        },
        "steps": {
            "towers": stepping("towers", 3, "alexnet", 3),
            "towers, frozen conv1": stepping("towers", None, "alexnet_2012", 4, ("conv1",)),
            "split": stepping("split", None, "alexnet", 3),
        },
        "bytes": {
            "towers": bytes_beside_arithmetic("towers", whole_net("alexnet", 3)),
            "towers in bfloat16": bytes_beside_arithmetic("towers", in_float, bfloat16=True),
            "towers, frozen beginning": bytes_beside_arithmetic(
                "towers", whole_net("alexnet_2012", 4, ("conv1", "conv2", "conv3"))
            ),
            "data-parallel": bytes_beside_arithmetic("data", whole_net("alexnet", 3)),
        },
        "channels last": in_channels_last("towers"),
        "refused": refused("split"),
    }


def of_four() -> dict[str, Any]:
    with_batch_norm = build_vgg(Variant("small", "A", norm=True, widths=(4, 4, 4, 4, 4), hidden=12), 3, 32).double()
    return {
        "gradients": {
            "2 x 2": beside_one_process("towers", 5, "alexnet", 3),
            "2 x 2, alexnet_2012": beside_one_process("towers", 5, "alexnet_2012", 1000),
            "split": beside_one_process("split", 8, "alexnet", 3),
        },
        "steps": {
            "2 x 2": stepping("towers", 3, "alexnet", 3),
            "split": stepping("split", None, "alexnet_2012", 3),
        },
        "bytes": {
            "2 x 2": bytes_beside_arithmetic("towers", whole_net("alexnet", 3)),
            "split": bytes_beside_arithmetic("split", whole_net("alexnet", 3)),
            "split, batch norm": bytes_beside_arithmetic("split", with_batch_norm),
            "data-parallel, batch norm": bytes_beside_arithmetic("data", with_batch_norm),
        },
    }
