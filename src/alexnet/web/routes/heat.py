"""Which part of an image an answer rests on."""

import math
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Response

from alexnet.evaluation.inference import expected_seconds
from alexnet.models import Classifier
from alexnet.models.alignment import Alignment
from alexnet.options import did_you_mean
from alexnet.pictures.explain import gradcam, last_maps, occlusion, saliency
from alexnet.pictures.subject import Subject, pixels_of_view
from alexnet.web.answers import errors
from alexnet.web.drawing import heat_over, shown
from alexnet.web.explorer import All, ImageId, Run
from alexnet.web.png import PNG, png_response

router = APIRouter(tags=["predictions"])
Method = Literal["gradcam", "saliency", "occlusion"]
SQUARES = 16  # that a side is covered with, where the net is fast enough
AFFORDED = 8.0  # expected seconds for all of them


@router.get("/api/runs/{run}/seen.png", response_class=Response, responses=PNG | errors(404, 409, 422, 503))
def seen(explorer: All, run: Run, image: ImageId) -> Response:
    """The centre of an image as the net sees it; small ones are enlarged."""
    subject = run.loaded().subject
    stored = subject.predictor.stored(explorer.gallery.pixels(image))
    return png_response(shown(pixels_of_view(run.ask(lambda: subject.views(stored[None])))))


@router.get("/api/runs/{run}/heat.png", response_class=Response, responses=PNG | errors(404, 409, 422, 503))
def heat(
    explorer: All,
    run: Run,
    image: ImageId,
    method: Annotated[Method, Query(description="how it is found")] = "gradcam",
    label: Annotated[str | None, Query(max_length=1000, description="for this class (default: the likeliest)")] = None,
) -> Response:
    """A heat map over the image, grey and pale, as the net sees it: of the same size as `seen.png`."""
    subject = run.loaded().subject
    if label is not None and label not in subject.classes:
        near = did_you_mean([label], subject.classes)
        raise HTTPException(404, f"there is no class {label!r}{near}: {run.name} knows {len(subject.classes)}")
    stored = subject.predictor.stored(explorer.gallery.pixels(image))
    return png_response(run.ask(lambda: heat_picture(subject, stored, method, label)))


def heat_picture(subject: Subject, stored: np.ndarray, method: Method, label: str | None) -> np.ndarray:
    """The picture of one image as packing would have stored it: uint8 [h, w, 3]."""
    net, view = subject.net, subject.views(stored[None])
    number = int(subject.probabilities(view)[0].argmax()) if label is None else subject.class_number(label)
    if method == "gradcam":
        found, at = gradcam(net, view, number, last_maps(net))
    elif method == "saliency":
        found, at = saliency(net, view, number), Alignment(0.0, 1, 1)
    else:
        size = view.shape[2]
        found, at = occlusion(net, view, number, max(1, size // 5), max(1, round(size / squares(net))))
    values = found.detach().float().cpu().numpy()
    # A few pixels are far steeper than all others: the scale ends before them, so that the rest is seen.
    most = float(np.quantile(np.abs(values), 0.995 if method == "saliency" else 1.0)) or 1.0
    least = -most if values.min() < -0.05 * most else 0.0
    return heat_over(pixels_of_view(view), values, at, (least, most))


def squares(net: Classifier) -> int:
    """How many places a side the hiding square is put at: fewer for a net that is slow here."""
    affordable = AFFORDED / expected_seconds(net, next(net.parameters()).device, 1)
    return max(5, min(SQUARES, math.isqrt(int(affordable))))
