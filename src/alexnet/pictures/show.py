"""Any picture of a run by its name: what is asked for in, a figure out.

A picture is a function of its own file that takes arrays or a net. Here each is given what it needs from a run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from alexnet.errors import InputError
from alexnet.options import did_you_mean
from alexnet.pictures.catalogue import CATALOGUE
from alexnet.pictures.confusion import confusion_figure
from alexnet.pictures.curves import curves_figure
from alexnet.pictures.errors import classes_figure
from alexnet.pictures.filters import filters_figure, first_filters
from alexnet.pictures.report import read_run
from alexnet.pictures.score_map import draw, score_map
from alexnet.pictures.subject import Subject, open_subject


@dataclass(frozen=True)
class Wanted:
    """What a picture is to be made of; see `show`."""

    run: str | Path
    images: list[Any] = field(default_factory=list)
    stage: str | None = None
    unit: int | None = None
    label: str | None = None
    size: int | None = None
    device: str = "auto"

    def subject(self) -> Subject:
        """The run's net."""
        return open_subject(self.run, self.device)

    def evaluation(self) -> dict[str, Any]:
        """What testing found.

        Raises:
            InputError: nobody has tested the run.
        """
        found = read_run(Path(self.run)).evaluation
        if found is None:
            raise InputError(f"{self.run} has no evaluation.json yet: alexnet evaluate {self.run} writes it")
        return found


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
) -> Figure:
    """Draw a picture of a run.

    Args:
        run: a run's folder or a file of weights; for "architecture" and "c3" also the name of a net.
        what: a name in `CATALOGUE`.
        images: what it looks at: one or several, each a path, bytes, a PIL image or an array uint8 [h, w, 3].
        stage: name of a stage.
        unit: number of one of its maps, from 0.
        label: name of a class.
        size: in pixels: of a score map the shorter side of the image; of occlusion the side of the square; of
            "architecture" the side of the input.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: another name; an option that means nothing to that picture; a picture that the net or the run
            cannot give.
    """
    given = list(images) if isinstance(images, list | tuple) else [images]
    check(what, given, {"stage": stage, "unit": unit, "label": label, "size": size})
    return DRAWN[what](Wanted(run, given, stage, unit, label, size, device))


def check(what: str, images: Sequence[Any], options: dict[str, Any]) -> None:
    """Raise an InputError unless there is such a picture, and the images and options mean something to it."""
    if what not in CATALOGUE:
        raise InputError(f"show does not know {what!r}{did_you_mean([what], list(CATALOGUE))}: {', '.join(CATALOGUE)}")
    picture = CATALOGUE[what]
    if len(images) < picture.needs:
        raise InputError(f"show {what} needs an IMAGE: alexnet show RUN {what} IMAGE")
    if picture.images is not None and len(images) > picture.images:
        takes = "one IMAGE" if picture.images else "no IMAGE"
        raise InputError(f"show {what} takes {takes} and {len(images)} came: leave out {images[picture.images]}")
    for name, value in options.items():
        if value is not None and name not in picture.takes:
            option = "class" if name == "label" else name
            takes = ", ".join(f"--{'class' if one == 'label' else one}" for one in sorted(picture.takes)) or "none"
            raise InputError(f"--{option} means nothing to show {what}: leave it out (it takes {takes})")


def _filters(wanted: Wanted) -> Figure:
    return filters_figure(*first_filters(wanted.subject().net))


def _curves(wanted: Wanted) -> Figure:
    run = read_run(Path(wanted.run))
    return curves_figure(run.metrics, len(run.facts.get("classes") or []))


def _confusion(wanted: Wanted) -> Figure:
    found = wanted.evaluation()
    return confusion_figure(np.array(found["confusion"]), found["classes"])


def _classes(wanted: Wanted) -> Figure:
    return classes_figure(wanted.evaluation())


def _score_map(wanted: Wanted) -> Figure:
    return draw(score_map(wanted.run, wanted.images[0], wanted.label, wanted.size, wanted.device))


DRAWN: dict[str, Callable[[Wanted], Figure]] = {
    "filters": _filters,
    "curves": _curves,
    "confusion": _confusion,
    "classes": _classes,
    "score_map": _score_map,
}
