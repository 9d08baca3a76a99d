"""Images: uploaded, and shown."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, File, Path, Query, Response
from PIL import Image

from alexnet.web.answers import Limits, Uploaded, errors
from alexnet.web.explorer import All
from alexnet.web.png import PNG, png_response

router = APIRouter(tags=["images"])
Upload = Annotated[bytes, File(description="an image file")]


@router.post("/api/images", status_code=201, responses=errors(413, 415, 422))
def upload(explorer: All, image: Upload) -> Uploaded:
    """Keep an image to ask about, for as long as the server runs or until 64 others have come."""
    name, pixels = explorer.gallery.add(image)
    return Uploaded(image=name, width=pixels.shape[1], height=pixels.shape[0])


@router.get("/api/images/{image}", response_class=Response, responses=PNG | errors(404))
def picture(
    explorer: All,
    image: Annotated[str, Path(max_length=64)],
    side: Annotated[int, Query(ge=16, le=1024, description="of its longer side, at most, in pixels")] = 512,
) -> Response:
    """An image as PNG."""
    return png_response(fitting(explorer.gallery.pixels(image), side))


@router.get("/api/limits")
def limits(explorer: All) -> Limits:
    """What an upload may be."""
    settings = explorer.settings
    return Limits(bytes=settings.most_bytes, pixels=settings.most_pixels, seconds=settings.seconds)


def fitting(pixels: np.ndarray, side: int) -> np.ndarray:
    """An image uint8 [h, w, 3] with at most so many pixels along its longer side."""
    if max(pixels.shape[:2]) <= side:
        return pixels
    shown = Image.fromarray(pixels)
    shown.thumbnail((side, side), Image.Resampling.BILINEAR)
    return np.asarray(shown)
