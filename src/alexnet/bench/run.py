"""All cases by name, one after the other; what was measured is written down after each."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from alexnet.bench.conditions import conditions, load
from alexnet.bench.settings import Settings
from alexnet.bench.synthetic import H, W
from alexnet.devices import keep_memory
from alexnet.errors import InputError
from alexnet.files import write_json
from alexnet.progress import note

Case = Callable[[Settings, dict[str, Any]], dict[str, Any]]
# Name -> the room's file that measures it: `measure(settings, found)`, with what the cases before it found.
CASES = {
    "lrn": "normalisation",
    "step": "step",
    "inference": "inference",
    "tencrop": "tencrop",
    "loader": "loading",
    "train": "whole",
    "start": "start",
}


def bench(names: Sequence[str], settings: Settings, command: str, out: Path | None = None) -> dict[str, Any]:
    """Measure the named cases, "all" for every one; give the document that `--json` prints.

    Args:
        names: of `CASES`.
        settings: how large and how often.
        command: as it was typed.
        out: a file that holds the document so far after every case, so that a stopped run keeps what it has.

    Raises:
        InputError: a case that does not exist.
    """
    wanted = list(CASES) if "all" in names else list(dict.fromkeys(names))
    for name in wanted:
        if name not in CASES:
            raise InputError(f"there is no case {name!r}: choose among {', '.join(CASES)}, or all")
    keep_memory()  # as training and testing do; the obvious way runs in a process of its own, see `apart`
    document = conditions(command) | {
        "device": str(settings.device),
        "threads": torch.get_num_threads(),
        "seed": settings.seed,
        "repeats": settings.repeats,
        "images": {"count": settings.images, "height": H, "width": W},
        "batch": settings.batch,
        "size": settings.size,
        "ratio": "median of the obvious way / median of this way, both in turns in one run; quiet: repeats during "
        "which other programs took less than 0.2 cores",
        "memory": "kept between calls for ours, as `alexnet` keeps it; as the C library has it for the obvious way",
        "cases": {},
    }
    for name in wanted:
        note(f"bench {name}")
        document["cases"][name] = case(name)(settings, document["cases"])
        document["load_after"] = load()
        if out is not None:
            write_json(out, document)
    return document


def case(name: str) -> Case:
    """The function that measures a case."""
    return import_module(f"alexnet.bench.{CASES[name]}").measure
