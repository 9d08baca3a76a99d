"""A net made ready to answer: laid out and computed as is fastest here, for as many images as will come.

On a CPU with AMX (AlexNet at 227 pixels, 64 images, two threads, beside torch's own response normalisation in eager
mode; results/bench.json): channels-last weights and our normalisation 3.0 times as fast, with the normalisation
compiled 3.3 times. Compiling the whole net adds nothing to that. Channels-last weights made no net of the family
slower.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor, nn

from alexnet.models import Classifier
from alexnet.models.lrn import set_response_norm
from alexnet.models.lrn_choice import response_norm_for
from alexnet.models.summary import layer_table
from alexnet.progress import note

Precision = Literal["float32", "bfloat16"]

# Multiply-adds a second, roughly: they only tell a job of seconds from one of hours.
RATE_OF_A_THREAD = 3e10
RATE_OF_A_GPU = 1e13
FEW = 1000  # patches for which nothing is compiled: counting the work of a deep net would take as long as some of them
WHOLE_FROM = 60.0  # expected seconds from which the whole net is compiled on a GPU; not yet measured


def for_inference(net: Classifier, device: torch.device, images: int, precision: Precision = "float32") -> Classifier:
    """Make a net ready, in place; give it back.

    Scores are those of before, to rounding. In bfloat16 they differ by about 1 % of the largest: convolutions and
    fully-connected layers compute so, all but the layer that gives the scores; preprocessing and statistics of batch
    normalisation stay float32. A net in bfloat16 cannot be saved or trained as it was.

    Args:
        net: on any device.
        device: where it will run.
        images: how many patches it will be shown, about: compiling is left out where it does not pay.
        precision: "float32" or "bfloat16", which a processor without it replaces by float32, after one note.
    """
    set_response_norm(net, "eager")  # also where shapes alone go through the net, to count its work
    seconds = expected_seconds(net, device, images) if images >= FEW else 0.0
    set_response_norm(net, response_norm_for(device, seconds)[0])
    net.to(device).eval()
    if device.type != "mps":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if precision == "bfloat16" and has_bfloat16(device):
        _to_bfloat16(net)
    if device.type == "cuda" and seconds >= WHOLE_FROM and find_spec("triton") is not None:
        net.forward = compiled_for_one_shape(net.forward, mode="reduce-overhead")  # type: ignore[method-assign]
    return net


def expected_seconds(net: Classifier, device: torch.device, images: int) -> float:
    """Seconds that so many images take, within a factor of a few."""
    multiply_adds = sum(row["multiply_adds"] for row in layer_table(net))
    rate = RATE_OF_A_GPU if device.type == "cuda" else RATE_OF_A_THREAD * torch.get_num_threads()
    return images * multiply_adds / rate


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16; if not, a note says so."""
    there = torch.cuda.is_bf16_supported() if device.type == "cuda" else device.type == "cpu" and _cpu_has_bfloat16()
    if not there:
        note(f"this {device.type} has no arithmetic in bfloat16: float32 it is")
    return there


def compiled_for_one_shape(eager: Callable[[Tensor], Tensor], **options: Any) -> Callable[[Tensor], Tensor]:
    """A function compiled for the shape that comes first; other shapes, such as a last batch's, go the eager way.

    Where it cannot be compiled all go the eager way, after one note.
    """
    compiled = torch.compile(eager, dynamic=False, **options)
    shape: list[torch.Size] = []
    working = [True]

    def run(images: Tensor) -> Tensor:
        if not shape:
            shape.append(images.shape)
        if not working[0] or images.shape != shape[0]:
            return eager(images)
        try:
            return compiled(images)
        except Exception as error:  # whatever a compiler may raise; what the net itself raises comes again below
            working[0] = False
            answer = eager(images)
            note(f"the net cannot be compiled here ({type(error).__name__}): it runs without, slower")
            return answer

    return run


def _to_bfloat16(net: Classifier) -> None:
    for name, stage in net.stages.items():
        if name == net.classifier_stage:
            stage.register_forward_pre_hook(lambda module, given: given[0].float())
            continue
        for module in stage.modules():
            if not isinstance(module, nn.BatchNorm2d):
                for values in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                    if values.is_floating_point():
                        values.data = values.data.bfloat16()
    first = next(iter(net.stages.values()))
    first.register_forward_pre_hook(lambda module, given: given[0].bfloat16())


def _cpu_has_bfloat16() -> bool:
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
