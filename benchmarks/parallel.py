"""A training step of AlexNet on two cores: one process with one thread and with two, and each way to share it by two.

Two processes joined by gloo on this machine hold all ways and take them in turns. Bytes are counted in a real step and
stand beside those by arithmetic. Writes results/parallel.json.

Run: python benchmarks/parallel.py [--repeats 7] [--name parallel]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import measured
from alexnet import processes
from alexnet.bench.timing import take_turns
from alexnet.models import build
from alexnet.parallel import traffic
from alexnet.parallel.launch import joined
from alexnet.parallel.scheme import Scheme
from alexnet.parallel.schemes import Layout, make_scheme
from alexnet.recipe import Recipe
from alexnet.training.optimise import Rates, make_optimiser, parameter_groups
from alexnet.training.speed import Chosen, apply
from alexnet.training.step import Step

CASES = ((64, 32), (224, 16))  # side in pixels, images of a step
CLASSES = 1000
ALONE = {"one process, 1 thread": 1, "one process, 2 threads": 2}
SHARED: dict[str, Layout] = {"data-parallel": "data", "two towers": "towers", "fully-connected split": "split"}
PLAIN = Chosen("float32", "contiguous", "eager", "eager", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="measured steps of each way")
    parser.add_argument("--name", default="parallel", help="of the results file")
    parser.add_argument("--case", help="SIDE,IMAGES: what each of the two processes measures")
    parser.add_argument("--found", type=Path, help="where the first of them writes it")
    asked = parser.parse_args()
    if asked.case:
        side, images = map(int, asked.case.split(","))
        with joined(device="cpu"):
            found = measure(side, images, asked.repeats)
            if processes.is_first():
                asked.found.write_text(json.dumps(found))
        return
    document = measured.conditions(f"python benchmarks/parallel.py --repeats {asked.repeats}") | {
        "processes": 2,
        "model": "alexnet",
        "classes": CLASSES,
        "seconds": f"a training step in float32 with its exchange and update, {asked.repeats} times in turns; shared: "
        "two processes of one thread each, joined by gloo on one machine",
        "bytes": "that each process sends in a step, and receives as many",
        "results": [],
    }
    for side, images in CASES:
        with tempfile.TemporaryDirectory() as folder:
            found = Path(folder) / "found.json"
            own = ["--case", f"{side},{images}", "--found", str(found), "--repeats", str(asked.repeats)]
            start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
            subprocess.run([*start, __file__, *own], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
            document["results"].append(json.loads(found.read_text()))
    print(measured.write(asked.name, document))


def measure(side: int, images: int, repeats: int) -> dict[str, Any]:
    """Times and bytes of all ways, in both processes; those of the first are written."""
    ways, sent = {}, {}
    for name, threads in ALONE.items():
        take = step_of(Scheme, side, images) if processes.is_first() else lambda: None
        ways[name] = alone(take, threads)
    for name, layout in SHARED.items():
        take = step_of(lambda net, optimiser, layout=layout: make_scheme(net, optimiser, layout), side, images)
        with traffic.Counted() as counted:
            take()
        sent[name] = {"activations": counted.gathered, "gradients": counted.reduced}
        ways[name] = together(take)
    timings = take_turns(ways, repeats)
    with torch.device("meta"):
        table = traffic.table(build("alexnet", CLASSES, side), images, processes.size())
    return {
        "side": side,
        "images": images,
        "ways": {name: timing.to_dict() for name, timing in timings.items()},
        "bytes": sent,
        "arithmetic": {row.scheme: row.bytes for row in table},
    }


def step_of(scheme_of: Callable[..., Scheme], side: int, images: int) -> Callable[[], object]:
    """What takes one training step on noise in this process, sharing it as the scheme says."""
    torch.manual_seed(0)
    net, recipe = build("alexnet", CLASSES, side), Recipe()
    net.set_preprocessing(torch.full((3,), 127.0), 70.0)
    apply(net.train(), PLAIN)
    scheme = scheme_of(net, make_optimiser(parameter_groups(net, recipe, set(), set()), recipe))
    scheme.spread()
    Rates(scheme.own_optimiser, recipe, 1, 100).set(0)
    step = Step(scheme, recipe, PLAIN, images)
    step.taken = 1  # the first step of a run says what it sent
    own = scheme.own_rows(images)
    pixels, labels = torch.rand(images, 3, side, side)[own] * 255, torch.randint(CLASSES, (images,))[own]
    return lambda: step(pixels, labels, 0)


def alone(take: Callable[[], object], threads: int) -> Callable[[], None]:
    """The first process takes a step with so many threads, and the other waits for it."""

    def way() -> None:
        processes.wait_for_all()
        torch.set_num_threads(threads)
        take()
        torch.set_num_threads(1)
        processes.wait_for_all()

    return way


def together(take: Callable[[], object]) -> Callable[[], None]:
    """Both processes take a step, begun and ended together."""

    def way() -> None:
        processes.wait_for_all()
        take()
        processes.wait_for_all()

    return way


if __name__ == "__main__":
    main()
