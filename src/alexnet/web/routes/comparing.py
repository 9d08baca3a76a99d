"""Several runs side by side."""

from fastapi import APIRouter, HTTPException

from alexnet.web.answers import Compared, errors
from alexnet.web.explorer import All, ImageId
from alexnet.web.routes.predictions import Views, said_of

router = APIRouter(tags=["predictions"])


@router.get("/api/compare", responses=errors(404, 422, 503))
def compare(explorer: All, image: ImageId, views: Views = "center") -> list[Compared]:
    """What all runs that are served say of an image."""
    pixels, label = explorer.gallery.pixels(image), explorer.gallery.label(image)
    rows = []
    for run in explorer.runs:
        try:
            said = said_of(run, pixels, label, views, top=5)
            best, right, took = said.predictions, said.label, said.seconds
            rows.append(Compared(run=run.number, name=run.name, predictions=best, label=right, seconds=took))
        except HTTPException as problem:
            if problem.status_code != 409:
                raise
            rows.append(Compared(run=run.number, name=run.name, problem=problem.detail))
    return rows
