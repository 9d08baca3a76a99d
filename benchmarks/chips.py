"""What a graphics card could do at most, and the least time that a net's training and its answers can take on it."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

from alexnet.models import Classifier
from alexnet.models.summary import layer_table

BYTES = 2  # of a number in bfloat16
UPDATE_BYTES = 5 * 4  # of a weight in a step: read gradient, weight and velocity, write weight and velocity, float32


@dataclass(frozen=True)
class Chip:
    """Figures of the maker's data sheet.

    Attributes:
        bfloat16: multiplications and additions a second, dense, in bfloat16.
        bandwidth: bytes a second from its memory.
    """

    bfloat16: float
    bandwidth: float


# Part of the name that torch gives -> chip; the first that fits counts.
CHIPS = {
    "H100 PCIe": Chip(756e12, 2.0e12),
    "H100": Chip(989e12, 3.35e12),
    "H200": Chip(989e12, 4.8e12),
    "B200": Chip(2250e12, 8.0e12),
    "A100-SXM4-80GB": Chip(312e12, 2.039e12),
    "A100": Chip(312e12, 1.555e12),
    "L40S": Chip(362e12, 0.864e12),
    "L4": Chip(121e12, 0.3e12),
}


def chip_of(name: str) -> Chip | None:
    """The chip of a device's name; None where its figures are not known here."""
    return next((chip for part, chip in CHIPS.items() if part in name), None)


def work_of(net: Classifier, batch: int) -> dict[str, float]:
    """Operations and bytes that one image costs in training and in answering, counted from the net.

    Operations: two for a multiply-add. Training takes three times the forward pass, less the gradient of the images,
    which nobody needs. Bytes: every stage reads its input and writes its output once; in the backward pass it reads its
    input and the gradient of its output and writes that of its input; all in bfloat16. Weights are updated once a
    batch, in float32, and read once a batch for answers.
    """
    rows = layer_table(net)
    forward = sum(row["multiply_adds"] for row in rows)
    first = next(row["multiply_adds"] for row in rows if row["multiply_adds"])
    sizes = [3 * net.size * net.size, *(math.prod(row["output"]) for row in rows)]
    ends = list(itertools.pairwise(sizes))
    weights = net.parameter_count / batch
    return {
        "training_operations": 2.0 * (3 * forward - first),
        "answer_operations": 2.0 * forward,
        "training_bytes": BYTES * sum(3 * before + 2 * after for before, after in ends) + UPDATE_BYTES * weights,
        "answer_bytes": BYTES * (sum(before + after for before, after in ends) + weights),
    }


def floor(work: dict[str, float], chip: Chip, what: str) -> dict[str, Any]:
    """The most images a second by operations and by bytes, and by the slower of the two."""
    by_operations = chip.bfloat16 / work[f"{what}_operations"]
    by_bytes = chip.bandwidth / work[f"{what}_bytes"]
    return {"by_operations": by_operations, "by_bytes": by_bytes, "images_per_second": min(by_operations, by_bytes)}
