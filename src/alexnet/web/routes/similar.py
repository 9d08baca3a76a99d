"""The indexed images most like one."""

from pathlib import PurePath
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from alexnet.web.answers import Found, Similar, errors
from alexnet.web.explorer import All, ImageId, Run
from alexnet.web.searching import itself, searches, similar

router = APIRouter(tags=["images"])


@router.get("/api/runs/{run}/similar", responses=errors(404, 409, 422, 503))
def similar_images(
    explorer: All,
    run: Run,
    image: ImageId,
    top: Annotated[int, Query(ge=1, le=200, description="how many")] = 12,
) -> Similar:
    """The images of the index that are most like one, as the net sees them; the image itself is left out."""
    index = explorer.index
    if index is None:
        raise HTTPException(404, "no index is served: alexnet serve RUN --index INDEX; alexnet index makes one")
    run.loaded()
    if not searches(run, index):
        raise HTTPException(
            404, f"the index is of other weights than those of {run.name}: embed its images with this run"
        )
    pixels = explorer.gallery.pixels(image)
    hits = similar(run, index, pixels, top, itself(index, image, explorer.gallery.digest(image)))
    rows = [
        Found(
            image=f"index-{hit.id}",
            path="/".join(PurePath(hit.path).parts[-2:]),
            label=hit.label,
            distance=hit.distance,
        )
        for hit in hits
    ]
    return Similar(results=rows, distance=index.distance_of())
