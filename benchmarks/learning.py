"""Whether GoogLeNet and VGG D learn without batch normalisation: ten seeds each; writes results/learning.json.

Run: python benchmarks/learning.py

Sixteen coloured images in four classes, the net at its smallest input, He's start, plain descent with momentum on all
images at once. Learned is: a cross-entropy under 0.1 in evaluation mode. tests/models/test_learning.py asks the same of
every net, one seed each.
"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

import measured
from alexnet.models import Classifier, begin_step, build
from alexnet.models.classifier import cross_entropy

IMAGES, CLASSES, BELOW = 16, 4, 0.1
SEEDS = 10
RATES = {"googlenet": 0.005, "vgg_d": 0.005}
STEPS = 150


@dataclass(frozen=True)
class Outcome:
    """How learning ended.

    Attributes:
        steps: until the cross-entropy was under `BELOW`, looked at every fifth; None if it never was.
        cross_entropy: the last one seen.
    """

    steps: int | None
    cross_entropy: float


def main() -> None:
    torch.set_num_threads(1)
    report = measured.conditions("python benchmarks/learning.py") | {
        "images": IMAGES,
        "classes": CLASSES,
        "learned": f"cross-entropy under {BELOW} in evaluation mode, looked at every fifth step",
        "steps_allowed": STEPS,
        "momentum": 0.9,
        "start": "he",
        "results": [],
    }
    for name, rate in RATES.items():
        rows = []
        for seed in range(SEEDS):
            begin = time.process_time()
            net = fresh(name, seed)
            outcome = learn(net, *task(net.size, seed), rate, STEPS, seed)
            seconds = round(time.process_time() - begin, 1)
            rows.append({"seed": seed, **vars(outcome), "processor_seconds": seconds})
            print(name, rows[-1], flush=True)
        learned = sum(row["steps"] is not None for row in rows)
        report["results"].append({"net": name, "size": net.size, "rate": rate, "learned": learned, "seeds": rows})
    print(measured.write("learning", report))


def fresh(name: str, seed: int) -> Classifier:
    """A net at its smallest input; its inputs have mean 0 and deviation 1, as the practical recipe's have.

    LeNet-5 keeps its own start, to which its squashing belongs.
    """
    with torch.device("meta"):
        smallest = build(name, CLASSES).smallest
    torch.manual_seed(seed)
    net = build(name, CLASSES, smallest, start="paper" if name.startswith("lenet5") else "he")
    net.set_preprocessing([127.5] * 3, 60.0)
    return net


def task(side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images of coloured clouds, no two alike, float32 [16 3 side side] in 0..255, and labels without any rule."""
    generator = torch.Generator().manual_seed(seed)
    clouds = torch.rand(IMAGES, 3, 4, 4, generator=generator) * 255
    images = functional.interpolate(clouds, size=(side, side), mode="bilinear")
    return images, torch.arange(IMAGES) % CLASSES


def learn(net: Classifier, images: Tensor, labels: Tensor, rate: float, steps: int, seed: int) -> Outcome:
    """Descend on all images at once until they are learned or the steps are over."""
    optimiser = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    entropy = float("inf")
    for step in range(1, steps + 1):
        net.train()
        begin_step(net, seed, step, slice(0, len(labels)), len(labels))
        terms = net.loss(images, labels)
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
        if step % 5 == 0:
            with torch.no_grad():
                entropy = float(cross_entropy(net.eval()(images).float(), labels))
            if entropy < BELOW:
                return Outcome(step, entropy)
    return Outcome(None, entropy)


if __name__ == "__main__":
    main()
