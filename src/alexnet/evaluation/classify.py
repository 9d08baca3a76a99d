"""Running a net over images by a named protocol, and counting what it gets wrong."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet import processes
from alexnet.augment import VIEWS, to_planes
from alexnet.data import Batches, Packed
from alexnet.evaluation.sharing import in_order
from alexnet.models import Classifier
from alexnet.progress import track

SMALLEST = 1e-30  # a probability that underflowed: its logarithm must stay a number


@torch.inference_mode()
def batch_probabilities(
    net: Classifier, images: Any, side: int, size: int, views: str, averaged: str = "softmax"
) -> Tensor:
    """Class probabilities of one batch, averaged over the views.

    center and ten: softmax outputs of the views are averaged (AlexNet paper, section 4.1), or with
    averaged="scores" the scores before one softmax. dense: the scores are averaged over the positions of the map,
    and the softmax outputs over the image and its mirror (VGG paper, section 3.2).

    Args:
        net: in evaluation mode.
        images: uint8 [n, h, w, c], or a list of [h, w, 3].
        side: shorter side that views are cut from, in pixels.
        size: side of a view.
        views: "center", "ten" or "dense".
        averaged: "softmax" or "scores".

    Returns: float64 [n, classes] on the CPU; rows sum to 1.
    """
    device = next(net.parameters()).device
    if views == "dense" and not isinstance(images, np.ndarray):
        return torch.cat([batch_probabilities(net, image[None], side, size, views) for image in images])
    stack = VIEWS[views](to_planes(images, side, device), size)
    count, n = stack.shape[:2]
    scores = net(stack.flatten(0, 1)).float().cpu().double().reshape(count, n, -1)  # not every device has doubles
    if averaged == "scores" and views != "dense":
        return scores.mean(0).softmax(-1)
    return scores.softmax(-1).mean(0)


def probabilities(
    net: Classifier,
    packed: Packed,
    rows: np.ndarray,
    side: int,
    size: int,
    views: str = "center",
    averaged: str = "softmax",
    batch: int = 128,
    what: str = "",
) -> np.ndarray:
    """Class probabilities of packed images, each exactly once and in the order of `rows`.

    Several processes, all of which must call this, share the batches; each is given all probabilities.

    Args:
        batch: images at once by their centre views; of more or larger views as many fewer.
        what: what the progress bar says; no bar when empty.

    Returns: float64 [len(rows), classes].
    """
    training = net.training
    net.eval()
    shares = {"center": 1, "ten": 10, "dense": 2 * (side / size) ** 2}  # of the pixels of a centre view
    batches = Batches(packed, rows, max(1, int(batch // shares[views])), None)
    found = (
        batch_probabilities(net, step.images, side, size, views, averaged).numpy()
        for step in batches.epoch(0, processes.rank(), processes.size())
    )
    out = np.empty((len(rows), net.classes))
    at = 0
    together = in_order(found, batches.steps)
    for p in track(together, what, batches.steps, "batches") if what else together:
        out[at : at + len(p)] = p
        at += len(p)
    net.train(training)
    return out


def measure(net: Classifier, packed: Packed, rows: np.ndarray, side: int, size: int, batch: int) -> dict[str, float]:
    """Error and mean log-loss on the centre crop: the validation of training."""
    p = probabilities(net, packed, rows, side, size, batch=batch)
    labels = packed.labels[rows]
    right = p[np.arange(len(rows)), labels]
    return {
        "error": float((p.argmax(1) != labels).mean()),
        "loss": float(-np.log(np.maximum(right, SMALLEST)).mean()),
        "images": len(rows),
    }
