"""What several GPUs would gain, by arithmetic: the time of a step from operations, bytes and the bandwidth of links.

Bytes come from `alexnet.parallel.traffic`, whose arithmetic the tests compare with bytes counted in real steps. Times
of GPUs are assumptions, written into the file with how they were come by: no GPU was at hand. The first rows go the
other way, from the days that the paper took to the time of its step. Writes results/scaling.json.

Run: python benchmarks/scaling.py
"""

import math
from dataclasses import asdict, dataclass

import torch

import measured
from alexnet.models import Classifier, build
from alexnet.models.summary import layer_table
from alexnet.parallel import traffic

GIGA, MICRO = 1e9, 1e-6
LINKS = {  # bytes a second in one direction, as the standards have them
    "PCIe 2.0 x16": 8 * GIGA,
    "PCIe 4.0 x16": 32 * GIGA,
    "NVLink 4": 450 * GIGA,
    "400 Gb/s network": 50 * GIGA,
}
SHARE_OF_LINK = 0.75
LATENCY = {"PCIe 4.0 x16": 5 * MICRO, "NVLink 4": 2 * MICRO, "400 Gb/s network": 5 * MICRO}
OVERLAPPED = 2 / 3
PEAK, SHARE_OF_PEAK = 989e12, 0.1
PAPER = {"days": (5, 6), "epochs": 90, "images": 1.2e6, "batch": 128, "gpus": 2}
BATCH = 128
WIDTH = 2  # bytes of an activation in bfloat16; weights and their gradients have 4
ASSUMPTIONS = {
    "links": f"bytes a second in one direction of each GPU, of which a share of {SHARE_OF_LINK} is reached",
    "latency": "seconds a hop; an all-reduce among K takes 2 log2(K) hops, as in a tree. The gradients are one of "
    "them, every batch norm four more; for activations, and in the paper's rows, none counts",
    "overlapped": f"gradients travel while backward works, for {OVERLAPPED:.3g} of the computing time; the rest cannot",
    "modern": f"H100 SXM: a share of {SHARE_OF_PEAK:g} of its {PEAK / 1e12:g} TFLOP/s (dense bfloat16, data sheet), "
    "the same at every batch and net; 6 operations a step for a multiply-add of the forward pass; not measured",
    "paper": "two GTX 580, 90 epochs of 1.2 million images in batches of 128, five to six days (section 5), taken as "
    "5.5; of a step its towers' exchange is subtracted, not overlapped; all in float32; one GPU, had it the memory, "
    "would compute for twice as long",
    "left out": "loading images, validation, processes that wait for each other, other traffic on the links",
}


@dataclass(frozen=True)
class Row:
    """One way to share a step.

    Attributes:
        gpus, net, scheme, link: who, what, how, by what.
        regime: "weak", as many images on each GPU whatever their number, or "strong", as many in all.
        batch: images of a step, on all GPUs together.
        compute: seconds that a GPU computes in a step.
        alone: seconds of one GPU for the same images.
        activations, gradients: bytes that each GPU sends.
        exchange: seconds of that.
        step, overlapped: seconds of a step, gradients sent afterwards, or while backward works.
        efficiency, efficiency_overlapped: speed-up over one GPU, by the number of GPUs.
    """

    gpus: int
    net: str
    scheme: str
    link: str
    regime: str
    batch: int
    compute: float
    alone: float
    activations: float
    gradients: float
    exchange: float
    step: float
    overlapped: float
    efficiency: float
    efficiency_overlapped: float


def main() -> None:
    with torch.device("meta"):
        nets = {name: build(name) for name in ("alexnet", "resnet50")}
    rows = of_the_paper(nets["alexnet"])
    for net in nets.values():
        for link in ("PCIe 4.0 x16", "NVLink 4"):
            rows += modern(net, 8, BATCH * 8, link, "weak")
        rows += modern(net, 8, BATCH, "NVLink 4", "strong")
        rows += modern(net, 1024, BATCH * 1024, "400 Gb/s network", "weak")
        rows += modern(net, 1024, BATCH * 64, "400 Gb/s network", "strong")
    document = measured.conditions("python benchmarks/scaling.py") | {
        "measured": False,
        "assumptions": ASSUMPTIONS,
        "links": LINKS,
        "share_of_link": SHARE_OF_LINK,
        "latency": LATENCY,
        "overlapped": OVERLAPPED,
        "peak": PEAK,
        "share_of_peak": SHARE_OF_PEAK,
        "multiply_adds": {name: multiply_adds(net) for name, net in nets.items()},
        "paper": PAPER | {"step": [step_of_the_paper(days) for days in PAPER["days"]]},
        "rows": [asdict(row) for row in rows],
    }
    print(measured.write("scaling", document))


def step_of_the_paper(days: float) -> float:
    """Seconds of a step of the paper's two GPUs, of the days that it took."""
    return days * 86400 / (PAPER["epochs"] * PAPER["images"] / PAPER["batch"])


def of_the_paper(net: Classifier) -> list[Row]:
    """The towers as they ran, and what data-parallel would have cost beside them."""
    link, gpus = "PCIe 2.0 x16", PAPER["gpus"]
    ways = {row.scheme: row for row in traffic.table(net, PAPER["batch"], gpus)}
    step = step_of_the_paper(sum(PAPER["days"]) / 2)
    compute = step - seconds(ways["two towers"].bytes, link)
    return [
        row_of(net, ways[name], link, "strong", PAPER["batch"], compute, compute * gpus)
        for name in ("two towers", "data-parallel")
    ]


def modern(net: Classifier, gpus: int, batch: int, link: str, regime: str) -> list[Row]:
    """Every scheme that suits the net, on GPUs of today."""
    alone = batch * 6 * multiply_adds(net) / (PEAK * SHARE_OF_PEAK)
    ways = traffic.table(net, batch, gpus, WIDTH)[1:]
    return [row_of(net, way, link, regime, batch, alone / gpus, alone) for way in ways]


def row_of(
    net: Classifier,
    way: traffic.Exchange,
    link: str,
    regime: str,
    batch: int,
    compute: float,
    alone: float,
) -> Row:
    """A row from the time that a GPU computes, and that one GPU would need for the same images."""
    hop = 2 * math.log2(way.processes) * LATENCY.get(link, 0.0)
    norms = sum(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules())
    gradients = seconds(way.gradients, link) + hop * (way.gradients > 0)
    activations = seconds(way.activations, link) + hop * 4 * norms
    step = compute + activations + gradients
    overlapped = compute + activations + max(0.0, gradients - OVERLAPPED * compute)
    return Row(
        gpus=way.processes,
        net=net.name,
        scheme=way.scheme,
        link=link,
        regime=regime,
        batch=batch,
        compute=compute,
        alone=alone,
        activations=way.activations,
        gradients=way.gradients,
        exchange=activations + gradients,
        step=step,
        overlapped=overlapped,
        efficiency=alone / way.processes / step,
        efficiency_overlapped=alone / way.processes / overlapped,
    )


def seconds(count: float, link: str) -> float:
    """Of so many bytes over a link."""
    return count / (LINKS[link] * SHARE_OF_LINK)


def multiply_adds(net: Classifier) -> int:
    """Of one image's forward pass."""
    return sum(row["multiply_adds"] for row in layer_table(net))


if __name__ == "__main__":
    main()
