"""The error of a trained net, by the protocol that its recipe names, and everything the report shows of it."""

import csv
import json
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from alexnet import processes
from alexnet.checkpoint import Card, load_weights, read_run, weights_file
from alexnet.data import Packed, Source, open_packed, open_source, packed_for, split
from alexnet.data.source import TEST, VALIDATION
from alexnet.devices import choose_device
from alexnet.errors import InputError
from alexnet.evaluation.answers import answers_of, write_answers
from alexnet.evaluation.baselines import majority_error, nearest_pixel_error
from alexnet.evaluation.calibrate import apply_temperature, expected_calibration_error
from alexnet.evaluation.classify import probabilities
from alexnet.evaluation.inference import Precision, for_inference
from alexnet.evaluation.metrics import (
    confusion_counts,
    log_loss,
    per_class_table,
    top_k,
    top_k_error,
    wilson_interval,
)
from alexnet.evaluation.published import comparable_to
from alexnet.evaluation.sharing import same_everywhere
from alexnet.files import replacing, write_json
from alexnet.recipes import recipe_from

MISTAKES = 48  # pictures in the report


def evaluate(
    run: str | Path,
    source: str | Source | None = None,
    views: str | None = None,
    split_name: str | None = None,
    root: Path | None = None,
    device: str = "auto",
    precision: Precision = "float32",
) -> dict[str, Any]:
    """Measure a run, or a file of weights, on a part of a source.

    Without a source: the test part of what it was trained on. With another source: its test part where the source
    itself names one, otherwise all its images. Each image counts exactly once. A result on the run's own test part
    is kept in its evaluation.json, where the report finds it. Of several processes, which share the images, all
    are given the result and the first writes it.

    Args:
        run: a run's folder or a file of weights.
        source: a SOURCE of the command line.
        views: "center", "ten" or "dense"; by default the recipe's.
        split_name: "train", "val" or "test", by the same split that training uses.
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "float32" or "bfloat16", see `for_inference`; a result in bfloat16 is not kept.

    Returns: images, top1_error, top5_error (of k, see `k`), interval (95 %), views, averaged, comparable_to,
        per_class, confusion, calibration, mistakes, trained_on and more; errors are fractions 0..1.

    Raises:
        InputError: classes that the net does not know; a part without images.
    """
    file = weights_file(run)
    net, card = load_weights(file)
    recipe = card.recipe
    views = str(views or recipe["evaluation"]["views"])
    averaged = str(recipe["evaluation"]["averaged"])
    packed = images_of(card, file.parent, source, root)
    rows, part = rows_of(packed, card, split_name)
    labels = class_numbers(packed, card)[rows]
    same_everywhere((card, sha256(packed.digests[rows].tobytes()).digest()))
    patches = len(rows) * (10 if views == "ten" else 1) // processes.size()
    for_inference(net, choose_device(device), patches, precision)
    began = time.monotonic()
    p = probabilities(net, packed, rows, card.side, card.size, views, averaged, what=f"evaluating, {views}")
    seconds = time.monotonic() - began
    result = describe(p, labels, card) | {
        "source": packed.name,
        "step": card.step,
        "split": part,
        "views": views,
        "averaged": "scores over the map, softmax over the mirror" if views == "dense" else averaged,
        "comparable_to": comparable_to(
            card.model, packed.name, views, averaged, part, packed.kind == "imagenet" and len(packed.classes) == 1000
        ),
        "seconds": seconds,
        "precision": precision,
        "trained_on": trained_on(file.parent, packed.digests[rows]),
    }
    result["mistakes"] = mistakes(p, labels, rows, packed, card)
    own = Path(run).is_dir() and packed.fingerprint == card.fingerprint and part == "test"
    if own and precision == "float32":
        keep(Path(run), result, p, packed, card, rows, labels)
    return result


def images_of(card: Card, folder: Path, source: str | Source | None, root: Path | None) -> Packed:
    """Open the images: of the source given, or of the run's own."""
    if source is None:
        about = read_run(folder) if (folder / "run.json").is_file() else {}
        if "compared_with" in about:
            raise InputError(
                f"the weights in {folder} were brought in, without the images they were trained on: "
                "say which images to take (SOURCE of evaluate and probe, --source of ensemble)"
            )
        where = Path(about["packed"]) if about else None
        if where is not None and where.is_dir():
            packed = open_packed(where)
            if packed.fingerprint == card.fingerprint:
                return packed
        if not card.spec:
            raise InputError("the pack of the Dataset that this was trained on is gone: give the images as SOURCE")
        packed = packed_for(open_source(card.spec, root), recipe_from(card.recipe))[0]
        if packed.fingerprint != card.fingerprint:
            raise InputError(
                f"{card.spec} no longer holds the images that this was trained on: to measure what is there now, "
                f"give it as SOURCE"
            )
        return packed
    opened = source if isinstance(source, Source) else open_source(source, root, to_train=False)
    return packed_for(opened, recipe_from(card.recipe))[0]


def rows_of(packed: Packed, card: Card, split_name: str | None) -> tuple[np.ndarray, str]:
    """Which images are measured, and what that part is called."""
    data = card.recipe["data"]
    if packed.fingerprint != card.fingerprint and split_name is None:
        for part in (TEST, VALIDATION):
            if (packed.given == part).any():
                return np.flatnonzero(packed.given == part), "test"
        return np.arange(len(packed)), "all"
    parts = split(packed, data["test"], data["validation"])
    rows = {"train": parts.train, "val": parts.validation, "test": parts.test}[split_name or "test"]
    if len(rows) == 0:
        raise InputError(f"{packed.name} has no images in its {split_name or 'test'} part: choose another --split")
    return rows, split_name or "test"


def places(classes: Sequence[str], kind: str, card: Card) -> np.ndarray:
    """Where a net has each of these classes: int64 [classes], -1 for one that it does not know.

    All of ImageNet's thousand classes are in the order of their synsets' ids, whatever a net's weights call them.
    All others are matched by name.

    Args:
        classes: of a source, or of another net.
        kind: of the source, or where the other net was trained.
        card: the net's.
    """
    imagenet = kind == card.source == "imagenet" and len(classes) == len(card.classes) == 1000
    if imagenet or list(classes) == card.classes:
        return np.arange(len(classes))
    place = {name: number for number, name in enumerate(card.classes)}
    return np.array([place.get(name, -1) for name in classes])


def class_numbers(packed: Packed, card: Card) -> np.ndarray:
    """The labels of a source in the net's own order of classes: int64 [n].

    Raises:
        InputError: classes that the net does not know.
    """
    numbers = places(packed.classes, packed.kind, card)
    unknown = [name for name, number in zip(packed.classes, numbers) if number < 0]
    if unknown:
        raise InputError(
            f"{packed.name} has classes that the net does not know ({', '.join(unknown[:5])}): "
            f"it knows {', '.join(card.classes[:10])}; name the class folders as in training"
        )
    return numbers[packed.labels]


def describe(p: np.ndarray, labels: np.ndarray, card: Card) -> dict[str, Any]:
    """The figures that follow from probabilities [n, classes] and labels [n] alone."""
    classes = len(card.classes)
    k = top_k(classes)
    wrong = int((p.argmax(1) != labels).sum())
    confusion = confusion_counts(labels, p.argmax(1), classes)
    calibrated = apply_temperature(p, card.temperature)
    right = p.argmax(1) == labels
    return {
        "images": len(labels),
        "classes": card.classes,
        "model": card.model,
        "top1_error": wrong / len(labels),
        "top5_error": top_k_error(p, labels, k),
        "k": k,
        "interval": list(wilson_interval(wrong, len(labels))),
        "log_loss": log_loss(p, labels),
        "per_class": per_class_table(confusion, card.classes),
        "confusion": confusion.tolist(),
        "calibration": {
            "temperature": card.temperature,
            "threshold": card.threshold,
            "none_of_these": float((calibrated.max(1) < card.threshold).mean()),
            "expected_calibration_error_before": expected_calibration_error(p.max(1), right),
            "expected_calibration_error_after": expected_calibration_error(calibrated.max(1), right),
        },
    }


def mistakes(p: np.ndarray, labels: np.ndarray, rows: np.ndarray, packed: Packed, card: Card) -> list[dict[str, Any]]:
    """The wrong answers that were surest, worst first."""
    answers = p.argmax(1)
    wrong = np.flatnonzero(answers != labels)
    worst = wrong[np.argsort(p[wrong, labels[wrong]] - p[wrong, answers[wrong]], kind="stable")][:MISTAKES]
    return [
        {
            "row": int(rows[i]),
            "path": packed.paths[int(rows[i])],
            "label": card.classes[labels[i]],
            "predicted": card.classes[answers[i]],
            "probability": float(p[i, answers[i]]),
            "true_probability": float(p[i, labels[i]]),
        }
        for i in worst
    ]


def trained_on(folder: Path, digests: np.ndarray) -> int | None:
    """How many of these images (SHA-256 [n, 32]) the run in `folder` was trained on; None where it does not say."""
    path = folder / "trained_on.npy"
    if not path.is_file():
        return None
    seen = {digest.tobytes() for digest in np.load(path)}
    return sum(digest.tobytes() in seen for digest in digests)


def keep(
    run: Path,
    result: dict[str, Any],
    p: np.ndarray,
    packed: Packed,
    card: Card,
    rows: np.ndarray,
    labels: np.ndarray,
) -> None:
    """Write evaluation.json: the recipe's own views are the headline, others stand beside them in `by_views`.

    The answers of the headline to each image go to answers.npz.
    """
    path = run / "evaluation.json"
    first = processes.is_first()
    before = processes.told_by_first(json.loads(path.read_text(encoding="utf-8")) if first and path.is_file() else {})
    if before.get("step") != card.step:  # of other weights, before the run went on
        before = {}
    figures = ("top1_error", "top5_error", "interval", "log_loss", "seconds", "images")
    by_views = before.get("by_views", {}) | {result["views"]: {name: result[name] for name in figures}}
    headline = card.recipe["evaluation"]["views"]
    whole = result if result["views"] == headline or not before else before
    if "baselines" in before:
        baselines = before["baselines"]
    else:
        data = card.recipe["data"]
        train = split(packed, data["test"], data["validation"]).train
        baselines = {
            "majority": {"error": majority_error(packed.labels[train], labels, len(card.classes))},
            "nearest_pixel": nearest_pixel_error(packed, train, rows),
        }
    if first and whole is result:
        write_answers(run, answers_of(p, labels, rows, packed.digests[rows], result["views"], card.step))
    if first:
        write_json(path, whole | {"by_views": by_views, "baselines": baselines})
    processes.wait_for_all()


def as_text(result: dict[str, Any]) -> str:
    """A result in a few lines for people."""
    low, high = result["interval"]
    lines = [
        f"{result['model']} on {result['source']}, {result['split']} part: {result['images']} images, "
        f"{result['views']} view, {result['averaged']} averaged",
        f"top-1 error {result['top1_error']:.2%} ({low:.2%} to {high:.2%} with 95 % confidence)",
        f"top-{result['k']} error {result['top5_error']:.2%}",
        f"compare with: {result['comparable_to']}",
    ]
    if result["trained_on"] is None:
        lines.append("whether these images were trained on is not known: trained_on.npy lies in the run's folder")
    elif result["trained_on"] and result["split"] != "train":
        lines.append(f"careful: {result['trained_on']} of these images were trained on")
    return "\n".join(lines)


def write_class_table(path: Path, result: dict[str, Any]) -> None:
    """Write the table of classes as CSV, atomically."""
    rows = result["per_class"]
    with replacing(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
