"""The whole table of a graphics card, by one command: what is right first, then how fast. Writes results/gpu.json.

Run: python benchmarks/gpu.py [--folder SCRATCH] [--images 150000] [--batch 256]

Packs of made-up images are written into SCRATCH (150,000 of 256 pixels: 29 GB raw, 6 GB as JPEG). Where there is no
card, one line says so and the file says "measured": false. `--device cpu --small` runs every row in little, to try
the script; its figures mean nothing.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import gpu_rows as rows
import measured
from alexnet.devices import choose_device
from chips import chip_of

IMAGENET, EPOCHS = 1_281_167, 90


@dataclass(frozen=True)
class Plan:
    """How large everything is.

    Attributes:
        device: where.
        folder: for packs.
        images: in each pack.
        stored: side of the packed images; `size`: of the net's input; both in pixels.
        batch: images in a step.
        steps: in one measured call; `repeats`: calls of each way.
        files: JPEG files for the reference loader.
        model: the net of all rows but the last; `families`: nets of the last table.
    """

    device: torch.device
    folder: Path
    images: int
    stored: int
    size: int
    batch: int
    steps: int
    repeats: int
    files: int
    model: str
    families: tuple[str, ...]


FAMILIES = (
    "lenet5",
    "alexnet",
    "alexnet_2012",
    "caffenet",
    "alexnet_2014",
    "nin",
    "vgg_a",
    "vgg_d",
    "googlenet",
    "googlenet_bn",
    "resnet18",
    "resnet50",
    "resnet152",
)
SECTIONS: dict[str, Callable[[Plan, dict[str, Any]], dict[str, Any]]] = {
    "correct": rows.correct,
    "step": rows.steps,
    "train": rows.train,
    "reference": rows.reference,
    "ten_crop": rows.ten_crop,
    "families": rows.families,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the script")
    parser.add_argument("--folder", type=Path, help="where the packs are written for the time being")
    parser.add_argument("--images", type=int, default=150_000, help="in each pack")
    parser.add_argument("--batch", type=int, default=256, help="images in a step")
    parser.add_argument("--small", action="store_true", help="everything in little")
    parser.add_argument("--name", default="gpu", help="of the results file")
    asked = parser.parse_args()
    document = measured.conditions("python " + " ".join(["benchmarks/gpu.py", *sys.argv[1:]]))
    if asked.device == "cuda" and not torch.cuda.is_available():
        print("torch finds no GPU here: nothing was measured", file=sys.stderr)
        print(measured.write(asked.name, document | {"measured": False}))
        return
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        plan = plan_for(asked, Path(scratch))
        document |= {
            "measured": not asked.small,
            "device": torch.cuda.get_device_name(plan.device) if plan.device.type == "cuda" else str(plan.device),
            "cuda": torch.version.cuda,
            "seed": 0,
            "plan": {name: str(value) for name, value in vars(plan).items()},
        }
        run(plan, document, asked.name)


def run(plan: Plan, document: dict[str, Any], name: str) -> None:
    """Every section in turn; what was measured is written down after each."""
    found: dict[str, Any] = {}
    for section, measure in SECTIONS.items():
        print(section, file=sys.stderr)
        found[section] = measure(plan, found)
        measured.write(name, document | found)
    found["summary"] = summed_up(found, document["device"])
    print(measured.write(name, document | found))


def summed_up(found: dict[str, Any], device: str) -> dict[str, Any]:
    """The figures that the targets are about."""
    chip = chip_of(device)
    best = found["train"]["raw"]["images_per_second"]
    free = found["step"]["rows"][0]["ways"]["without norm, compiled"]["images_per_second"]
    operations = found["step"]["work"]["training_operations"]
    return {
        "images_per_second": best,
        "share_of_the_step_without_norm": best / free,
        "share_of_peak": best * operations / chip.bfloat16 if chip else None,
        "floor": rows.floor(found["step"]["work"], chip, "training") if chip else None,
        "times_the_reference": best / found["reference"]["images_per_second"],
        "hours_for_90_epochs_of_imagenet": IMAGENET * EPOCHS / best / 3600,
        "extrapolated": ["hours_for_90_epochs_of_imagenet"],
    }


def plan_for(asked: argparse.Namespace, scratch: Path) -> Plan:
    """The plan of a measurement, or one in little."""
    device = choose_device(asked.device)
    if asked.small:
        return Plan(
            device, scratch, min(asked.images, 64), 76, 67, 8, 1, 1, 16, "alexnet", ("lenet5", "resnet20_cifar")
        )
    return Plan(device, scratch, asked.images, 256, 227, asked.batch, 20, 5, 2_000, "alexnet", FAMILIES)


if __name__ == "__main__":
    main()
