"""How the work of a run is done on its device: precision, order in memory, response normalisation, kind of step.

What a recipe leaves open ("auto") is decided here, once, when a run begins. The choice stands in run.json and on the
screen, and a resumed run keeps it. What is decided, and why:

precision: a CPU takes float32, so that a run gives the same numbers on other machines; a GPU bfloat16, where it has
    it, and TF32 for the products that stay float32.
memory_format: n h w c from inputs of `CHANNELS_LAST_FROM` pixels on, on a CPU. torch pools overlapping windows several
    times faster in that order, but convolves small maps more slowly (docs/log.md has the measurements). On a GPU,
    with bfloat16, it is the order that tensor cores take.
response_norm: see `alexnet.models.lrn.response_norm_for`, which weighs the time of compiling against the run's length.
step: op by op on a CPU, where compiling whole nets made their training slower. On a GPU a graph, and for long runs a
    compiled step within it; this was not measured yet.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from alexnet.models import Classifier
from alexnet.models.lrn import LRN, set_response_norm
from alexnet.models.lrn_choice import Implementation, response_norm_for
from alexnet.models.summary import layer_table
from alexnet.progress import note
from alexnet.recipe import Recipe, Speed

CHANNELS_LAST_FROM = 128  # side of the input in pixels
COMPILED_STEP_FROM = 600.0  # seconds of a run on a GPU

# Multiply-adds a second in training, roughly, to tell a run of seconds from one of hours.
RATE_OF_A_THREAD = 2e10
RATE_OF_A_GPU = 3e13
BACKWARD = 3  # the backward pass takes twice the multiply-adds of the forward pass

ONE_WAY = Speed(response_norm="eager", memory_format="contiguous", step="eager")
STEPS = {"eager": "op by op", "compiled": "compiled", "graph": "as a CUDA graph"}


@dataclass(frozen=True)
class Chosen:
    """How the work of a run is done; nothing is left open.

    Attributes:
        precision: of the forward and backward pass; weights, their update and the loss stay float32.
        memory_format: order of images and maps in memory.
        response_norm: implementation of the response normalisation.
        step: how a step is run; "compiled" becomes a graph too on a GPU.
        why: the expected length of the run, in words, and what was decided by it.
    """

    precision: Literal["float32", "bfloat16"]
    memory_format: Literal["contiguous", "channels_last"]
    response_norm: Implementation
    step: Literal["eager", "compiled", "graph"]
    why: str


def choose(recipe: Recipe, net: Classifier, device: torch.device, images: int) -> Chosen:
    """Decide what the recipe leaves open; say in one line what was asked for and cannot be.

    Args:
        recipe: what was asked for.
        net: that is to be trained, at its size.
        device: where.
        images: that will go through it in training.
    """
    precision, asked = recipe.optimiser.precision, recipe.speed
    if precision == "auto":
        precision = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported(False) else "float32"
    memory_format = asked.memory_format
    if memory_format == "auto":
        large = device.type == "cpu" and net.size >= CHANNELS_LAST_FROM
        memory_format = "channels_last" if large or (device.type, precision) == ("cuda", "bfloat16") else "contiguous"
    seconds = expected_seconds(net, device, images)
    response_norm, why = asked.response_norm, ""
    if not has_response_norm(net):
        response_norm = "eager"
    elif response_norm == "auto":
        response_norm, why = response_norm_for(device, seconds)
    step = asked.step
    if step == "auto":
        step = "eager" if device.type != "cuda" else "compiled" if seconds >= COMPILED_STEP_FROM else "graph"
    why = ", ".join(text for text in (f"a run of {in_words(seconds)}", why) if text)
    wanted = Chosen(precision, memory_format, response_norm, step, why)
    return _told(
        wanted, possible(wanted, device), "{name} {wanted} is not to be had on {kind} here: {got} instead", device
    )


def possible(chosen: Chosen, device: torch.device) -> Chosen:
    """The choice as far as a device can follow it."""
    if chosen.step == "graph" and device.type != "cuda":
        chosen = replace(chosen, step="eager")
    best, _ = response_norm_for(device, math.inf)
    if (chosen.response_norm, best) == ("compiled", "eager") or chosen.response_norm == "triton" != best:
        chosen = replace(chosen, response_norm="eager")
    return chosen


def resumed(saved: dict[str, Any] | None, recipe: Recipe, net: Classifier, device: torch.device, images: int) -> Chosen:
    """What a run was begun with, as far as this device can follow; a line for what is other than before.

    Args:
        saved: "speed" of run.json; None in runs that were begun when there was one way only.
        recipe: as for `choose`, and so are net, device and images.
    """
    if saved is None:
        return choose(replace(recipe, speed=ONE_WAY), net, device, images)
    before = Chosen(**saved)
    return _told(
        before,
        possible(before, device),
        "begun with {name} {wanted}, resumed with {got}: the last digits may differ",
        device,
    )


def apply(net: Classifier, chosen: Chosen) -> None:
    """Bring a net that is on its device into the chosen order in memory and implementation, and set torch's switches.

    The order shows in the strides of the weights alone; names, shapes and saved files are the same.
    """
    if chosen.memory_format == "channels_last":
        net.to(memory_format=torch.channels_last)
    set_response_norm(net, chosen.response_norm)
    if next(net.parameters()).device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # shapes stay the same from step to step
        torch.set_float32_matmul_precision("high")  # TF32; convolutions have it by default


def expected_seconds(net: Classifier, device: torch.device, images: int) -> float:
    """Roughly how long a training on so many images will take."""
    multiply_adds = sum(row["multiply_adds"] for row in layer_table(net))
    rate = RATE_OF_A_GPU if device.type == "cuda" else RATE_OF_A_THREAD * torch.get_num_threads()
    return BACKWARD * multiply_adds * images / rate


def in_words(seconds: float) -> str:
    """A length of time to its first digit or two: "under a minute", "about 9 minutes", "about 30 hours"."""
    if seconds < 60:
        return "under a minute"
    number, unit = (seconds / 60, "minute") if seconds < 5400 else (seconds / 3600, "hour")
    return f"about {number:.0f} {unit}{'s' if round(number) > 1 else ''}"


def speed_line(chosen: Chosen, net: Classifier, device: torch.device) -> str:
    """The choice in words: "cpu, 2 threads: float32, contiguous, response norm eager, steps op by op; a run of ..."."""
    threads = torch.get_num_threads()
    where = f"{device}, {threads} thread{'s' if threads > 1 else ''}" if device.type == "cpu" else f"{device}"
    parts = [chosen.precision, chosen.memory_format.replace("_", " ")]
    if device.type == "cuda":
        parts[0] += ", products in TF32" if chosen.precision == "float32" else ", the rest in TF32"
    if has_response_norm(net):
        parts.append(f"response norm {chosen.response_norm}")
    parts.append(f"steps {STEPS[chosen.step]}")
    return f"{where}: {', '.join(parts)}; {chosen.why}"


def _told(wanted: Chosen, got: Chosen, line: str, device: torch.device) -> Chosen:
    """Give what is got, after a line for each field that is not as wanted."""
    for name, value in asdict(wanted).items():
        if getattr(got, name) != value:
            note(line.format(name=name, wanted=value, got=getattr(got, name), kind=device.type))
    return got


def has_response_norm(net: nn.Module) -> bool:
    """Whether anything in the net normalises responses."""
    return any(isinstance(module, LRN) for module in net.modules())
