"""A training step of the paper's AlexNet: forward, loss, backward, update; and where ours spends its time."""

import itertools
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from alexnet.bench.apart import apart
from alexnet.bench.obvious import RATE, PlainAlexNet, training_step
from alexnet.bench.profile import profiled
from alexnet.bench.settings import Settings, finished
from alexnet.bench.timing import compared, take_turns
from alexnet.errors import JobFailed
from alexnet.models import Classifier, build
from alexnet.models.initial import Start
from alexnet.parallel.scheme import Scheme
from alexnet.recipes import load_recipe
from alexnet.training.optimise import make_optimiser, parameter_groups
from alexnet.training.speed import apply, choose
from alexnet.training.step import make_step

CLASSES = 1000
RUN = 90 * 1_281_167  # images in the run that a step is thought to belong to: compiling pays there
PROFILED_STEPS = 2


def measure(settings: Settings, found: dict[str, Any]) -> dict[str, Any]:
    """Steps on the same random images: the obvious net in eager float32, ours in float32 and in bfloat16."""
    images, labels = batch_of(settings)
    ways: dict[str, Callable[[], Any]] = {}
    nets, chosen = {}, {}
    with apart(obvious_step, settings) as obvious:
        ways["obvious"] = obvious
        for precision in ("float32", "bfloat16"):
            name = f"ours, {precision}"
            nets[name] = net_for(settings).to(settings.device)
            ways[name], chosen[name] = our_step(nets[name], settings, precision, images, labels)
        calls = {name: done(way, settings.device) for name, way in ways.items()}
        timings = take_turns(calls, settings.repeats)
        refuse_diverged({name: float(way()) for name, way in ways.items()})
    what = f"batch {settings.batch}, {settings.size}x{settings.size}"
    profiles = {name: profiled(ways[name], net, PROFILED_STEPS) for name, net in nets.items()}
    return {
        "what": "one training step of the paper's AlexNet; obvious: torch's layers, plain SGD, eager float32",
        "rows": [compared(what, timings, settings.batch)],
        "chosen": chosen,
        "profile": profiles,
        "words": [where_the_time_goes(name, profile) for name, profile in profiles.items()],
    }


def net_for(settings: Settings, start: Start = "paper") -> Classifier:
    """The paper's net with fresh weights from the settings' seed, and a mean per channel."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        net = build("alexnet", CLASSES, settings.size, start)
    net.set_preprocessing(torch.tensor([124.0, 116.0, 104.0]), 1.0)
    return net


def batch_of(settings: Settings) -> tuple[Tensor, Tensor]:
    """Random images float32 [n, 3, size, size], 0..255, and labels int64 [n], on the device."""
    chance = torch.Generator().manual_seed(settings.seed)
    images = torch.rand(settings.batch, 3, settings.size, settings.size, generator=chance) * 255
    labels = torch.randint(CLASSES, (settings.batch,), generator=chance)
    return images.to(settings.device), labels.to(settings.device)


def obvious_step(settings: Settings) -> Callable[[], float]:
    """A step of the obvious net on the same images, which gives its loss."""
    step = training_step(PlainAlexNet(net_for(settings)).to(settings.device), *batch_of(settings))
    return lambda: float(step())


def our_step(
    net: Classifier, settings: Settings, precision: str, images: Tensor, labels: Tensor
) -> tuple[Callable[[], Tensor], dict[str, Any]]:
    """Our training step as a long run of the recipe `paper` takes it, and what was chosen for it."""
    paper = load_recipe("paper")
    optimiser_fields = replace(paper.optimiser, rate=RATE, precision=precision, batch=settings.batch)
    recipe = replace(paper, size=settings.size, optimiser=optimiser_fields)  # type: ignore[arg-type]
    chosen = choose(recipe, net, settings.device, RUN)
    apply(net.train(), chosen)
    optimiser = make_optimiser(parameter_groups(net, recipe, set(), set()), recipe)
    take = make_step(Scheme(net, optimiser), recipe, chosen, len(images))
    steps = itertools.count()
    return lambda: take(images, labels, next(steps))[0]["cross_entropy"], asdict(chosen)


def done(way: Callable[[], Any], device: torch.device) -> Callable[[], None]:
    """A call that returns when the device has done the work."""

    def call() -> None:
        way()
        finished(device)

    return call


def refuse_diverged(losses: dict[str, float]) -> None:
    """Fail where a loss is no number any more: such a step's time would say nothing."""
    for name, loss in losses.items():
        if not torch.tensor(loss).isfinite():
            raise JobFailed(
                f"the loss of {name} is {loss} after the measured steps: measure with another --seed or size"
            )


def where_the_time_goes(name: str, profile: dict[str, float]) -> str:
    """The shares of a profile in one line, the largest first."""
    shares = sorted(profile.items(), key=lambda item: -item[1])
    return f"where a step of {name} goes: " + ", ".join(
        f"{kind} {share:.0%}" for kind, share in shares if share >= 0.005
    )
