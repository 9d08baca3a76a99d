"""The response normalisation alone, at the two shapes that the paper's net normalises."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.bench.settings import Settings, finished
from alexnet.bench.timing import compared, take_turns
from alexnet.models.lrn import LRN, Implementation, response_norm_for, set_response_norm, works

IMAGES = 32
MAPS = ((96, 55), (256, 27))  # maps, side: behind conv1 and conv2


def measure(settings: Settings, found: dict[str, Any]) -> dict[str, Any]:
    """Forward, and forward with backward, float32: ours in each implementation beside torch's own layer."""
    rows = []
    for maps, side in MAPS:
        shape = (min(IMAGES, settings.batch), maps, side, side)
        torch.manual_seed(settings.seed)
        x = torch.randn(shape, device=settings.device).mul_(60).requires_grad_()
        g = torch.randn(shape, device=settings.device)
        stages = stages_for(settings.device)
        for what, call in (("forward", forward), ("forward + backward", backward)):
            timings = take_turns({name: call(stage, x, g) for name, stage in stages.items()}, settings.repeats)
            if not works("compiled", settings.device):  # it said so in a line, and ran op by op
                timings.pop("compiled", None)
            rows.append(compared(f"{list(shape)}, {what}", timings))
    return {"what": "response normalisation, float32; obvious: torch.nn.LocalResponseNorm", "rows": rows}


def stages_for(device: torch.device) -> dict[str, nn.Module]:
    """torch's layer under the name "obvious", and ours in op-by-op torch and in the way that suits long runs here."""
    stages: dict[str, nn.Module] = {"obvious": nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)}
    names: list[Implementation] = ["eager", response_norm_for(device, math.inf)[0]]
    for name in dict.fromkeys(names):
        stage = LRN(n=5, k=2.0, alpha=1e-4, beta=0.75, alpha_is="sum")
        set_response_norm(stage, name)
        stages[name] = stage
    return stages


def forward(stage: nn.Module, x: Tensor, g: Tensor) -> Callable[[], None]:
    """A call of the forward pass alone."""

    def call() -> None:
        with torch.no_grad():
            stage(x)
        finished(x.device)

    return call


def backward(stage: nn.Module, x: Tensor, g: Tensor) -> Callable[[], None]:
    """A call of both passes; `g` is the gradient that comes in."""

    def call() -> None:
        x.grad = None
        stage(x).backward(g)
        finished(x.device)

    return call
