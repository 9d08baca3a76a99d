"""Which implementation of the response normalisation suits a device, and a run of so many seconds."""

import os
import shutil
import sys
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

from alexnet import progress

Implementation = Literal["eager", "compiled", "triton"]

# Seconds of a run from which compiling pays on a CPU. Measured on two cores: 26 s for both passes with an empty cache,
# and, of a step of the paper's AlexNet in float32, 52 of 860 ms for 32 images saved (results/bench.json).
BREAK_EVEN = 420.0
OLDEST_GPU = (7, 0)  # compute capability that Triton still serves
LARGEST = 2**31 - 1  # numbers that the kernels can count

_given_up: set[Implementation] = set()  # what has failed in this process


def response_norm_for(device: torch.device, seconds: float) -> tuple[Implementation, str]:
    """What suits a device and a run.

    Args:
        device: where the net is.
        seconds: how long the run is going to take, roughly; `math.inf` asks for the fastest.

    Returns:
        The implementation, and why, in a few words.
    """
    if device.type == "cuda":
        if works("triton", device):
            return "triton", "one GPU kernel a pass"
        return "eager", "Triton does not work here"
    if not works("compiled", device):
        return "eager", "no C++ compiler works here"
    if seconds < BREAK_EVEN:
        return "eager", f"compiling pays in runs of {BREAK_EVEN / 60:.0f} minutes and more"
    return "compiled", "the run is long enough to pay for compiling"


def works(name: Implementation, device: torch.device) -> bool:
    """Whether an implementation can be had on a device, as far as can be told without trying it.

    One that has failed in this process, because its compiler did, cannot.
    """
    if name in _given_up:
        return False
    if name == "triton":
        return _has_triton(device)
    if name == "compiled":
        return _has_compiler() if device.type == "cpu" else _has_triton(device)
    return True


def give_up(name: Implementation, error: Exception) -> None:
    """Remember that an implementation failed, and tell the reader, once."""
    if name not in _given_up:
        _given_up.add(name)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        _note(name, reason if len(reason) <= 120 else reason[:120] + " ...")


def refusal(x: Tensor) -> str | None:
    """Why the GPU kernels cannot take a tensor, or None if they can."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"  # Triton's way to run kernels on a CPU, slowly, for tests
    if not interpreted and not _has_triton(x.device):
        return f"Triton does not work on {x.device.type} here"
    if x.dtype == torch.float64:
        return "its kernels compute in float32, and float64 came"
    if x.numel() > LARGEST:
        return f"its kernels count to {LARGEST:,}, and {x.numel():,} numbers came"
    return None


def note_refusal(reason: str) -> None:
    """Tell the reader why the GPU kernels are not used, once for each reason."""
    if reason not in _refusals:
        _refusals.add(reason)
        _note("triton", reason)


_refusals: set[str] = set()


def _note(name: Implementation, reason: str) -> None:
    progress.note(f"response normalisation: 'eager' does the work of '{name}' ({reason})")


def _has_triton(device: torch.device) -> bool:
    if device.type != "cuda" or find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= OLDEST_GPU


# All that torch.compiler.assume_constant_result does, so that torch's compiler asks once and does not look inside; but
# that function imports the compiler, which takes as long as torch itself.
_has_triton._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def _has_compiler() -> bool:
    """Whether the C++ compiler is there that torch is going to call."""
    return shutil.which(os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")) is not None
