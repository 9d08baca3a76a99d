"""From a folder of JPEG files to trained weights: the pieces measured, their sum, and which of them decides.

Packing is done once in a run and spread over the epochs. Reading is taken to be shared evenly by all cores. On a CPU
the same cores read and compute, so the pieces are added. A GPU computes while the next batch is read and copied, so the
slowest of the three counts.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from alexnet.bench import loading, step
from alexnet.bench.settings import Settings
from alexnet.bench.step import done
from alexnet.bench.synthetic import jpeg_folder
from alexnet.bench.timing import compared, take_turns
from alexnet.data import open_source
from alexnet.data import pack as pack_source
from alexnet.data.parallel import cores

EPOCHS = 90  # the paper's
OBVIOUS = "obvious"


def measure(settings: Settings, found: dict[str, Any]) -> dict[str, Any]:
    """Time a packing; take loader and step from what was found, or measure them now."""
    loader = (found.get("loader") or loading.measure(settings, found))["rows"][0]["ways"]
    steps = (found.get("step") or step.measure(settings, found))["rows"][0]["ways"]
    folder = jpeg_folder(settings.images)
    with tempfile.TemporaryDirectory() as scratch:
        packing = compared(
            f"packing {settings.images} images on all cores",
            take_turns(
                {
                    f"packed {layout}": packing_into(Path(scratch), folder, settings, layout)
                    for layout in ("raw", "jpeg")
                },
                max(1, settings.repeats // 2),
                warm=False,
            ),
            settings.images,
        )
    copied = {dtype: copying(settings, dtype) for dtype in (torch.float32, torch.uint8)}
    ways = {OBVIOUS: pieces(loader[OBVIOUS], steps[OBVIOUS], copied[torch.float32])}
    for layout in ("raw", "jpeg"):
        for precision in ("float32", "bfloat16"):
            # On a CPU mirror and noise are the loader's work too; a GPU gets bytes and does them itself.
            made = "floats" if settings.device.type == "cpu" else "bytes"
            ways[f"packed {layout}, {precision}"] = pieces(
                loader[f"packed {layout}, {made}"],
                steps[f"ours, {precision}"],
                copied[torch.uint8],
                packing["ways"][f"packed {layout}"],
            )
    whole = {name: together(parts, settings.device) for name, parts in ways.items()}
    row = {
        "what": f"seconds an image by measured pieces, over {EPOCHS} epochs, {cores()} cores",
        "images": 1,
        "against": OBVIOUS,
        "ways": {
            name: {"median": whole[name], "images_per_second": 1 / whole[name], "pieces": parts}
            for name, parts in ways.items()
        },
        "ratio": {name: whole[OBVIOUS] / seconds for name, seconds in whole.items() if name != OBVIOUS},
    }
    return {
        "what": "folder of JPEG files to trained weights, put together; obvious: its loader on all cores and its step",
        "rows": [packing, row],
        "epochs": EPOCHS,
        "words": [bottleneck(name, parts) for name, parts in ways.items()],
    }


def packing_into(scratch: Path, folder: Path, settings: Settings, layout: str) -> Callable[[], None]:
    """A call that packs the folder anew."""

    def once() -> None:
        out = scratch / layout
        shutil.rmtree(out, ignore_errors=True)
        pack_source(open_source(str(folder)), out, settings.stored, "centre", layout, settings.size)  # type: ignore[arg-type]

    return once


def copying(settings: Settings, dtype: torch.dtype) -> float:
    """Seconds an image that patches of a type take to the device, from pinned memory; 0 where they are there."""
    if settings.device.type == "cpu":
        return 0.0
    images = torch.zeros(settings.batch, 3, settings.size, settings.size, dtype=dtype, pin_memory=True)
    copy = done(lambda: images.to(settings.device, non_blocking=True), settings.device)
    return take_turns({"copy": copy}, settings.repeats)["copy"].median / settings.batch


def pieces(
    loader: dict[str, Any], step: dict[str, Any], copy: float, packing: dict[str, Any] | None = None
) -> dict[str, float]:
    """Seconds an image of each piece, by the medians: reading, copying, computing, packing spread over the epochs."""
    found = {
        "loader": 1 / loader["images_per_second"] / cores(),
        "copy": copy,
        "compute": 1 / step["images_per_second"],
    }
    if packing is not None:
        found["packing"] = 1 / packing["images_per_second"] / EPOCHS
    return found


def together(parts: dict[str, float], device: torch.device) -> float:
    """Seconds an image of all pieces: their sum on a CPU; on a GPU the slowest that run side by side, and packing."""
    if device.type == "cpu":
        return sum(parts.values())
    return max(parts["loader"], parts["copy"], parts["compute"]) + parts.get("packing", 0.0)


def bottleneck(name: str, parts: dict[str, float]) -> str:
    """Which piece decides, in words and figures."""
    slowest = max(parts, key=lambda piece: parts[piece])
    share = parts[slowest] / sum(parts.values())
    figures = ", ".join(f"{piece} {seconds * 1e3:.2f} ms" for piece, seconds in parts.items())
    return f"{name}: the bottleneck is the {slowest}, {share:.0%} of the work (an image: {figures})"
