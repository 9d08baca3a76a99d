"""What a result means in plain words, and what to try next. Every sentence comes from a rule stated here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FEW_TRAINING_IMAGES = 50
"""Training images in a class below which a net from scratch has too little to learn from."""

FEW_TEST_IMAGES = 100
"""Test images below which an error says little: the 95 % interval is then up to 20 points wide."""

WIDE_INTERVAL = 0.10
"""Width of the interval that is called wide."""

UNEVEN = 5.0
"""Ratio of the largest to the smallest class that is called uneven."""

OVERFIT_GAP = 0.10
"""How far the validation error lies above the training error when a net has learned its images by heart."""

UNDERFIT_ERROR = 0.20
"""Training error at the end above which a net has not learned even its own images."""


@dataclass(frozen=True)
class Advice:
    """One thing to try: why, and what."""

    title: str
    text: str
    command: str | None = None


def percent(fraction: float) -> str:
    """0.0139 becomes '1.4 %', with a space that does not break; above 0 but under 0.05 %, '<0.1 %'."""
    return "<0.1\u00a0%" if 0 < fraction < 0.0005 else f"{100 * fraction:.1f}\u00a0%"


def interval_text(interval: Sequence[float]) -> str:
    """(0.006, 0.032) becomes '0.6 to 3.2 %'."""
    return f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}\u00a0%"


def verdict(evaluation: dict[str, Any]) -> list[str]:
    """How good the net is, in sentences, best known first.

    An error is called better or worse than that of the commonest class or of the nearest pixels only
    where that error lies outside the interval.

    Args:
        evaluation: evaluation.json.
    """
    error, (low, high), images = evaluation["top1_error"], evaluation["interval"], evaluation["images"]
    said = []
    for key, name in (
        ("majority", "always answering the commonest class"),
        ("nearest_pixel", "answering with the most similar training image, pixel by pixel"),
    ):
        other = evaluation.get("baselines", {}).get(key)
        if other is None:
            continue
        apart = abs(other["error"] - error) * 100
        if high < other["error"]:
            said.append(f"Better by {apart:.1f} points than {name}.")
        elif low > other["error"]:
            said.append(f"Worse by {apart:.1f} points than {name}.")
        else:
            said.append(
                f"Not shown to be better than {name}: its error, {percent(other['error'])}, is in the interval."
            )
    if high - low > WIDE_INTERVAL:
        said.append(f"The interval is wide, because there are only {images:,} images to measure with.")
    if evaluation.get("split", "test") != "test":
        said.append(f"Measured on the {evaluation['split']} images, which training has used: this flatters the net.")
    if evaluation.get("trained_on"):
        said.append(
            f"{evaluation['trained_on']:,} of the {images:,} images were trained on: "
            "on images that are new to it the net is worse than this."
        )
    return said


def advice(
    run: dict[str, Any],
    recipe: dict[str, Any],
    metrics: Sequence[dict[str, Any]],
    evaluation: dict[str, Any] | None,
    class_counts: dict[str, int] | None = None,
) -> list[Advice]:
    """What to try next, most useful first; empty where no rule applies.

    Args:
        run: run.json.
        recipe: recipe.yaml.
        metrics: lines of metrics.jsonl.
        evaluation: evaluation.json, or None before there is one.
        class_counts: training images of each class, where known.
    """
    told = [
        *_not_learning(metrics, len((evaluation or run).get("classes") or []), recipe),
        *_amount(run, class_counts, evaluation),
        *_fit(metrics, recipe),
        *_uneven(class_counts, recipe),
    ]
    if evaluation is not None:
        told += [*_weak_classes(evaluation), *_pixels_win(evaluation), *_views(evaluation, recipe)]
    return told


def _not_learning(metrics: Sequence[dict[str, Any]], classes: int, recipe: dict[str, Any]) -> list[Advice]:
    """The training loss of the last tenth is still within 3 % of ln(classes)."""
    end = _end_of_training(metrics, "loss")
    if end is None or classes < 2 or end < 0.97 * np.log(classes):
        return []
    if recipe.get("name") == "practical":
        text = "Check that the labels are right; then try a third of the learning rate, and three times it."
    else:
        text = "The paper's own start needs many thousand steps to leave this level; the practical recipe does not."
    return [Advice("The loss never left the level of guessing", text, "--recipe practical")]


def _amount(run: dict[str, Any], counts: dict[str, int] | None, evaluation: dict[str, Any] | None) -> list[Advice]:
    """A class of fewer than 50 training images, on average; fewer than 100 test images."""
    told = []
    train = run.get("parts", {}).get("train")
    classes = len(counts or run.get("classes") or (evaluation or {}).get("classes") or [])
    if train and classes and train / classes < FEW_TRAINING_IMAGES:
        told.append(
            Advice(
                f"Few images: {train / classes:.0f} a class to train on",
                "Start from weights that were trained on more images, keeping all but the last layer; "
                f"or collect more, {FEW_TRAINING_IMAGES} a class and up.",
                "--from RUN_OR_WEIGHTS",
            )
        )
    if evaluation is not None and evaluation["images"] < FEW_TEST_IMAGES:
        told.append(
            Advice(
                f"Few images to test with: {evaluation['images']}",
                f"The error is known no better than {interval_text(evaluation['interval'])}; differences between "
                "runs smaller than that mean nothing. More labelled images are worth more here than another net.",
            )
        )
    return told


def _fit(metrics: Sequence[dict[str, Any]], recipe: dict[str, Any]) -> list[Advice]:
    """Over-fitting, under-fitting, or stopped while still improving.

    The training error is that of the last tenth of the steps, with dropout and augmentation on, and so
    is higher than it would be without: a gap seen here is a gap.
    """
    checks = [line for line in metrics if line["kind"] == "validation" and line.get("error") is not None]
    train = _end_of_training(metrics, "error")
    if not checks or train is None:
        return []
    best = min(checks, key=lambda line: line["error"])
    if best["error"] - train > OVERFIT_GAP:
        missing = []
        augmentation = recipe.get("augmentation", {})
        if augmentation.get("mirror") is False:
            missing.append("mirroring, if a mirrored image keeps its class (`--augmentation.mirror true`)")
        if augmentation.get("colour") == "off":
            missing.append("colour noise (`--augmentation.colour paper`)")
        missing.append("more weight decay, fewer epochs, or more images")
        return [
            Advice(
                "It learns its training images by heart",
                f"Training error {percent(train)}, validation error {percent(best['error'])}. Try "
                + "; ".join(missing)
                + ".",
            )
        ]
    if (
        len(checks) >= 3
        and best is checks[-1]
        and best["error"] < 0.95 * checks[-2 if len(checks) < 10 else -5]["error"]
    ):
        longer = 2 * max(1, round(best["epoch"]))
        return [
            Advice(
                "It was still improving when it stopped",
                f"The best validation error, {percent(best['error'])}, is the last one.",
                f"--epochs {longer}",
            )
        ]
    if train > UNDERFIT_ERROR:
        return [
            Advice(
                "It has not learned even its training images",
                f"Training error {percent(train)} at the end. Train for longer, try a higher learning rate, "
                "or check whether the classes can be told apart at this size.",
            )
        ]
    return []


def _uneven(counts: dict[str, int] | None, recipe: dict[str, Any]) -> list[Advice]:
    """The largest class has five times the training images of the smallest, and the loss does not weigh them."""
    if not counts or min(counts.values()) == 0 or recipe.get("data", {}).get("class_weights"):
        return []
    small, large = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    if counts[large] < UNEVEN * counts[small]:
        return []
    return [
        Advice(
            f"Uneven classes: {counts[large]:,} of {large}, {counts[small]:,} of {small}",
            "Weigh each class in the loss by the inverse of its count, so that the small ones are not given up.",
            "--data.class_weights true",
        )
    ]


def _weak_classes(evaluation: dict[str, Any]) -> list[Advice]:
    """The class with most errors, where at least 5 and twice the whole's share of its images are wrong."""
    rows = [
        row
        for row in evaluation.get("per_class", [])
        if row["errors"] >= 5 and row["error"] > 2 * evaluation["top1_error"]
    ]
    if not rows:
        return []
    worst = max(rows, key=lambda row: row["error"])
    overall = percent(evaluation["top1_error"])
    text = f"{worst['errors']} of its {worst['images']} images are wrong, against {overall} overall"
    if worst["most_confused_with"] is not None:
        text += f"; most often it is taken for {worst['most_confused_with']}"
    return [
        Advice(
            f"Look at the images of {worst['label']}",
            text + ". Wrong labels and unlike backgrounds show quickly.",
        )
    ]


def _pixels_win(evaluation: dict[str, Any]) -> list[Advice]:
    """The nearest training image by pixels is at least as good an answer."""
    nearest = evaluation.get("baselines", {}).get("nearest_pixel")
    if nearest is None or nearest["error"] > evaluation["top1_error"]:
        return []
    return [
        Advice(
            "Comparing pixels does as well",
            f"The nearest training image by pixels is wrong for {percent(nearest['error'])}. Near-duplicates "
            "across the parts make that easy; so does a net that has hardly learned: train for longer first.",
        )
    ]


def _views(evaluation: dict[str, Any], recipe: dict[str, Any]) -> list[Advice]:
    """Only the centre view was tried, there are errors left to win, and mirror images keep their class."""
    if recipe.get("augmentation", {}).get("mirror") is False:
        return []
    if "ten" in evaluation.get("by_views", {}) or evaluation["top1_error"] == 0 or evaluation.get("views") != "center":
        return []
    return [
        Advice(
            "Test with ten views",
            "Averaging corners, centre and their mirror images takes ten times as long and won the paper 1.5 points.",
            "--views ten",
        )
    ]


def _end_of_training(metrics: Sequence[dict[str, Any]], what: str) -> float | None:
    """Mean over the last tenth of the steps written down, 3 at least."""
    values = [line[what] for line in metrics if line["kind"] == "step" and line.get(what) is not None]
    return float(np.mean(values[-max(3, len(values) // 10) :])) if values else None
