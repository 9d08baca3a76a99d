"""How good image search is on Fashion-MNIST, by features, by codes of them, and by pixels; writes results/search.json.

Run: python benchmarks/search.py [--work FOLDER] [--run RUN] [--commit COMMIT]
Fashion-MNIST is Debian's package dataset-fashion-mnist. Its 60,000 training images are indexed, its 10,000 test images
are the queries. Three nets: trained on all ten classes, trained on the first five alone, and not trained at all. On
the last five classes, 30,000 images and 5,000 queries, the second net has never seen what it is asked for.

What lies in FOLDER already (runs, vectors, results of one experiment) is taken as it is, so that a run that was
interrupted goes on.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import measured
from alexnet.checkpoint import load_weights, save_weights, weights_file
from alexnet.data import Packed, open_packed, open_source, pack
from alexnet.data.source import TEST, TRAIN
from alexnet.models import build
from alexnet.retrieval.codes import METHODS
from alexnet.retrieval.compare import BITS, Labelled, compare
from alexnet.retrieval.embed import embed
from alexnet.retrieval.vectors import Vectors, open_vectors

FASHION = "/usr/share/datasets/fashion-mnist"
RECIPE = (
    *("--data.margin", "1.06", "--augmentation.colour", "off"),
    *("--optimiser.batch", "64", "--optimiser.rate", "0.05"),
)
ALL = ["train", FASHION, "--epochs", "6", *RECIPE]  # the run of results/fashion_mnist.json
FIVE = ["train", "fashion-mnist-first-five", "--epochs", "4", *RECIPE, "--optimiser.precision", "bfloat16"]
SEEN = 5  # classes of the second net

Bits = tuple[int, ...]
Names = tuple[str, ...]
CODES: dict[str, tuple[Bits, Names]] = {
    "fc7": (BITS, METHODS),
    "untrained": ((128,), ("autoencoder",)),
    "pixels": (BITS, ("autoencoder",)),
    "unseen-five": (BITS, ("autoencoder",)),
    "unseen-fc7": ((128,), ("autoencoder",)),
    "unseen-untrained": ((128,), ("autoencoder",)),
    "unseen-pixels": (BITS, ("autoencoder",)),
}
"""Experiment -> lengths and kinds of codes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("search-work"), help="runs and vectors are kept here")
    parser.add_argument("--run", type=Path, help="a run on all classes that is finished already")
    parser.add_argument("--commit", help="what the vectors and results in FOLDER were made with")
    parser.add_argument("--queries", type=int, help="only so many of the queries: a trial, nothing is written")
    parser.add_argument("--only", nargs="+", choices=CODES, help="only these experiments, for later")
    asked = parser.parse_args()
    document = measured.conditions("python benchmarks/search.py" + (" --run RUN" if asked.run else ""))
    document["commit"] = asked.commit or document["commit"]
    asked.work.mkdir(exist_ok=True)
    runs = the_runs(asked.work, asked.run)
    vectors = {name: embedded(run, asked.work / f"vectors-{name}") for name, run in runs.items()}
    experiments = {}
    for name, index, queries, bits, methods in the_experiments(vectors):
        if asked.only and name not in asked.only:
            continue
        path = asked.work / f"{name}{f'-{asked.queries}' if asked.queries else ''}.json"
        if not path.exists():
            path.write_text(json.dumps(compare(index, part_of(queries, asked.queries), bits, methods)))
        experiments[name] = json.loads(path.read_text())
        print(name, json.dumps(experiments[name]["exact"]))
    if asked.queries or asked.only:
        return
    document |= {
        "threads": torch.get_num_threads(),
        "training": {"ten": " ".join(["alexnet", *ALL]), "five": " ".join(["alexnet", *FIVE]), "untrained": None},
        "nets": {name: about(run) for name, run in runs.items()},
        "experiments": experiments,
        "criterion": criterion(experiments["fc7"]),
    }
    print(measured.write("search", document))


def the_runs(work: Path, given: Path | None) -> dict[str, Path]:
    """The three nets, trained where they are not there."""
    ten, five, untrained = given or work / "ten", work / "five", work / "untrained.safetensors"
    if not ten.exists():
        train(ALL, ten)
    subset = work / "fashion-mnist-first-five"
    if not subset.exists():
        source = open_source(FASHION)
        kept = source.labels < SEEN
        paths = [path for path, keep in zip(source.paths, kept) if keep]
        changed = {"labels": source.labels[kept], "given": source.given[kept], "arrays": source.arrays[kept]}
        pack(replace(source, name=subset.name, classes=source.classes[:SEEN], paths=paths, **changed), subset)
    if not five.exists():
        train([FIVE[0], str(subset), *FIVE[2:]], five)
    if not untrained.exists():
        net, card = load_weights(weights_file(ten))
        torch.manual_seed(0)
        fresh = build(card.model, len(card.classes), card.size, "he")  # as the recipe starts
        fresh.set_preprocessing(net.mean, float(net.scale))
        save_weights(untrained, fresh.state_dict(), card)
    return {"ten": ten, "five": five, "untrained": untrained}


def train(words: list[str], out: Path) -> None:
    command = [Path(sys.executable).parent / "alexnet", *words, "--out", out, "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def embedded(run: Path, out: Path) -> Vectors:
    return open_vectors(out) if out.exists() else embed(run, FASHION, out)


def the_experiments(vectors: dict[str, Vectors]) -> Iterator[tuple[str, Labelled, Labelled, Bits, Names]]:
    """The name of each, what is indexed, what is asked, bits and methods; one after another is in memory."""
    table = vectors["ten"]
    images = pixels(open_packed(table.manifest["packed"]), table)
    unseen = table.labels >= SEEN
    arrays = {"fc7": table.array, "untrained": vectors["untrained"].array, "pixels": images}
    for name, array in arrays.items():
        yield name, *parts(array, table), *CODES[name]
    for name, array in {"five": vectors["five"].array, **arrays}.items():
        yield f"unseen-{name}", *parts(array, table, unseen), *CODES[f"unseen-{name}"]


def parts(array: np.ndarray, table: Vectors, among: np.ndarray | bool = True) -> tuple[Labelled, Labelled]:
    """The training images, which are indexed, and the test images, which are asked."""
    rows = [np.flatnonzero((table.given == part) & among) for part in (TRAIN, TEST)]
    index, queries = (Labelled(array[row], table.labels[row], table.digests[row]) for row in rows)
    return index, queries


def pixels(packed: Packed, table: Vectors) -> np.ndarray:
    """The images as vectors of grey values 0..255: float32 [n, 784]."""
    return packed.read(table.rows).reshape(len(table), -1).astype(np.float32)


def part_of(queries: Labelled, count: int | None) -> Labelled:
    return Labelled(queries.array[:count], queries.labels[:count], queries.digests[:count])


def about(run: Path) -> dict[str, Any] | None:
    """What a run's own files say of it; None of the net that was not trained."""
    if not run.is_dir():
        return None
    said, test = (json.loads((run / name).read_text()) for name in ("run.json", "evaluation.json"))
    return {
        "classes": said["classes"],
        "images_seen": said["images_seen"],
        "top1_error": test["top1_error"],
        "recipe": (run / "recipe.yaml").read_text(),
    }


def criterion(result: dict[str, Any]) -> dict[str, Any]:
    """128-bit codes, the 200 nearest re-ranked by L2, keep at least 95 % of the exact precision at 10."""
    kept = {row["method"]: row["precision_kept"] for row in result["codes"] if row["bits"] == 128}
    return {"bits": 128, "shortlist": result["shortlist"], "wanted": 0.95, "precision_kept": kept}


if __name__ == "__main__":
    main()
