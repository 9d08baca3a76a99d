"""The rows of gpu.py: each takes the plan and what was found before, and gives what goes into the file."""

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader

from alexnet.bench import obvious
from alexnet.bench.settings import Settings, finished
from alexnet.bench.step import net_for
from alexnet.bench.synthetic import jpeg_folder
from alexnet.bench.timing import compared, take_turns
from alexnet.data import Batches, Packed
from alexnet.data.parallel import cores
from alexnet.errors import JobFailed
from alexnet.evaluation.classify import batch_probabilities
from alexnet.evaluation.inference import for_inference
from alexnet.models import Classifier, build
from alexnet.models.lrn import LRN, set_response_norm
from alexnet.parallel.scheme import Scheme
from alexnet.recipe import Recipe
from alexnet.recipes import load_recipe
from alexnet.training.feed import feed
from alexnet.training.loop import fit
from alexnet.training.optimise import make_optimiser, parameter_groups
from alexnet.training.speed import Chosen, apply, choose
from alexnet.training.start import start
from alexnet.training.step import make_step
from chips import floor, work_of
from packs import write_made_pack

__all__ = ["correct", "families", "floor", "reference", "steps", "ten_crop", "train"]

LONG = 90 * 1_281_167  # images of the run that is thought of when ways are chosen
WARM = 10  # steps before a rate is measured: kernels are chosen and graphs captured in them
KERNEL_ERROR = {torch.float32: 1e-5, torch.bfloat16: 1e-2}  # of the largest number, against float64
STEP_ERROR = 0.05  # of a weight's largest change: rounding grows from step to step; other dropout masks give about 1


def correct(plan: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The kernel beside float64, and steps by graph and compiler beside those op by op; fails when one is wrong."""
    kernels = {}
    for maps, side in ((96, 55), (256, 27)):
        for dtype, allowed in KERNEL_ERROR.items():
            error = kernel_error(plan.device, (2, maps, side, side), dtype)
            kernels[f"{maps} maps, {dtype}"] = error
            if not error <= allowed:
                raise JobFailed(f"the response normalisation of {maps} maps in {dtype} is off by {error:.1e}")
    kinds = {kind: step_error(plan, kind) for kind in ("graph", "compiled")}
    for kind, error in kinds.items():
        if not error <= STEP_ERROR:
            raise JobFailed(f"a {kind} step moves weights otherwise than one op by op, by {error:.1e} of the move")
    return {"kernel_error": kernels, "step_error": kinds}


def kernel_error(device: torch.device, shape: tuple[int, ...], dtype: torch.dtype) -> float:
    """Largest difference of result and gradient to float64 on the CPU, as a share of the largest number."""
    chance = torch.Generator().manual_seed(0)
    x, g = (torch.randn(shape, generator=chance).mul_(factor).to(dtype) for factor in (60, 1))
    answers = []
    for place, kind, name in ((device, dtype, "triton"), (torch.device("cpu"), torch.float64, "eager")):
        stage = LRN(5, 2.0, 1e-4, 0.75, "sum", towers=2)
        set_response_norm(stage, name if place.type == "cuda" else "eager")  # type: ignore[arg-type]
        a = x.to(place, kind, copy=True).requires_grad_()
        y = stage(a)
        y.backward(g.to(place, kind))
        assert a.grad is not None
        answers.append((y.detach().double().cpu(), a.grad.double().cpu()))
    return max(float((ours - wanted).abs().max() / wanted.abs().max()) for ours, wanted in zip(*answers))


def step_error(plan: Any, kind: str, count: int = 6) -> float:
    """Largest difference of the weights after a few float32 steps of a kind to eager ones, as a share of the move."""
    settings = Settings(1, 16, plan.batch, plan.size, plan.device)
    images, labels = images_of(plan)
    after, before = [], {}
    for step_kind in ("eager", kind):
        net = net_for(settings).to(plan.device).train()
        before = {name: value.detach().cpu().clone() for name, value in net.named_parameters()}
        recipe, chosen = choice(plan, net, "float32")
        chosen = replace(chosen, step=step_kind)
        apply(net, chosen)
        torch.set_float32_matmul_precision("highest")
        take = make_step(alone(net, recipe), recipe, chosen, plan.batch)
        for at in range(count):
            take(images, labels, at)
        after.append({name: value.detach().cpu() for name, value in net.named_parameters()})
    moves = {name: (after[0][name] - value).abs().max() for name, value in before.items()}
    return max(float((after[1][name] - after[0][name]).abs().max() / move) for name, move in moves.items())


def alone(net: Classifier, recipe: Any) -> Scheme:
    """A single process that trains the whole net."""
    return Scheme(net, make_optimiser(parameter_groups(net, recipe, set(), set()), recipe))


def steps(plan: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Steps on images that are on the device: the obvious net, ours, and ours without its normalisation, compiled."""
    images, labels = images_of(plan)
    settings = Settings(1, 16, plan.batch, plan.size, plan.device)
    plain = obvious.PlainAlexNet(net_for(settings)).to(plan.device)
    ways: dict[str, Callable[[], Any]] = {"obvious": obvious.training_step(plain, images, labels)}
    chosen: dict[str, Any] = {}
    for name, step_kind, norm in (
        ("ours, bfloat16, op by op", "eager", True),
        ("ours, bfloat16, graph", "graph", True),
        ("ours, bfloat16, compiled", "compiled", True),
        ("without norm, compiled", "compiled", False),
    ):
        net = net_for(settings).to(plan.device)
        if not norm:
            without_norm(net)
        ways[name], chosen[name] = stepping(plan, net, images, labels, step_kind)
    calls = {name: several(way, plan.steps, plan.device) for name, way in ways.items()}
    for call in calls.values():
        call()  # a graph is captured after some steps, outside of what is measured
    what = f"{plan.steps} steps of {plan.batch} images, {plan.size}x{plan.size}"
    row = compared(what, take_turns(calls, plan.repeats), plan.steps * plan.batch)
    return {"rows": [row], "chosen": chosen, "work": work_of(net_for(settings), plan.batch)}


def train(plan: Any, found: dict[str, Any]) -> dict[str, Any]:
    """From packed data to weights, raw and JPEG: the feed alone, feed and steps when warm, and a whole run."""
    results = {}
    for layout in ("raw", "jpeg"):
        begin = time.perf_counter()
        pack = write_made_pack(plan.folder / layout, plan.images, plan.stored, layout, min(1000, plan.images))
        written = time.perf_counter() - begin
        recipe = recipe_for(plan)
        run = start(pack, recipe, out=plan.folder / f"run-{layout}", device=str(plan.device))
        count = max(WARM + plan.steps, len(run.parts.train) // plan.batch)
        reading = rate(reads(run, pack, plan.batch), lambda fed: None, plan, count)
        net = run.net.to(plan.device).train()
        _, chosen = choice(plan, net, "bfloat16")
        apply(net, chosen)
        take = make_step(Scheme(net, make_optimiser(run.groups(), recipe)), recipe, chosen, plan.batch)
        working = rate(reads(run, pack, plan.batch), on_fed(take), plan, count)
        whole = start(pack, recipe, out=plan.folder / f"whole-{layout}", device=str(plan.device))
        begin = time.perf_counter()
        fit(whole)
        seconds = time.perf_counter() - begin
        results[layout] = {
            "bytes": (pack.path / "images.npy").stat().st_size,
            "seconds_to_write": written,
            "feed_images_per_second": reading,
            "images_per_second": working,
            "whole_run": {"seconds": seconds, "images": len(run.parts.train) // plan.batch * plan.batch * run.epochs},
            "chosen": vars(chosen),
        }
    return results


def reference(plan: Any, found: dict[str, Any]) -> dict[str, Any]:
    """JPEG files of 500 x 375 through torchvision's reference loader on all cores, and steps of the obvious net."""
    folder = jpeg_folder(plan.files)
    files = obvious.loader(folder, plan.batch, plan.size).dataset
    needed = (WARM + plan.steps + 1) * plan.batch
    many = ConcatDataset([files] * -(-needed // plan.files))
    workers = cores()
    loader = DataLoader(many, plan.batch, shuffle=True, num_workers=workers, pin_memory=plan.device.type == "cuda")
    plain = obvious.PlainAlexNet(net_for(Settings(1, 16, plan.batch, plan.size, plan.device))).to(plan.device)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            for images, labels in loader:
                yield images.to(plan.device, non_blocking=True), labels.to(plan.device, non_blocking=True)

    optimiser = torch.optim.SGD(plain.train().parameters(), lr=obvious.RATE, momentum=0.9, weight_decay=5e-4)

    def take(batch: tuple[Tensor, Tensor]) -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(plain(batch[0]), batch[1]).backward()
        optimiser.step()

    return {
        "workers": workers,
        "loader_images_per_second": rate(batches(), lambda batch: None, plan, plan.steps + WARM),
        "images_per_second": rate(batches(), take, plan, plan.steps + WARM),
    }


def ten_crop(plan: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Images a second through ten views, from stored bytes in memory to probabilities."""
    settings = Settings(1, 16, plan.batch, plan.size, plan.device)
    net = net_for(settings).to(plan.device).eval()
    ours = for_inference(deepcopy(net), plan.device, 50_000, "bfloat16")
    n = max(2, plan.batch // 10)
    images = np.random.default_rng(0).integers(0, 256, (n, plan.stored, plan.stored, 3), dtype=np.uint8)
    plain = obvious.PlainAlexNet(net).to(plan.device).eval()
    mean = net.mean.clone()
    ways = {
        "obvious": lambda: obvious.ten_crop(
            plain, torch.from_numpy(images).permute(0, 3, 1, 2).to(plan.device), plan.size, mean
        ),
        "ours": lambda: batch_probabilities(ours, images, plan.stored, plan.size, "ten"),
    }
    calls = {name: several(way, plan.steps, plan.device) for name, way in ways.items()}
    return {"rows": [compared(f"{n} images, ten views", take_turns(calls, plan.repeats), n * plan.steps)]}


def families(plan: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Training and answering rate of one net after the other, at its published size and classes, in bfloat16."""
    return {name: with_memory(partial(family, plan, name), plan.batch) for name in plan.families}


def family(plan: Any, name: str, batch: int) -> dict[str, Any]:
    """The rates of one net in batches of so many images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build(name).to(plan.device)
    images = torch.rand(batch, 3, net.size, net.size, device=plan.device) * 255
    labels = torch.randint(net.classes, (batch,), device=plan.device)
    answer = for_inference(deepcopy(net).eval(), plan.device, 1_000_000, "bfloat16")
    answering = timed(torch.inference_mode()(partial(answer, images)), plan)
    take, chosen = stepping(plan, net, images, labels, None)
    training = timed(take, plan)
    return {
        "size": net.size,
        "batch": batch,
        "parameters": net.parameter_count,
        "training_images_per_second": plan.steps * batch / training,
        "answers_per_second": plan.steps * batch / answering,
        "chosen": chosen,
        "work": work_of(net, batch),
    }


def with_memory(measure: Callable[[int], dict[str, Any]], batch: int) -> dict[str, Any]:
    """What `measure` gives for a batch, or for a half, a quarter ... of it where the card's memory is too small."""
    while True:
        gc.collect()  # what the last net held
        torch.cuda.empty_cache()
        try:
            return measure(batch)
        except torch.OutOfMemoryError:
            if batch < 2:
                raise
        batch //= 2


def recipe_for(plan: Any, precision: str = "bfloat16") -> Recipe:
    """The paper's recipe for one epoch at a constant rate, all images for training."""
    paper = load_recipe("paper")
    return replace(
        paper,
        model=plan.model,
        size=plan.size,
        epochs=1,
        data=replace(paper.data, margin=plan.stored / plan.size, test=0.0, validation=0.0),
        optimiser=replace(paper.optimiser, rate=obvious.RATE, batch=plan.batch, precision=precision),  # type: ignore[arg-type]
        schedule=replace(paper.schedule, kind="constant"),
    )


def choice(plan: Any, net: Classifier, precision: str) -> tuple[Recipe, Chosen]:
    """Recipe, and what the package chooses for a run of ninety epochs of ImageNet with it."""
    recipe = recipe_for(plan, precision)
    return recipe, choose(recipe, net, plan.device, LONG)


def stepping(
    plan: Any, net: Classifier, images: Tensor, labels: Tensor, kind: str | None
) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Our step on the same images again and again; kind None: as the package chooses."""
    recipe, chosen = choice(plan, net, "bfloat16")
    if kind is not None:
        chosen = replace(chosen, step=kind)  # type: ignore[arg-type]
    apply(net.train(), chosen)
    take = make_step(alone(net, recipe), recipe, chosen, plan.batch)
    numbers = itertools.count()
    return lambda: take(images, labels, next(numbers)), vars(chosen)


def several(way: Callable[[], Any], count: int, device: torch.device) -> Callable[[], None]:
    """A call of `count` times `way` that returns when the device has done it."""

    def call() -> None:
        for _ in range(count):
            way()
        finished(device)

    return call


def timed(way: Callable[[], Any], plan: Any) -> float:
    """Median seconds of `plan.steps` calls in a row, once a graph was captured or a compiler has done its work."""
    call = several(way, max(plan.steps, WARM), plan.device)
    call()
    return take_turns({"": several(way, plan.steps, plan.device)}, plan.repeats)[""].median


def on_fed(take: Callable[..., Any]) -> Callable[[Any], Any]:
    """A step that takes what the feed gives."""
    numbers = itertools.count()
    return lambda fed: take(fed.images, fed.labels, next(numbers))


def reads(run: Any, pack: Packed, batch: int) -> Iterator[Any]:
    """The augmented batches of a run, epoch after epoch, in cycles."""
    batches = Batches(pack, run.parts.train, batch, seed=0)
    for epoch in itertools.count():
        yield from feed(run, batches, epoch, 0, lambda step: 0.1)


def rate(batches: Iterator[Any], take: Callable[[Any], Any], plan: Any, count: int) -> float:
    """Images a second of so many batches, the first `WARM` not counted."""
    begin = 0.0
    for number, batch in enumerate(itertools.islice(batches, count)):
        if number == WARM:
            finished(plan.device)
            begin = time.perf_counter()
        take(batch)
    finished(plan.device)
    return (count - WARM) * plan.batch / (time.perf_counter() - begin)


def without_norm(net: Classifier) -> None:
    """Take the response normalisation out of a net."""
    for name, stage in net.stages.items():
        if isinstance(stage, LRN):
            setattr(net, name, nn.Identity())


def images_of(plan: Any) -> tuple[Tensor, Tensor]:
    """Random images float32 [n, 3, size, size], 0..255, and labels, on the device."""
    chance = torch.Generator().manual_seed(0)
    images = torch.rand(plan.batch, 3, plan.size, plan.size, generator=chance) * 255
    return images.to(plan.device), torch.randint(1000, (plan.batch,), generator=chance).to(plan.device)
