"""Colour photographs at full size: AlexNet at 224 with all its augmentation on patches of nine photographs.

One class a photograph; training patches come from its left part, test patches from its right part, and no pixel is in
both. Writes results/photographs.json and docs/pictures/augmented.png.

Run: python benchmarks/photographs.py [--out RUN]
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_images

import measured

EPOCHS = 20  # of ten steps each
PICTURE = measured.ROOT / "docs" / "pictures" / "augmented.png"
SKIMAGE = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "immunohistochemistry", "retina", "rocket")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="keep the run here")
    parser.add_argument("--picture", action="store_true", help="make docs/pictures/augmented.png, and nothing else")
    asked = parser.parse_args()
    if asked.picture:
        with tempfile.TemporaryDirectory() as scratch:
            augmented(cut(Path(scratch) / "patches"), PICTURE)
        return
    command = f"alexnet train PATCHES --epochs {EPOCHS}"
    document = measured.conditions(command)
    with tempfile.TemporaryDirectory() as scratch:
        folder = cut(Path(scratch) / "patches")
        run = asked.out or Path(scratch) / "run"
        program = Path(sys.executable).parent / "alexnet"
        subprocess.run([program, "train", folder, "--epochs", str(EPOCHS), "--out", run], check=True)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        about = json.loads((run / "run.json").read_text())
        result = json.loads((run / "evaluation.json").read_text())
        steps = [line for line in lines if line["kind"] == "step"]
        chance = math.log(len(about["classes"]))
        first_under_half = next((line["step"] for line in steps if line["loss"] < chance / 2), None)
        document |= {
            "classes": about["classes"],
            "parts": about["parts"],
            "size": about["size"],
            "steps": about["steps"],
            "images_seen": about["images_seen"],
            "training_seconds": round(about["seconds"], 1),
            "ln_classes": chance,
            "loss": [[line["step"], line["loss"]] for line in steps],
            "step_under_half_of_ln_classes": first_under_half,
            "last_loss": steps[-1]["loss"],
            "test": {name: result[name] for name in ("images", "top1_error", "interval", "views")},
            "baselines": result["baselines"],
            "recipe": (run / "recipe.yaml").read_text(),
            "repeats": 1,
        }
        augmented(folder, PICTURE)
    print(measured.write("photographs", document))


def cut(folder: Path, train: int = 40, test: int = 15) -> Path:
    """Patches of 140 to 256 pixels: for training from the left 60 % of each photograph, for test from the rest."""
    chance = np.random.default_rng(0)
    for name, photograph in photographs().items():
        border = int(photograph.shape[1] * 0.6)
        for part, region, count in [("train", photograph[:, :border], train), ("test", photograph[:, border:], test)]:
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                side = int(chance.integers(140, min(256, *region.shape[:2]) + 1))
                top, left = (int(chance.integers(0, limit - side + 1)) for limit in region.shape[:2])
                patch = Image.fromarray(region[top : top + side, left : left + side])
                patch.save(folder / part / name / f"{i:02}.jpg", quality=95)
    return folder


def photographs() -> dict[str, np.ndarray]:
    """Nine photographs, uint8 [h, w, 3]."""
    samples = load_sample_images()
    named = {Path(file).stem: image for file, image in zip(samples.filenames, samples.images)}
    return {name: np.asarray(getattr(data, name)())[..., :3] for name in SKIMAGE} | named


def augmented(folder: Path, path: Path) -> None:
    """A picture of what training sees: an original, and six draws of it, by the paper's rules."""
    import torch

    from alexnet.augment import ColourAxes, draw, training_images
    from alexnet.data import open_source, packed_for, split, statistics
    from alexnet.pictures.sheets import augmented_sheet
    from alexnet.recipe import Augmentation
    from alexnet.recipes import load_recipe

    packed, size, side = packed_for(open_source(folder), load_recipe("practical"))
    rows = split(packed).train
    counted = statistics(packed, rows)
    axes = ColourAxes(counted.eigenvalues, counted.eigenvectors, torch.zeros(3, 1, 1))
    chosen = np.array([rows[packed.labels[rows] == label][1] for label in (0, 1, 2, 7)])
    originals = packed.read(chosen)
    paper = Augmentation(crop=True, mirror=True, colour="paper")
    draws = [training_images(originals, draw(paper, 0, step, 4), paper, axes, side, size, 0.1) for step in range(6)]
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.stack([images.numpy() for images in draws], axis=1)
    path.write_bytes(augmented_sheet(list(originals), times, cell=120))


if __name__ == "__main__":
    main()
