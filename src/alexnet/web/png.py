"""Pictures as answers."""

from io import BytesIO
from typing import Any

import numpy as np
from fastapi import Response
from PIL import Image

PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "a picture"}}
"""What the OpenAPI document says of a route that answers a picture."""


def png_response(pixels: np.ndarray) -> Response:
    """A picture, uint8 [h, w, 3] or [h, w, 4], as the answer to a request.

    Compressed lightly: who looks is near, and waits.
    """
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", compress_level=1)
    return Response(buffer.getvalue(), media_type="image/png")
