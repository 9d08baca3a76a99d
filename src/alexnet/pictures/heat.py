"""Heat maps of an image by their names: what is drawn, in what scale, and what its numbers mean."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from alexnet.models import Classifier
from alexnet.models.alignment import Alignment
from alexnet.pictures.explain import gradcam, last_maps, occlusion, saliency

Method = Literal["saliency", "occlusion", "gradcam"]


@dataclass(frozen=True)
class Heat:
    """Numbers that lie over an image.

    Attributes:
        values: float [H, W].
        at: where on the image they lie.
        limits: the numbers at the ends of the scale of colours; where the first is negative, zero is in its middle.
        what: how they were found, in a few words.
        scale: what the numbers are.
    """

    values: np.ndarray
    at: Alignment
    limits: tuple[float, float]
    what: str
    scale: str


def heat_of(
    method: Method, net: Classifier, view: Tensor, number: int, stage: str | None = None, side: int | None = None
) -> Heat:
    """Find what moves a class's score, in one of three ways; see `explain`.

    Args:
        method: "saliency", "occlusion" or "gradcam".
        net: in evaluation mode.
        view: the image as the net sees it, float32 [1 3 size size] in 0..255.
        number: of the class.
        stage: of Grad-CAM; by default the last one with weights and maps.
        side: of occlusion's square in pixels; by default a fifth of the image.

    Raises:
        InputError: a stage without maps; a square of no pixels or of all.
    """
    if method == "saliency":
        values = saliency(net, view, number).cpu().numpy()
        # A few pixels are far steeper than all others: the scale ends before them, so that the rest is seen.
        most = float(np.quantile(values, 0.995)) or 1.0
        return Heat(values, Alignment(0.0, 1, 1), (0, most), "saliency", "change of the score per level (of 255)")
    if method == "occlusion":
        size = view.shape[2]
        side = side if side is not None else max(1, size // 5)
        falls, at = occlusion(net, view, number, side, max(1, round(size / 16)))
        values = falls.cpu().numpy()
        most = float(np.abs(values).max()) or 1.0
        limits = (-most if values.min() < -0.05 * most else 0.0, most)
        return Heat(values, at, limits, f"a square of {side} pixels", "fall of the class's probability")
    stage = stage or last_maps(net)
    found, at = gradcam(net, view, number, stage)
    values = found.cpu().numpy()
    return Heat(values, at, (0, float(values.max()) or 1.0), f"Grad-CAM at {stage}", "weight")
