"""Where training runs, and what its numbers depend on."""

import ctypes
import sys
from typing import Any

import torch

from alexnet import processes
from alexnet.errors import InputError


def choose_device(name: str = "auto") -> torch.device:
    """Give the device of that name; "auto" takes a GPU when there is one.

    Raises:
        InputError: a name that does not exist, or a device that is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, present in there.items() if present)
    kind = name.split(":")[0]
    if kind not in there:
        raise InputError(f"device {name!r} does not exist: take auto, cpu, cuda or mps")
    if not there[kind]:
        raise InputError(
            f"torch finds no {kind} device here: take --device cpu, or --device auto for the best there is"
        )
    if kind == "mps" and processes.size() > 1:
        raise InputError(f"{processes.size()} processes cannot share an mps device: add --device cpu, or take one")
    if name == "cuda" and processes.size() > 1:
        torch.cuda.set_device(processes.local_rank())  # what names no device is else put on the first one
        return torch.device("cuda", processes.local_rank())
    return torch.device(name)


def keep_memory() -> None:
    """Let glibc keep what torch frees between two steps.

    By default every block above 32 MB goes back to the kernel and comes again as empty pages, which takes a fifth of
    a training step on a CPU (measured: 17.9 against 14.8 s for 156 steps on two cores). Elsewhere nothing is done.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library has none
        m_trim_threshold, m_mmap_max, m_arena_max = -1, -4, -8
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)
        mallopt(m_arena_max, 1)


def environment(device: torch.device) -> dict[str, Any]:
    """What equal numbers depend on: a resumed run warns when one of these has changed."""
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "processes": processes.size(),
    }
