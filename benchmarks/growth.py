"""What an image costs as the number of images grows: reading, training's whole feed, and memory of the process.

Packs of 1,000 to 100,000 images are written, raw and as JPEG, and read in the random order of training, each in a
process of its own; what was just written is in the system's memory. Writes results/growth.json and
docs/pictures/growth.png.

Run: python benchmarks/growth.py [--folder SCRATCH] [--counts 1000,10000,100000] [--side 128]
"""

import argparse
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import measured
from packs import write_made_pack

COUNTS = (1_000, 3_000, 10_000, 30_000, 100_000)
SIDE = 128  # pixels: 49 kB an image, 4.9 GB at the largest count
BATCH = 128
STEPS = 60  # batches read in each pass, through as many epochs as that takes
PASSES = 5
PICTURE = measured.ROOT / "docs" / "pictures" / "growth.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the packs are written for the time being")
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)), help="numbers of images")
    parser.add_argument("--side", type=int, default=SIDE, help="of the stored images, in pixels")
    parser.add_argument("--name", default="growth", help="of the results file")
    parser.add_argument("--one", type=Path, help="measure the pack in this folder and print the document")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one)))
        return
    document = measured.conditions(f"python benchmarks/growth.py --counts {asked.counts} --side {asked.side}") | {
        "side": asked.side,
        "batch": BATCH,
        "seconds": f"an image, in each of {PASSES} passes of {STEPS} batches in random order, after an unmeasured one; "
        "read: bytes of the patch, one thread; feed: patch, mirror, colour noise, floats, as training takes them",
        "memory": "anonymous resident memory of the process after the passes, in bytes; mapped files are not in it",
        "results": [],
    }
    for layout in ("raw", "jpeg"):
        for count in map(int, asked.counts.split(",")):
            with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
                folder = Path(scratch) / "pack"
                write_made_pack(folder, count, asked.side, layout)
                command = [sys.executable, __file__, "--one", str(folder)]
                found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                shutil.rmtree(folder)
            document["results"].append(json.loads(found))
            print(found.strip(), file=sys.stderr)
    print(measured.write(asked.name, document))
    if asked.name == "growth":
        draw(document, PICTURE)


def measure(folder: Path) -> dict[str, Any]:
    """Time and memory of one pack, in this process."""
    from alexnet.augment import draw as draw_chance
    from alexnet.bench.loading import AUGMENTATION, cut_of
    from alexnet.data import Batches, open_packed

    before = anonymous_bytes()
    begin = time.perf_counter()
    packed = open_packed(folder)
    batches = Batches(packed, np.arange(len(packed)), BATCH, seed=0)
    opened = time.perf_counter() - begin
    size = round(packed.stored * 224 / 256)
    buffer = np.empty((BATCH, size, size, 3), np.uint8)

    def read(epoch: int) -> Iterator[Any]:
        order = batches.order(epoch)
        for step in range(batches.steps):
            rows = batches.rows_of(order, step)
            cut = cut_of(draw_chance(AUGMENTATION, 0, step, len(rows)), packed.sizes(rows), size)
            yield packed.read(rows, None, cut, buffer)

    images = STEPS * BATCH
    return {
        "layout": packed.layout,
        "images": len(packed),
        "bytes": (folder / "images.npy").stat().st_size,
        "seconds_to_open": opened,
        "read": [seconds / images for seconds in timed(read)],
        "feed": [seconds / images for seconds in timed(lambda epoch: fed(packed, batches, size, epoch))],
        "memory_before": before,
        "memory": anonymous_bytes(),
    }


def timed(epoch: Callable[[int], Iterator[Any]]) -> list[float]:
    """Seconds of each measured pass."""
    passed = itertools.chain.from_iterable(map(epoch, itertools.count()))
    seconds = []
    for _ in range(PASSES + 1):
        begin = time.perf_counter()
        for _ in itertools.islice(passed, STEPS):
            pass
        seconds.append(time.perf_counter() - begin)
    return seconds[1:]


def fed(packed: Any, batches: Any, size: int, epoch: int) -> Iterator[Any]:
    """Training's feed of a run over all images of a pack."""
    import torch

    from alexnet.bench.loading import AUGMENTATION, AXES
    from alexnet.data import Parts
    from alexnet.recipe import Recipe
    from alexnet.training.feed import feed
    from alexnet.training.run import Run
    from alexnet.training.speed import Chosen

    none = np.empty(0, np.int64)
    run = Run(
        folder=packed.path,
        recipe=Recipe(augmentation=AUGMENTATION),
        packed=packed,
        parts=Parts(batches.rows, none, none, none, []),
        net=torch.nn.Identity(),  # type: ignore[arg-type]
        device=torch.device("cpu"),
        fresh=set(),
        frozen=set(),
        colour_axes=AXES,
        size=size,
        side=packed.stored,
        speed=Chosen("float32", "contiguous", "eager", "eager", ""),
    )
    return feed(run, batches, epoch, 0, lambda step: 0.1)


def anonymous_bytes() -> int:
    """Resident memory of this process that is no file's."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))) * 1024


def draw(document: dict[str, Any], path: Path) -> None:
    """Time and memory over the number of images, one line a layout."""
    from matplotlib import ticker
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    time_axes, memory_axes = figure.subplots(1, 2)
    for layout, colour in (("raw", "C0"), ("jpeg", "C1")):
        rows = [row for row in document["results"] if row["layout"] == layout]
        counts = [row["images"] for row in rows]
        for what, style in (("read", "-o"), ("feed", "--s")):
            medians = [statistics.median(row[what]) * 1e3 for row in rows]
            time_axes.plot(counts, medians, style, color=colour, label=f"{layout}, {what}", markersize=4)
        memory_axes.plot(counts, [row["memory"] / 1e6 for row in rows], "-o", color=colour, label=layout, markersize=4)
    time_axes.set(title="an image", ylabel="milliseconds", yscale="log")
    memory_axes.set(title="memory of the process, files not counted", ylabel="MB", ylim=(0, None))
    time_axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    for axes in (time_axes, memory_axes):
        axes.set(xscale="log", xlabel="packed images")
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
