"""Pictures of a run."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from alexnet.pictures.show import show as draw_picture
from alexnet.pictures.style import refuse_other_suffixes, save


def show(
    run: str | Path,
    what: str,
    images: Any = (),
    *,
    stage: str | None = None,
    unit: int | None = None,
    label: str | None = None,
    size: int | None = None,
    device: str = "auto",
    out: str | Path | None = None,
) -> Figure:
    """Draw a picture of a run; give it as a matplotlib Figure, and write it where told.

    >>> alexnet.show(run, "maps", "cat.jpg", stage="conv2", out="maps.svg")  # doctest: +SKIP

    Args:
        run: a run's folder or a file of weights; for "architecture" and "c3" also the name of a net.
        what: the name of a picture, as `alexnet show --help` lists them.
        images: what it looks at: one or several, each a path, bytes, a PIL image or an array uint8 [h, w, 3].
        stage: name of a stage.
        unit: number of one of its maps, from 1.
        label: name of a class.
        size: in pixels: of a score map the shorter side of the image; of occlusion the side of the square; of
            "architecture" the side of the input.
        device: "auto", "cpu", "cuda" or "mps".
        out: a .png or .svg file.

    Raises:
        InputError: another name; an option that means nothing to that picture; a picture that the net or the run
            cannot give.
    """
    if out is not None:
        refuse_other_suffixes(Path(out))  # before minutes of work
    drawing = draw_picture(run, what, images, stage=stage, unit=unit, label=label, size=size, device=device)
    if out is not None:
        save(drawing, Path(out))
    return drawing
