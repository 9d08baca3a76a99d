"""A trained net as OpenVINO's IR, made of the ONNX file: the fastest way on processors, most of all in bfloat16.

Only the runtime's reader and writer are used: OpenVINO's converter, a program of its own, reports its use over the
network.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet.checkpoint import Card

FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}
BFLOAT16 = {"INFERENCE_PRECISION_HINT": "bf16"}


def write_openvino(onnx_file: Path, card: Card, path: Path) -> None:
    """Write path (.xml) and the weights beside it (.bin), float32, of an ONNX file; the card goes in as "alexnet"."""
    import openvino

    model = openvino.Core().read_model(onnx_file)
    model.set_rt_info(json.dumps(asdict(card), ensure_ascii=False), ["alexnet"])
    openvino.save_model(model, path, compress_to_fp16=False)


class OpenvinoProgram:
    """An exported .xml file, run by OpenVINO on the processor.

    Attributes:
        name: of the program, with its version.
    """

    def __init__(self, path: Path, hints: dict[str, Any] = FLOAT32):
        import openvino

        self.name = f"openvino {openvino.__version__.split('-')[0]}"
        self.compiled = openvino.Core().compile_model(path, "CPU", hints)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and probabilities, [n classes] each, of float32 RGB [n 3 size size] in 0..255."""
        answer = self.compiled(images.numpy())
        return torch.from_numpy(answer["scores"].copy()), torch.from_numpy(answer["probabilities"].copy())
