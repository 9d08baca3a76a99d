"""Which implementation of the response normalisation suits a device, and a run of so many seconds."""

import os
import shutil
import sys
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor

from alexnet import progress

Implementation = Literal["eager", "compiled", "triton"]

BREAK_EVEN = 300.0  # TODO
LARGEST = 2**31 - 1  # elements that the kernels can count


def response_norm_for(device: torch.device, seconds: float) -> tuple[Implementation, str]:
    """What suits a device and a run.

    Args:
        device: where the net runs.
        seconds: how long the run will take, about.

    Returns:
        The implementation, and why, in a few words.
    """
    if device.type == "cuda":
        if find_spec("triton") is None:
            return "eager", "Triton is not installed"
        return "triton", "one kernel a pass"
    if device.type != "cpu":
        return "eager", f"no compiler for {device.type}"
    if _compiler() is None:
        return "eager", "no C++ compiler here"
    if seconds < BREAK_EVEN:
        return "eager", f"compiling pays from {BREAK_EVEN / 60:.0f} minutes on"
    return "compiled", "pays for its compilation"


def kernel_for(x: Tensor) -> ModuleType | None:
    """The module with the GPU kernels if they can take this tensor; else None, after one note for each reason."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if x.device.type != "cuda" and not interpreted:
        reason = f"the tensor is on the {x.device.type}"
    elif x.dtype == torch.float64:
        reason = "the kernels compute in float32, and float64 came"
    elif x.numel() > LARGEST:
        reason = f"{x.numel():,} numbers came, more than the kernels can count"
    elif find_spec("triton") is None:
        reason = "Triton is not installed"
    else:
        from alexnet.models import lrn_triton

        return lrn_triton
    if not torch.compiler.is_compiling():
        _note_once(reason)
    return None


@cache
def _note_once(reason: str) -> None:
    progress.note(f"the response normalisation runs without its GPU kernel: {reason}")


def _compiler() -> str | None:
    """The C++ compiler that torch would call, or None."""
    return shutil.which(os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++"))
