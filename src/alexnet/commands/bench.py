"""The command that measures speed: bench."""

import os
import shlex
from pathlib import Path

from alexnet.options import Parser, json_option, print_json


def bench(arguments: list[str]) -> int:
    """Measure our speed beside the obvious way's, in turns."""
    parser = Parser(
        "bench",
        "Time ours beside the obvious way (torchvision's ImageFolder with its reference transforms, AlexNet of torch's "
        "own layers, plain SGD), in turns in one run. Images are made up, of ImageNet's sizes.",
    )
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="lrn, step, inference, tencrop, loader, train, start; default all"
    )
    parser.add_argument("--repeats", type=int, default=5, help="measured calls of each way (default 5)")
    parser.add_argument("--images", type=int, default=256, help="JPEG files of 500x375 to load (default 256)")
    parser.add_argument("--batch", type=int, default=128, help="images in a training step (default 128)")
    parser.add_argument("--size", type=int, default=227, help="side of the net's input in pixels (default 227)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--out", type=Path, help="write the JSON document to this file, after every case")
    json_option(parser)
    asked = parser.parse_intermixed_args(arguments)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own messages, read when torch is loaded
    from rich.console import Console

    from alexnet.bench.run import bench as measure
    from alexnet.bench.settings import settings_of
    from alexnet.bench.table import tables

    settings = settings_of(asked.repeats, asked.images, asked.batch, asked.size, asked.device)
    document = measure(asked.cases or ["all"], settings, shlex.join(["alexnet", "bench", *arguments]), asked.out)
    if asked.json:
        return print_json(document)
    console = Console()
    for part in tables(document):
        console.print(part)
    return 0
