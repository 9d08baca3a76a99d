"""Any picture of a run by its name: what is asked for in, a figure out.

A picture is a function of its own file that takes arrays or a net. Here each is given what it needs from a run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from alexnet.data import Batches
from alexnet.errors import InputError
from alexnet.evaluation.baselines import first_by_rank
from alexnet.evaluation.evaluate import class_numbers
from alexnet.evaluation.probe import before_classifier, stage_features
from alexnet.models import ALIASES, MODELS, Classifier, build
from alexnet.models.alignment import alignment
from alexnet.options import did_you_mean
from alexnet.pictures.architecture import architecture_figure
from alexnet.pictures.c3 import c3_figure, table_of
from alexnet.pictures.catalogue import CATALOGUE
from alexnet.pictures.confusion import confusion_figure
from alexnet.pictures.curves import curves_figure
from alexnet.pictures.errors import classes_figure
from alexnet.pictures.explain import last_maps
from alexnet.pictures.features import MOST_IMAGES as MOST_LAID_OUT
from alexnet.pictures.features import features_figure, plane
from alexnet.pictures.filters import filters_figure, first_filters
from alexnet.pictures.heat import Method, heat_of
from alexnet.pictures.maps import maps_figure, one_map, towers_of
from alexnet.pictures.overlay import extent_of, overlay
from alexnet.pictures.patches import EACH, patch, patches_figure, spread, strongest
from alexnet.pictures.patches import MOST_IMAGES as MOST_LOOKED_AT
from alexnet.pictures.predictions import PANELS, predictions_figure
from alexnet.pictures.records import read_run
from alexnet.pictures.score_map import draw, score_map
from alexnet.pictures.style import refuse_other_suffixes, save, short
from alexnet.pictures.subject import Subject, open_subject, pixels_of_view
from alexnet.progress import track


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

    def net(self) -> Classifier:
        """The net of the run, or the one of that name, in shapes alone.

        A net's name wins over a folder called so, as a set's does: `./alexnet` is the folder.
        """
        name = str(self.run)
        if name in MODELS or name in ALIASES:
            with torch.device("meta"):
                return build(name, size=self.size)
        if Path(name).exists():
            return self.subject().net
        near = did_you_mean([name], [*MODELS, *ALIASES])
        raise InputError(f"{name} is neither a run nor a net{near}: alexnet models lists the nets")

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
    given = list(images) if isinstance(images, list | tuple) else [images]
    check(what, given, {"stage": stage, "unit": unit, "label": label, "size": size})
    if what not in DRAWN:  # it is drawn from an index, which stands beside this room
        raise InputError(f"{what} needs an index: alexnet show RUN {what} --index INDEX")
    drawing = DRAWN[what](Wanted(run, given, stage, unit, label, size, device))
    if out is not None:
        save(drawing, Path(out))
    return drawing


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


def _maps(wanted: Wanted) -> Figure:
    subject = wanted.subject()
    stage = subject.stage(wanted.stage, next(iter(subject.net.stages)))
    view = subject.seen(wanted.images[0])
    with torch.inference_mode():
        answers = subject.net.features(view, stage)[0].float().cpu().numpy()
    pixels = pixels_of_view(view)
    if wanted.unit is None:
        kind = "maps" if answers.ndim == 3 else "units"
        towers = towers_of(subject.net) if answers.ndim == 3 else 1
        return maps_figure(pixels, answers, f"{kind} of {stage}", towers)
    one = one_map(answers, wanted.unit, stage)
    extent = extent_of(alignment(subject.net, stage), *one.shape)
    most = float(np.abs(answers).max()) or 1.0
    limits = (-most if answers.min() < 0 else 0.0, most)
    return overlay(pixels, one, extent, f"map {wanted.unit} of {stage}", "answer", limits)


def _predictions(wanted: Wanted) -> Figure:
    subject = wanted.subject()
    labels: list[int | None] = [None for _ in wanted.images]
    if wanted.images:
        views = torch.cat([subject.seen(image) for image in wanted.images])
    else:
        rows, numbers = subject.one_of_each_class(PANELS)
        views, labels = subject.views(subject.packed.read(rows)), numbers.tolist()
    p = subject.probabilities(views)
    return predictions_figure([pixels_of_view(view) for view in views], p, subject.classes, labels)


def _curves(wanted: Wanted) -> Figure:
    run = read_run(Path(wanted.run))
    return curves_figure(run.metrics, len(run.facts.get("classes") or []))


def _confusion(wanted: Wanted) -> Figure:
    found = wanted.evaluation()
    return confusion_figure(np.array(found["confusion"]), found["classes"])


def _classes(wanted: Wanted) -> Figure:
    return classes_figure(wanted.evaluation())


def _heat(wanted: Wanted, method: Method) -> Figure:
    subject, view, number, named = _asked_class(wanted)
    stage = subject.stage(wanted.stage, last_maps(subject.net))
    heat = heat_of(method, subject.net, view, number, stage, wanted.size)
    against = "against" if method == "occlusion" else "for"
    title, extent = f"{heat.what} {against} {named}", extent_of(heat.at, *heat.values.shape)
    return overlay(pixels_of_view(view), heat.values, extent, title, heat.scale, heat.limits)


def _asked_class(wanted: Wanted) -> tuple[Subject, Tensor, int, str]:
    """The net, the image as it sees it, the class asked for or the likeliest one, and that in words."""
    subject = wanted.subject()
    view = subject.seen(wanted.images[0])
    p = subject.probabilities(view)[0]
    number = int(p.argmax()) if wanted.label is None else subject.class_number(wanted.label)
    return subject, view, number, f"{short(subject.classes[number], 24)} ({p[number]:.0%})"


def _score_map(wanted: Wanted) -> Figure:
    return draw(score_map(wanted.run, wanted.images[0], wanted.label, wanted.size, wanted.device))


def _patches(wanted: Wanted) -> Figure:
    subject = wanted.subject()
    stage = subject.stage(wanted.stage, last_maps(subject.net))
    at = alignment(subject.net, stage)
    rows = first_by_rank(subject.packed, subject.test_rows, MOST_LOOKED_AT)
    batches = Batches(subject.packed, rows, 64, None)
    views = (subject.views(step.images) for step in track(batches.epoch(0), stage, batches.steps, "batches"))
    found = strongest(subject.net, views, stage, EACH if wanted.unit is None else 4 * EACH)
    units = len(found.answers)
    if wanted.unit is not None and not 1 <= wanted.unit <= units:
        raise InputError(f"--unit {wanted.unit}: {stage} has maps 1 to {units}")
    drawn = spread(units) if wanted.unit is None else [wanted.unit - 1]
    patches = {}
    for unit in drawn:
        seen = subject.views(subject.packed.read(rows[found.images[unit].cpu().numpy()]))
        places = found.places[unit].tolist()
        patches[unit + 1] = [patch(pixels_of_view(one), (y, x), at) for one, (y, x) in zip(seen, places, strict=True)]
    which = f"{len(drawn)} of {units} filters" if wanted.unit is None else f"filter {wanted.unit}"
    title = f"{stage}, {which}: where {len(rows):,} test images excite it most; it sees {at.field} pixels"
    return patches_figure(patches, title)


def _features(wanted: Wanted) -> Figure:
    subject = wanted.subject()
    net, card, packed = subject.net, subject.predictor.card, subject.packed
    stage = subject.stage(wanted.stage, before_classifier(net))
    rows = first_by_rank(packed, subject.test_rows, MOST_LAID_OUT)
    found = stage_features(net, card, packed, rows, [stage], stage)[stage]
    labels = class_numbers(packed, card)[rows]
    title = f"{len(rows):,} test images by {stage} of {card.model}: neighbours are alike to the net"
    return features_figure(plane(found), list(packed.read(rows)), labels, subject.classes, title)


def _architecture(wanted: Wanted) -> Figure:
    return architecture_figure(wanted.net(), wanted.size)


def _c3(wanted: Wanted) -> Figure:
    _, table, below = table_of(wanted.net())
    return c3_figure(table, below)


DRAWN: dict[str, Callable[[Wanted], Figure]] = {
    "filters": _filters,
    "maps": _maps,
    "predictions": _predictions,
    "curves": _curves,
    "confusion": _confusion,
    "classes": _classes,
    "saliency": partial(_heat, method="saliency"),
    "occlusion": partial(_heat, method="occlusion"),
    "gradcam": partial(_heat, method="gradcam"),
    "score_map": _score_map,
    "patches": _patches,
    "features": _features,
    "architecture": _architecture,
    "c3": _c3,
}
