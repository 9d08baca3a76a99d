"""Our response normalisation beside torch's, forward and backward, interleaved; writes results/lrn.json.

Run: python benchmarks/lrn.py [--repeats 9]

On one thread and on all. With other programs on the same cores the times of all threads say little: our many short
operations wait for each other at every step, torch's few long ones seldom. The load of the machine is recorded.
"""

import argparse
import statistics
import time

import torch
from torch import Tensor, nn

import measured
from alexnet.models.lrn import LRN

SHAPES = ((32, 96, 55, 55), (32, 256, 27, 27))  # what AlexNet normalises, at a batch of 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    report = measured.conditions(f"python benchmarks/lrn.py --repeats {arguments.repeats}") | {
        "seed": 0,
        "repeats": arguments.repeats,
        "seconds": "forward + backward, float32, after one unmeasured pass; the two take turns",
        "ratio": "seconds of torch.nn.LocalResponseNorm / seconds of ours, of the medians",
        "results": [
            timed(shape, threads, arguments.repeats)
            for threads in sorted({1, torch.get_num_threads()})
            for shape in SHAPES
        ],
    }
    print(measured.write("lrn", report))


def timed(shape: tuple[int, ...], threads: int, repeats: int) -> dict[str, object]:
    torch.set_num_threads(threads)
    stages: dict[str, nn.Module] = {
        "ours": LRN(n=5, k=2.0, alpha=1e-4, beta=0.75, alpha_is="sum"),
        "torch": nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),
    }
    x, g = torch.randn(shape).mul_(60).requires_grad_(), torch.randn(shape)
    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(repeats + 1):
        for name, stage in stages.items():
            seconds[name].append(once(stage, x, g))
    seconds = {name: values[1:] for name, values in seconds.items()}
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "shape": list(shape),
        "threads": threads,
        "median": medians,
        "spread": {name: [min(values), max(values)] for name, values in seconds.items()},
        "ratio": medians["torch"] / medians["ours"],
    }


def once(stage: nn.Module, x: Tensor, g: Tensor) -> float:
    x.grad = None
    begin = time.perf_counter()
    stage(x).backward(g)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
