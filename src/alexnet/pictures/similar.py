"""Images found by an index: figure 4 (right) of Krizhevsky and others (2012) for any query, and a page of results.

The paper's figure has a query in the first column, and beside it the six images whose features are nearest.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Protocol

import jinja2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from alexnet.files import write_text
from alexnet.pictures.style import MUTED, figure, short, show_pixels, styled, thumbnail_uri

BESIDE = 6
"""Images beside each query, as many as in the paper's figure."""

GREY = 225  # of a square where there is no picture


class Found(Protocol):
    """An image that was found: where it lies, its class, how far it is, and a small PNG or JPEG file of it."""

    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str | None: ...  # noqa: D102
    @property
    def distance(self) -> float: ...  # noqa: D102
    @property
    def thumbnail(self) -> bytes | None: ...  # noqa: D102


@styled
def similar_figure(queries: Sequence[np.ndarray], names: Sequence[str], found: Sequence[Sequence[Found]]) -> Figure:
    """Queries in the first column, and in each row the images nearest to one, the nearest first.

    Args:
        queries: uint8 [h, w, 3] each.
        names: of the queries, a word or two each.
        found: for each query what was found, BESIDE of them are drawn.
    """
    cell, text = 1.15, 0.4  # inches
    drawing = figure((1 + BESIDE) * cell + 0.4, len(queries) * (cell + text) + 0.3)
    grid = drawing.subplots(len(queries), 1 + BESIDE, squeeze=False, gridspec_kw={"wspace": 0.08})
    for row, (pixels, name, hits) in enumerate(zip(queries, names, found)):
        show_pixels(grid[row, 0], square(pixels))
        grid[row, 0].set_title(short(name, 14), fontsize=8, fontweight="bold")
        for column in range(BESIDE):
            axes = grid[row, 1 + column]
            if column < len(hits):
                hit = hits[column]
                show_pixels(axes, picture_of(hit.thumbnail))
                axes.set_title(f"{short(hit.label or Path(hit.path).name, 14)}\n{hit.distance:.3g}", fontsize=8)
            else:
                axes.set_axis_off()
    grid[0, 0].text(0, 1.32, "query", transform=grid[0, 0].transAxes, color=MUTED, fontsize=8)
    return drawing


def square(pixels: np.ndarray) -> np.ndarray:
    """The image on a white square, whole and in its middle: uint8 [s, s, 3], s its longer side."""
    high, wide = pixels.shape[:2]
    side = max(high, wide)
    sheet = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - high) // 2, (side - wide) // 2
    sheet[top : top + high, left : left + wide] = pixels
    return sheet


def picture_of(thumbnail: bytes | None) -> np.ndarray:
    """The pixels of a thumbnail on a square; a grey square where there is none."""
    if thumbnail is None:
        return np.full((8, 8, 3), GREY, np.uint8)
    return square(np.asarray(Image.open(BytesIO(thumbnail)).convert("RGB")))


def write_page(out: Path, name: str, pixels: np.ndarray, found: Sequence[Found], about: str) -> Path:
    """Write a page of what was found for one query: one file, pictures inside, that asks nobody for anything.

    Args:
        out: an .html file, replaced whole.
        name: of the query.
        pixels: uint8 [h, w, 3], the query.
        found: the nearest first.
        about: what was searched, and what the distances are.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("alexnet", "pictures"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    far = max([hit.distance for hit in found], default=0) or 1
    page = environment.get_template("similar.html.j2").render(
        name=name,
        query=thumbnail_uri(pixels, 320),
        about=about,
        found=[
            {
                "picture": thumbnail_uri(np.asarray(Image.open(BytesIO(hit.thumbnail)))) if hit.thumbnail else None,
                "path": hit.path,
                "file": "/".join(Path(hit.path).parts[-2:]),
                "label": hit.label,
                "distance": f"{hit.distance:.4g}",
                "share": round(100 * hit.distance / far),
            }
            for hit in found
        ],
    )
    # A file's name may hold bytes that are no text; they become question marks.
    write_text(out, page.encode("utf-8", "replace").decode("utf-8"))
    return out
