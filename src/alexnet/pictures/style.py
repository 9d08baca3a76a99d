"""How every picture looks: few colours, told apart by colour-blind readers too, on light and dark pages."""

import base64
import functools
import io
import re
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

P = ParamSpec("P")
T = TypeVar("T")

INK, MUTED, LINE = "#1f2429", "#5c6670", "#d5dade"
# The hues of M. Okabe and K. Ito, "Color universal design", 2002.
BLUE, VERMILLION, GREEN, ORANGE, PURPLE = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7"

VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    BLUE: "blue",
    VERMILLION: "vermillion",
    GREEN: "green",
    ORANGE: "orange",
    PURPLE: "purple",
}
"""The page's CSS variable for each colour, so that a drawing follows the page into the dark."""

SETTINGS: dict[Any, Any] = {
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$5"
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "none",  # the reader's browser draws the letters, whatever their script
    "svg.hashsalt": "alexnet",
}


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Run a drawing function under this style, leaving matplotlib's own settings as they were."""

    @functools.wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> T:
        with matplotlib.rc_context(SETTINGS):
            return draw(*args, **kwargs)

    return inner


def figure(width: float, height: float) -> Figure:
    """A figure of so many inches; 5 wide keeps its text readable on a phone."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="none")


@styled
def svg(drawing: Figure, title: str) -> str:
    """The figure as an `<svg>` element to stand inside a page, its colours taken from the page's CSS.

    Args:
        drawing: what to write.
        title: what it shows, for those who do not see it; plain text.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Widths are measured with a font that may lack the script of a class's name.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        drawing.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r'<g id="\w+_\d+">', "<g>", text)
    width, height = (72 * inches for inches in drawing.get_size_inches())
    text = re.sub(r"^<svg[^>]*>", f'<svg viewBox="0 0 {width:g} {height:g}">', text, count=1)
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name}, {colour})")
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def png(pixels: np.ndarray) -> bytes:
    """Encode uint8 [h, w], [h, w, 3] or [h, w, 4] as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def thumbnail_uri(pixels: np.ndarray, side: int = 128) -> str:
    """A small picture as a data URI: at most `side` pixels a side, JPEG, or PNG where it is tiny already.

    Args:
        pixels: uint8 [h, w], [h, w, 1] or [h, w, 3].
        side: pixels.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if max(picture.size) <= 64:
        return data_uri(png(pixels), "image/png")
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=85)
    return data_uri(buffer.getvalue(), "image/jpeg")


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as a `data:` address of that media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
