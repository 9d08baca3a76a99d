"""What the processes of test_data_parallel.py do; called in the test's own process, a single one does it."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet import processes
from alexnet.checkpoint import load_state
from alexnet.models import MODELS, VARIANTS, Model, build, build_variant
from alexnet.parallel.schemes import make_scheme
from alexnet.recipe import Optimiser, Recipe, Schedule
from alexnet.training.loop import fit
from alexnet.training.optimise import Rates, make_optimiser, parameter_groups
from alexnet.training.shared_start import start_shared
from alexnet.training.speed import Chosen
from alexnet.training.start import resume, start
from alexnet.training.step import make_step

PLAIN = Chosen("float32", "contiguous", "eager", "eager", "a test")
NARROW = replace(VARIANTS["alexnet"], name="tiny", widths=(8, 16, 16, 16, 16), hidden=(32, 32), size=67)


def weights_after(
    model: str, steps: int, dtype: torch.dtype, n: int, micro_batch: int | None = None
) -> tuple[dict[str, np.ndarray], list[float]]:
    """Weights and losses after steps on batches of n random images, whose rows the processes share."""
    torch.manual_seed(0)
    net = (
        build_variant(NARROW, 4, 67, "he")
        if model == "tiny"
        else build(model, 4, 64 if model == "googlenet_bn" else None, "he")
    )
    net.set_preprocessing(torch.full((3,), 127.0), 70.0)
    net.to(dtype).train()
    recipe = Recipe(
        optimiser=Optimiser(rate=0.01, micro_batch=micro_batch), schedule=Schedule(kind="plateau", factor=2.0)
    )
    scheme = make_scheme(net, make_optimiser(parameter_groups(net, recipe, set(), set()), recipe), "data")
    scheme.spread()
    rates = Rates(scheme.own_optimiser, recipe, 1, steps)
    take = make_step(scheme, recipe, PLAIN, n)
    own, losses = scheme.own_rows(n), []
    for at in range(steps):
        rates.drops = at // 10
        rates.set(at)
        generator = torch.Generator().manual_seed(at)
        images = torch.rand(n, 3, net.size, net.size, generator=generator, dtype=dtype) * 255
        terms, wrong = take(images[own], (torch.arange(n) % 4)[own], at)
        losses += processes.total(torch.stack([*terms.values(), wrong.to(dtype)])).tolist()
    scheme.collect()
    return numbers(net), losses


def numbers(net: torch.nn.Module) -> dict[str, np.ndarray]:
    """A copy of a net's state that can be sent to another process."""
    return {name: value.numpy().copy() for name, value in net.state_dict().items()}


def steps_of_many(cases: list[tuple[Any, ...]]) -> list[Any]:
    """`weights_after` case by case, in one launch."""
    return [weights_after(*case) for case in cases]


def trained(folder: Path, out: str, go_on: bool = False, stop_after: float | None = None) -> dict[str, Any]:
    """A run of the tiny net on the digits, begun or gone on with; its weights and where each process stands."""
    os.environ["ALEXNET_CACHE"] = str(folder / "cache")
    MODELS["tiny"] = Model("tiny", "none", 2026, "for tests", 67, partial(build_variant, NARROW))
    recipe = Recipe(model="tiny", epochs=2, max_minutes=stop_after, optimiser=Optimiser(rate=0.05, batch=100))
    recipe = replace(recipe, net=replace(recipe.net, start="he", scale="deviation"))
    if go_on:
        run = resume(folder / out)
        run.recipe = replace(run.recipe, max_minutes=None)
    else:
        run = start_shared(lambda: start("digits", recipe, folder / out), "cpu", "data")
    reason = fit(run, save_every=0)
    return {
        "weights": numbers(run.net),
        "temperature": run.temperature,
        "reason": reason,
        "state": load_state(run.folder / "state.pt") is not None,
    }


def several_runs(folder: Path) -> dict[str, Any]:
    """A run that is left alone, and one that is stopped at its first step and gone on with."""
    found = {"whole": trained(folder, "whole")}
    found["stopped"] = trained(folder, "stopped", stop_after=1e-9)
    found["resumed"] = trained(folder, "stopped", go_on=True)
    return found


def stopped(folder: Path, out: str) -> dict[str, Any]:
    """A run that is stopped at its first step."""
    return trained(folder, out, stop_after=1e-9)


def gone_on_with(folder: Path, out: str) -> dict[str, Any]:
    """The same run, begun by another number of processes, to its end."""
    return trained(folder, out, go_on=True)


def too_small(folder: Path) -> None:
    """A run in batches of one image."""
    os.environ["ALEXNET_CACHE"] = str(folder / "cache")
    recipe = Recipe(model="lenet5_softmax", epochs=1, optimiser=Optimiser(batch=1))
    start_shared(lambda: start("digits", recipe, folder / "small"), "cpu", "data")
