"""Answers of the paper's AlexNet, one image at a time and 64 at once: torch, and OpenVINO where it is installed."""

import tempfile
from collections.abc import Callable
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.bench.apart import apart
from alexnet.bench.obvious import PlainAlexNet
from alexnet.bench.settings import Settings, finished
from alexnet.bench.step import CLASSES, net_for
from alexnet.bench.timing import compared, take_turns
from alexnet.checkpoint import Card, save_weights
from alexnet.errors import JobFailed
from alexnet.evaluation.inference import for_inference
from alexnet.models import Classifier
from alexnet.progress import note

MANY = 1_000_000  # images of a service or a large test: preparing the net pays there
BATCHES = (1, 64)
TURN = 2.0  # seconds: a service answers one batch after the other
NEAR = {"float32": 1e-3, "bfloat16": 5e-2}  # largest difference allowed, as a share of the largest score


def measure(settings: Settings, found: dict[str, Any]) -> dict[str, Any]:
    """The obvious net in eager mode without gradients, ours as prepared for few and many images, and OpenVINO's."""
    net = net_for(settings, "he").to(settings.device).eval()  # scores of unlike images differ
    answers: dict[str, Callable[[Tensor], Tensor]] = {
        "torch, few images": for_inference(deepcopy(net), settings.device, 1),
        "torch, many images": for_inference(deepcopy(net), settings.device, MANY),
    }
    with tempfile.TemporaryDirectory() as scratch:
        if settings.device.type == "cpu":
            answers |= through_openvino(net, settings, Path(scratch))
        rows, differences = [], {}
        for batch in sorted({min(n, settings.batch) for n in BATCHES}):
            images = images_of(settings, batch)
            with apart(obvious_scores, settings, batch) as obvious:
                ways = {"obvious": obvious} | {name: call(answer, images) for name, answer in answers.items()}
                differences[batch] = compared_answers(torch.from_numpy(obvious()), answers, images)
                what = f"batch {batch}, {settings.size}x{settings.size}"
                rows.append(compared(what, take_turns(ways, settings.repeats, turn=TURN), batch))
    return {
        "what": "scores of the paper's AlexNet, batch after batch in turns of two seconds; obvious: torch's layers, "
        "eager float32 without gradients",
        "rows": rows,
        "largest_difference": differences,
    }


def images_of(settings: Settings, batch: int) -> Tensor:
    """Random images, float32 [batch, 3, size, size] in 0..255, on the device."""
    chance = torch.Generator().manual_seed(settings.seed)
    return torch.rand(batch, 3, settings.size, settings.size, generator=chance).mul_(255).to(settings.device)


def obvious_scores(settings: Settings, batch: int) -> Callable[[], np.ndarray]:
    """Scores of the obvious net, float32 [batch, classes], without gradients."""
    net = net_for(settings, "he").to(settings.device)
    plain, mean, images = PlainAlexNet(net).to(settings.device).eval(), net.mean.clone(), images_of(settings, batch)

    def scores() -> np.ndarray:
        with torch.no_grad():
            return plain(images - mean).cpu().numpy()

    return scores


def through_openvino(net: Classifier, settings: Settings, scratch: Path) -> dict[str, Callable[[Tensor], Tensor]]:
    """The net exported by `alexnet export --format openvino`, in float32 and with the bfloat16 hint."""
    if not all(find_spec(name) for name in ("onnx", "openvino")):
        note("OpenVINO is left out: pip install 'alexnet[export]'")
        return {}
    import openvino

    from alexnet.exchange.export import export

    weights = scratch / "net.safetensors"
    card = Card("alexnet", [f"{i:04}" for i in range(CLASSES)], settings.size, round(settings.size * 256 / 224))
    save_weights(weights, net.state_dict(), card)
    export(weights, scratch / "net.xml", "openvino")
    core = openvino.Core()
    model = core.read_model(scratch / "net.xml")
    answers = {}
    for name, hint in (("float32", "f32"), ("bfloat16", "bf16")):
        hints = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        compiled = core.compile_model(model, "CPU", hints)
        answers[f"OpenVINO, {name}"] = lambda images, compiled=compiled: torch.from_numpy(
            compiled(images.numpy())["scores"]
        )
    return answers


def call(answer: Callable[[Tensor], Tensor], images: Tensor) -> Callable[[], None]:
    """A call for one batch that returns when the answer is there."""

    def once() -> None:
        with torch.no_grad():
            answer(images)
        finished(images.device)

    return once


def compared_answers(
    wanted: Tensor, answers: dict[str, Callable[[Tensor], Tensor]], images: Tensor
) -> dict[str, float]:
    """Largest difference of each way's scores to the obvious way's, as a share of the largest score.

    Raises:
        JobFailed: one is farther off than its numbers explain; its time would say nothing.
    """
    found = {}
    for name, answer in answers.items():
        with torch.no_grad():
            difference = (answer(images).float().cpu() - wanted).abs().max() / wanted.abs().max()
        found[name] = float(difference)
        allowed = NEAR["bfloat16" if "bfloat16" in name else "float32"]
        if not found[name] <= allowed:
            raise JobFailed(f"{name} answers otherwise than the obvious net, by {found[name]:.1e} of the largest score")
    return found
