"""Where training runs, and what its numbers depend on."""

from typing import Any

import torch

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
    return torch.device(name)


def environment(device: torch.device) -> dict[str, Any]:
    """What equal numbers depend on: a resumed run warns when one of these has changed."""
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "response_norm": "chunked eager",
    }
