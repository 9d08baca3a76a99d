"""How every picture looks: few colours, told apart by colour-blind readers too, on light and dark pages."""

import base64
import functools
import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from alexnet.errors import InputError
from alexnet.files import replacing

P = ParamSpec("P")
T = TypeVar("T")

INK, MUTED, LINE = "#1f2429", "#5c6670", "#d5dade"
# The hues of M. Okabe and K. Ito, "Color universal design", 2002.
BLUE, VERMILLION, GREEN, ORANGE, PURPLE = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7"

COLOURS = "cividis"  # for amounts: even in brightness, and the same to colour-blind readers
SIGNED = "PuOr"  # for what may be negative: purple above zero, orange under it
SUFFIXES = (".png", ".svg")
DOTS = 110
"""Dots an inch of a PNG."""

MARGIN = 0.12
"""Inches of white about a picture in a file."""

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
def save(drawing: Figure, out: Path) -> Path:
    """Write a figure, PNG or SVG by its suffix, on white and atomically; give the path.

    Raises:
        InputError: another suffix.
    """
    refuse_other_suffixes(out)
    suffix = out.suffix.lower()
    with replacing(out) as aside, warnings.catch_warnings():
        # In a PNG the letters of a class's name may be lacking in the font; the picture is still of use.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # A file is opened anywhere, on dark pages too.
        drawing.savefig(
            aside,
            format=suffix[1:],
            dpi=DOTS,
            facecolor="white",
            bbox_inches="tight",
            pad_inches=MARGIN,
            metadata={"Date": None} if suffix == ".svg" else None,
        )
    return out


def refuse_other_suffixes(out: Path) -> None:
    """Raise an InputError unless the file's name ends in one of `SUFFIXES`."""
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(f"{out}: pictures are written as {' or '.join(SUFFIXES)}: give such a name")


def show_pixels(axes: Axes, pixels: np.ndarray) -> None:
    """Lay an image [h, w], [h, w, 3] or [h, w, 4] over the whole of its axes, pixel by pixel, without a scale."""
    axes.set_axis_off()
    axes.imshow(pixels, interpolation="nearest")


def short(name: str, most: int) -> str:
    """The name on one line, cut in its middle to at most so many characters."""
    name = " ".join(name.split())
    if len(name) <= most:
        return name
    tail = (most - 1) // 3
    return name[: most - 1 - tail] + "…" + name[len(name) - tail :]


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
