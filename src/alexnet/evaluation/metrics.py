"""Error figures from probabilities and labels: pure NumPy, no net.

Errors are fractions 0..1. A figure that does not exist (the error of a class without images) is None,
so that every result can be written as JSON.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from alexnet.errors import InputError


def top_k(classes: int) -> int:
    """How many answers "top-5" allows: 5, or one fewer than there are classes, and never less than 1.

    With k equal to the number of classes every answer would be right, so the figure would say nothing.
    """
    return max(1, min(5, classes - 1))


def top_k_error(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of images whose label is not among the k most probable classes (Krizhevsky et al. 2012).

    Among equally probable classes the one with the lower number comes first, so that exactly k classes
    are among the first k, however many are equal; k = 1 agrees with `probabilities.argmax(1)`.

    Args:
        probabilities: float [n, classes]; scores do as well, since only their order counts.
        labels: integers [n], 0..classes-1.
        k: 1..classes.

    Raises:
        InputError: no image, labels that do not fit, a value that is not a number, or an impossible k.
    """
    probabilities, labels = _checked(probabilities, labels)
    classes = probabilities.shape[1]
    if not 1 <= k <= classes:
        raise InputError(f"top-{k} of {classes} classes; give a k from 1 to {classes}")
    own = probabilities[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(classes)[None, :] < labels[:, None]
    before = (probabilities > own) | ((probabilities == own) & earlier)
    return float(np.mean(before.sum(1) >= k))


def wilson_interval(errors: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval that holds the true error with the given confidence, after `errors` of `n` images.

    Wilson's score interval (1927), without continuity correction: unlike the normal approximation it
    stays within 0..1 and is not empty at 0 errors.

    Raises:
        InputError: no image, or more errors than images.
    """
    if not 0 <= errors <= n or n == 0:
        raise InputError(f"{errors} errors out of {n} images; an interval needs 1 image or more")
    interval = binomtest(int(errors), int(n)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def confusion_counts(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Count images by true class (row) and answered class (column): int64 [classes, classes].

    Raises:
        InputError: lengths differ, or a number is not one of the classes.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise InputError(f"labels {labels.shape} and predictions {predictions.shape}; give one of each per image")
    both = np.concatenate([labels, predictions])
    if len(both) and not 0 <= both.min() <= both.max() < classes:
        raise InputError(f"a class number from {both.min()} to {both.max()}; {classes} classes are 0..{classes - 1}")
    cells = labels.astype(np.int64) * classes + predictions.astype(np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def per_class_table(confusion: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """One row per class, in the order of the classes.

    Args:
        confusion: integers [classes, classes], rows the truth.
        classes: their names.

    Returns:
        Rows with "label", "images", "errors", "error" (None without images), "precision" (None where the
        class was never answered), "recall" (None without images) and "most_confused_with" (the class most
        often answered instead, the first of equals; None without errors).
    """
    rows = []
    for index, name in enumerate(classes):
        images, right = int(confusion[index].sum()), int(confusion[index, index])
        answered = int(confusion[:, index].sum())
        wrong = np.where(np.arange(len(classes)) == index, 0, confusion[index])
        rows.append(
            {
                "label": name,
                "images": images,
                "errors": images - right,
                "error": (images - right) / images if images else None,
                "precision": right / answered if answered else None,
                "recall": right / images if images else None,
                "most_confused_with": classes[int(wrong.argmax())] if wrong.any() else None,
            }
        )
    return rows


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log p(label) in nats; a probability of 0 counts as 2e-308 (708 nats).

    Args:
        probabilities: float [n, classes], rows adding to 1.
        labels: integers [n].

    Raises:
        InputError: no image, labels that do not fit, or a value that is not a number.
    """
    probabilities, labels = _checked(probabilities, labels)
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(own, np.finfo(np.float64).tiny)).mean())


def figures(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The figures of a table's row: "top1_error", "top5_error" (of `top_k`), "interval" and "log_loss"."""
    wrong = int((probabilities.argmax(1) != labels).sum())
    return {
        "top1_error": wrong / len(labels),
        "top5_error": top_k_error(probabilities, labels, top_k(probabilities.shape[1])),
        "interval": list(wilson_interval(wrong, len(labels))),
        "log_loss": log_loss(probabilities, labels),
    }


def errors_text(row: dict[str, Any]) -> str:
    """The errors of such a row in 36 columns: " 9.40% (8.84% to 9.99%)    0.35%"."""
    low, high = row["interval"]
    return f"{row['top1_error']:7.2%} ({low:.2%} to {high:.2%})".ljust(28) + f" {row['top5_error']:7.2%}"


def _checked(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise InputError(
            f"probabilities {probabilities.shape} and labels {labels.shape}; "
            "give [images, classes] and [images], with 1 image or more"
        )
    if np.isnan(probabilities).any():
        raise InputError("a probability is not a number; the net's weights or its input are damaged: train again")
    if not 0 <= labels.min() <= labels.max() < probabilities.shape[1]:
        raise InputError(
            f"a label from {labels.min()} to {labels.max()}; "
            f"{probabilities.shape[1]} classes are 0..{probabilities.shape[1] - 1}"
        )
    return probabilities, labels
