"""Test errors of whole runs by the command line; writes results/NAME.json.

Run: python benchmarks/errors.py NAME [--out RUN [--commit COMMIT]]; the names are those of COMMANDS
Fashion-MNIST is Debian's package dataset-fashion-mnist, a folder of IDX files.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import measured
from alexnet.models import build

FASHION = ("train", "/usr/share/datasets/fashion-mnist")
WHOLE = ("--data.margin", "1", "--augmentation.colour", "off")  # clothes lie in the middle: no zooming in
BFLOAT16 = ("--optimiser.precision", "bfloat16")
COMMANDS = {
    "digits": ["train", "digits"],
    "fashion_mnist": [
        *(*FASHION, "--epochs", "6", "--data.margin", "1.06"),
        *("--optimiser.batch", "64", "--optimiser.rate", "0.05", "--augmentation.colour", "off"),
    ],
    "fashion_mnist_lenet5": [
        *(*FASHION, "--model", "lenet5", *WHOLE[:2], "--augmentation.crop", "false", "--augmentation.mirror", "false"),
        *(*WHOLE[2:], "--epochs", "14", "--optimiser.batch", "64", "--optimiser.rate", "0.003"),
    ],
    "fashion_mnist_nin": [
        *(*FASHION, "--model", "nin_mnist", *WHOLE, "--epochs", "6"),
        *("--optimiser.batch", "64", "--optimiser.rate", "0.05", *BFLOAT16),
    ],
    "fashion_mnist_vgg": [
        *(*FASHION, "--model", "vgg_cifar", "--size", "32", *WHOLE, "--epochs", "3"),
        *("--optimiser.batch", "64", "--optimiser.rate", "0.02", *BFLOAT16),
    ],
    "fashion_mnist_googlenet": [
        *(*FASHION, "--model", "googlenet", "--size", "32", *WHOLE, "--epochs", "9"),
        *("--optimiser.batch", "64", "--optimiser.rate", "0.012", *BFLOAT16),
    ],
    "fashion_mnist_resnet20": [
        *(*FASHION, "--model", "resnet20_cifar", "--size", "28", *WHOLE[:2], "--augmentation.pad", "2", *WHOLE[2:]),
        *("--epochs", "10", "--optimiser.batch", "128", "--optimiser.rate", "0.1", *BFLOAT16),
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=COMMANDS)
    parser.add_argument("--out", type=Path, help="keep the run here, or read it where it is finished already")
    parser.add_argument("--commit", help="what a run that is finished already was made with")
    asked = parser.parse_args()
    document = measured.conditions(" ".join(["alexnet", *COMMANDS[asked.name]]))
    with tempfile.TemporaryDirectory() as scratch:
        run = asked.out or Path(scratch) / "run"
        if run.exists():
            document["commit"] = asked.commit or "unknown"
            document["load_before"] = None  # not known any more
        else:
            train(asked.name, run)
        document |= figures(run)
    print(measured.write(asked.name, document))


def train(name: str, run: Path) -> None:
    command = [Path(sys.executable).parent / "alexnet", *COMMANDS[name], "--out", run, "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def figures(run: Path) -> dict:
    """What the run's own files say of it."""
    about = json.loads((run / "run.json").read_text())
    result = json.loads((run / "evaluation.json").read_text())
    return {
        "version": about["version"],
        "model": about["model"],
        "parameters": parameters(about["model"], len(about["classes"]), about["size"]),
        "size": about["size"],
        "parts": about["parts"],
        "images_seen": about["images_seen"],
        "steps": about["steps"],
        "training_seconds": round(about["seconds"], 1),
        "environment": about["environment"],
        "repeats": 1,
        "test": {name: result[name] for name in ("images", "top1_error", "top5_error", "interval", "views")},
        "by_views": result["by_views"],
        "baselines": result["baselines"],
        "recipe": (run / "recipe.yaml").read_text(),
    }


def parameters(model: str, classes: int, size: int) -> int:
    """Trained numbers of the net at its own size, side classifiers, which are gone at test, left out."""
    with torch.device("meta"):
        return build(model, classes, size).parameter_count


if __name__ == "__main__":
    main()
