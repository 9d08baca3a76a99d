"""From a folder of JPEG files to trained weights: the pieces measured, their sum, and which of them decides.

Packing is done once in a run and spread over the epochs. The sum takes the reading to be shared evenly by all cores,
and adds it to the computing where both are done by the same cores.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alexnet.bench import loading, step
from alexnet.bench.settings import Settings
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
    ways = {OBVIOUS: pieces(loader[OBVIOUS], steps[OBVIOUS])}
    for layout in ("raw", "jpeg"):
        for precision in ("float32", "bfloat16"):
            ways[f"packed {layout}, {precision}"] = pieces(
                loader[f"packed {layout}, floats"], steps[f"ours, {precision}"], packing["ways"][f"packed {layout}"]
            )
    whole = {name: sum(parts.values()) for name, parts in ways.items()}
    row = {
        "what": f"seconds an image, a sum of measured pieces over {EPOCHS} epochs, {cores()} cores",
        "images": 1,
        "against": OBVIOUS,
        "ways": {
            name: {"median": whole[name], "images_per_second": 1 / whole[name], "pieces": parts}
            for name, parts in ways.items()
        },
        "ratio": {name: whole[OBVIOUS] / seconds for name, seconds in whole.items() if name != OBVIOUS},
    }
    return {
        "what": "folder of JPEG files to trained weights, by sums; obvious: its loader on all cores and its step",
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


def pieces(loader: dict[str, Any], step: dict[str, Any], packing: dict[str, Any] | None = None) -> dict[str, float]:
    """Seconds an image of each piece, by the medians: packing spread over the epochs, reading, computing."""
    found = {"loader": 1 / loader["images_per_second"] / cores(), "compute": 1 / step["images_per_second"]}
    if packing is not None:
        found["packing"] = 1 / packing["images_per_second"] / EPOCHS
    return found


def bottleneck(name: str, parts: dict[str, float]) -> str:
    """Which piece decides, in words and figures."""
    slowest = max(parts, key=lambda piece: parts[piece])
    share = parts[slowest] / sum(parts.values())
    figures = ", ".join(f"{piece} {seconds * 1e3:.2f} ms" for piece, seconds in parts.items())
    return f"{name}: the bottleneck is the {slowest}, {share:.0%} of the sum (an image: {figures})"
