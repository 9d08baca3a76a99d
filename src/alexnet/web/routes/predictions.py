"""What the nets say of an image."""

import time
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query

from alexnet.web.answers import Guess, Predictions, errors
from alexnet.web.explorer import All, ImageId, Run
from alexnet.web.routes.images import Upload
from alexnet.web.served import Served

router = APIRouter(tags=["predictions"])
Views = Annotated[Literal["center", "ten"], Query(description="the centre alone, or four corners, centre and mirrors")]
Top = Annotated[int, Query(ge=1, le=1000, description="how many classes")]


@router.get("/api/runs/{run}/predictions", responses=errors(404, 409, 422, 503))
def predictions(explorer: All, run: Run, image: ImageId, views: Views = "center", top: Top = 5) -> Predictions:
    """The likeliest classes of an image."""
    return said_of(run, explorer.gallery.pixels(image), explorer.gallery.label(image), views, top)


@router.post("/api/runs/{run}/predict", responses=errors(404, 409, 413, 415, 422, 503))
def predict(explorer: All, run: Run, image: Upload, views: Views = "center", top: Top = 5) -> Predictions:
    """The likeliest classes of an image that is sent along and not kept: one call, for programs."""
    return said_of(run, explorer.gallery.decoded(image), None, views, top)


def said_of(run: Served, pixels: np.ndarray, label: str | None, views: str, top: int) -> Predictions:
    """What a run says of an image, uint8 [h, w, 3]."""
    predictor = run.loaded().subject.predictor
    stored = predictor.stored(pixels)

    def ask() -> tuple[np.ndarray, float]:
        began = time.perf_counter()
        p = predictor.of_stored([stored], views)
        return p, time.perf_counter() - began

    p, seconds = run.ask(ask)
    answer = predictor.answers_of(p, top)[0]
    return Predictions(
        predictions=[Guess(label=one.label, probability=one.probability) for one in answer.predictions],
        accepted=answer.accepted,
        label=label if label in predictor.classes else None,
        views=views,
        seconds=seconds,
    )
