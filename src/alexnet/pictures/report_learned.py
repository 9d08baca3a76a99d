"""What a run's net has learned and what its answers rest on, for the report: it is asked about its test images.

How many images it is asked about follows from how much work one is, so that a large net does not keep its report for
minutes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from alexnet.errors import InputError
from alexnet.evaluation.baselines import first_by_rank
from alexnet.evaluation.evaluate import class_numbers
from alexnet.evaluation.probe import before_classifier, outputs, pooled
from alexnet.models.alignment import alignment
from alexnet.models.summary import layer_table
from alexnet.pictures.architecture import architecture_figure
from alexnet.pictures.features import plane, points_figure, thumbnails
from alexnet.pictures.heat import Heat, Method, heat_of
from alexnet.pictures.overlay import blended
from alexnet.pictures.patches import patch, patches_square, spread, strongest
from alexnet.pictures.style import COLOURS, SIGNED
from alexnet.pictures.subject import Subject, pixels_of_view

WORK = 100e9
"""Multiply-adds that one part of the page may take: a few seconds on two cores."""

MOST_IMAGES = 500
"""Test images that are looked through, however small the net."""

LAID_OUT, FEWEST_LAID_OUT = 300, 20
"""Test images that are laid out in the plane, at most and at least."""

FILTERS, STAGES, MAPS, EXPLAINED = 16, 8, 8, 6
"""Filters with patches, stages with maps, maps of each, and answers that are explained."""


@dataclass(frozen=True)
class Shown:
    """A picture for the page: what it shows, and uint8 [h, w, 3 or 4]."""

    caption: str
    pixels: np.ndarray


@dataclass(frozen=True)
class Explained:
    """One answer and what it rests on."""

    truth: str
    answer: str
    probability: float
    panels: list[Shown]


@dataclass(frozen=True)
class Learned:
    """All that the page shows of the net; what a net cannot give is empty.

    Attributes:
        looked: test images that were looked through for patches.
        patches: of each stage, a square for each of some filters.
        image: the one that the maps answer to.
        maps: a row of the strongest maps of each stage.
        explained: answers, the worst mistakes first.
        points, thumbnails: test images in the plane.
        architecture: the drawing of the net.
    """

    looked: int
    patches: list[tuple[str, list[Shown]]]
    image: Shown
    maps: list[Shown]
    explained: list[Explained]
    points: Figure | None
    thumbnails: np.ndarray | None
    architecture: Figure


def learned(subject: Subject, worst: Sequence[int]) -> Learned:
    """Ask a net about its test images.

    Args:
        subject: the net of a run whose images are there.
        worst: rows of its worst mistakes, the worst first.

    Raises:
        InputError: the run's images are gone.
    """
    table = layer_table(subject.net)
    work = sum(row["multiply_adds"] for row in table)
    images = int(np.clip(WORK / max(1, work), 16, MOST_IMAGES))
    chosen, _ = subject.one_of_each_class(EXPLAINED)
    rows = np.array([*worst[: EXPLAINED - 2], *(row for row in chosen if row not in worst)][:EXPLAINED], np.int64)
    views = subject.views(subject.packed.read(rows))
    looked = first_by_rank(subject.packed, subject.test_rows, images)
    points, sheet = _features(subject, first_by_rank(subject.packed, subject.test_rows, min(images, LAID_OUT)))
    return Learned(
        looked=len(looked),
        patches=_patches(subject, table, looked),
        image=Shown("the image, as the net sees it", pixels_of_view(views[:1])),
        maps=_maps(subject, table, views[:1]),
        explained=_explained(subject, views, rows, occluded=256 * EXPLAINED * work < WORK),
        points=points,
        thumbnails=sheet,
        architecture=architecture_figure(subject.net),
    )


def _with_maps(table: Sequence[dict[str, Any]]) -> list[str]:
    """Stages with weights and maps of more than one position."""
    return [row["name"] for row in table if row["parameters"] and len(row["output"]) == 3 and row["output"][1] > 1]


def _patches(subject: Subject, table: list[dict[str, Any]], rows: np.ndarray) -> list[tuple[str, list[Shown]]]:
    stages = _with_maps(table)
    found = []
    for stage in dict.fromkeys(stages[place] for place in ((len(stages) - 1) // 3, len(stages) - 1) if stages):
        try:
            at = alignment(subject.net, stage)
        except InputError:  # behind an adaptive pooling nobody knows where a position looks
            continue
        best = strongest(subject.net, _batches(subject, rows), stage, 9)
        squares = []
        for unit in spread(len(best.answers), FILTERS):
            seen = subject.views(subject.packed.read(rows[best.images[unit].cpu().numpy()]))
            places = best.places[unit].tolist()
            cut = [patch(pixels_of_view(one), (y, x), at) for one, (y, x) in zip(seen, places, strict=True)]
            squares.append(Shown(f"filter {unit + 1}", _at_most(patches_square(cut, 3), 132)))
        found.append((f"{stage}, {len(squares)} of {len(best.answers)} filters, each sees {at.field} pixels", squares))
    return found


@torch.inference_mode()
def _maps(subject: Subject, table: list[dict[str, Any]], view: torch.Tensor) -> list[Shown]:
    stages = _with_maps(table)
    stages = [stages[place] for place in spread(len(stages), STAGES)] if stages else []
    rows = []
    for stage, x in outputs(subject.net, view, stages):
        maps = x[0].float().cpu().numpy()
        order = np.sort(np.argsort(-np.abs(maps).max((1, 2)), kind="stable")[:MAPS])
        most = float(np.abs(maps).max()) or 1.0
        signed = bool(maps.min() < 0)
        shades = (maps[order] / most + 1) / 2 if signed else maps[order] / most
        side = max(1, 64 // maps.shape[1])
        tiles = matplotlib.colormaps[SIGNED if signed else COLOURS](shades, bytes=True)[..., :3]
        tiles = [
            np.pad(tile.repeat(side, 0).repeat(side, 1), ((0, 0), (0, 3), (0, 0)), constant_values=255)
            for tile in tiles
        ]
        numbers = ", ".join(str(number + 1) for number in order)
        rows.append(Shown(f"{stage}, maps {numbers} of {len(maps)}", np.concatenate(tiles, 1)[:, :-3]))
    return rows


def _explained(subject: Subject, views: torch.Tensor, rows: np.ndarray, occluded: bool) -> list[Explained]:
    labels = class_numbers(subject.packed, subject.predictor.card)[rows]
    p = subject.probabilities(views)
    methods: list[Method] = ["gradcam", "saliency", *(["occlusion"] if occluded else [])]
    found = []
    for view, label, shares in zip(views.split(1), labels, p, strict=True):
        answer, pixels = int(shares.argmax()), pixels_of_view(view)
        panels = [Shown("image", pixels)]
        for method in methods:
            heat = _heat(method, subject, view, answer)
            hidden = "hidden by " if method == "occlusion" else ""
            panels += [Shown(hidden + heat.what, blended(pixels, heat))] if heat is not None else []
        found.append(Explained(subject.classes[label], subject.classes[answer], float(shares[answer]), panels))
    return found


def _heat(method: Method, subject: Subject, view: torch.Tensor, number: int) -> Heat | None:
    """None where the net pools adaptively, so that nobody knows where its positions look."""
    try:
        return heat_of(method, subject.net, view, number)
    except InputError:
        return None


@torch.inference_mode()
def _features(subject: Subject, rows: np.ndarray) -> tuple[Figure | None, np.ndarray | None]:
    if len(rows) < FEWEST_LAID_OUT:
        return None, None
    stage = before_classifier(subject.net)
    found = [
        pooled(x).float().cpu().numpy()
        for views in _batches(subject, rows)
        for _, x in outputs(subject.net, views, [stage])
    ]
    places = plane(np.concatenate(found), steps=350)
    labels = class_numbers(subject.packed, subject.predictor.card)[rows]
    return points_figure(places, labels, subject.classes), thumbnails(places, list(subject.packed.read(rows)), cells=20)


def _batches(subject: Subject, rows: np.ndarray) -> Iterator[torch.Tensor]:
    """Views of these images, a few at a time."""
    for start in range(0, len(rows), 64):
        yield subject.views(subject.packed.read(rows[start : start + 64]))


def _at_most(pixels: np.ndarray, side: int) -> np.ndarray:
    """The picture, made smaller where its longer side has more pixels."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side))
    return np.asarray(picture)
