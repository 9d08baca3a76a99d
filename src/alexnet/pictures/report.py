"""A run's report: one HTML file that answers how good the net is, where it fails and what to try next.

Everything stands inside the file, drawings as SVG and pictures as data addresses, so that it opens
from a memory stick or an e-mail, years later, without asking anybody for anything.
"""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from safetensors import SafetensorError, safe_open

from alexnet.errors import InputError
from alexnet.files import write_text
from alexnet.pictures import report_made as made
from alexnet.pictures import report_tested as tested
from alexnet.pictures.advice import advice, interval_text, percent, verdict
from alexnet.pictures.allowance import Allowance
from alexnet.pictures.calibration import calibration_figure
from alexnet.pictures.cells import WHOLE_UP_TO, ReadRows, cells_of, fill, matrix_of
from alexnet.pictures.confusion import NAMES_UP_TO, confusion_figure
from alexnet.pictures.curves import curves
from alexnet.pictures.errors import errors_figure, in_words
from alexnet.pictures.records import Run, read_run
from alexnet.pictures.report_learned import Learned, Shown
from alexnet.pictures.sheets import filters_block
from alexnet.pictures.style import short, svg

MOST_BYTES = 2_900_000
"""Size of a page, so that any mail takes it; pictures that would not fit are left out, the least telling first."""

FIRST_SEEN = 6
"""Mistakes that the first screen shows too."""


def write_report(
    run: Path,
    read_rows: ReadRows | None = None,
    learned: Learned | None = None,
    similar: Sequence[Sequence[np.ndarray]] = (),
    out: Path | None = None,
) -> Path:
    """Write a run's report from the files that lie in its folder.

    Parts that the folder does not hold (no evaluation yet, no weights, data that has moved) are left
    out, and the page says so.

    Args:
        run: the folder, with run.json at least.
        read_rows: gives uint8 [h, w, 3 or 1] images for rows (int64 [k]) of the packed data; None where it is gone.
        learned: what its net answered when asked; None where weights or images are gone.
        similar: for each of some queries its picture and those of the indexed images most like it.
        out: the file; by default report.html in the folder.

    Returns:
        The page's path.

    Raises:
        InputError: a folder that is not a run, or a file in it that cannot be read.
    """
    folder = Path(run)
    path = folder / "report.html" if out is None else out
    text = page(read_run(folder), read_rows, learned, similar)
    # A file's name may hold bytes that are no text; they become question marks.
    write_text(path, text.encode("utf-8", "replace").decode("utf-8"))
    return path


def page(
    run: Run,
    read_rows: ReadRows | None = None,
    learned: Learned | None = None,
    similar: Sequence[Sequence[np.ndarray]] = (),
) -> str:
    """The whole page as HTML, of at most MOST_BYTES; for the arguments see `write_report`."""
    template = environment().get_template("report.html.j2")
    words = _words(run, learned)
    # The words are written first, without a picture: what they leave is for pictures.
    without = template.render(**words, **_pictures(run, None, None, (), Allowance(0)))
    left = Allowance(MOST_BYTES - len(without.encode("utf-8", "replace")))
    return template.render(**words, **_pictures(run, read_rows, learned, similar, left))


def environment() -> jinja2.Environment:
    """Where pages find their templates and how they write numbers."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("alexnet", "pictures"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"percent": percent, "interval": interval_text, "thousands": "{:,}".format, "short": short}
    return found


def _words(run: Run, learned: Learned | None) -> dict[str, Any]:
    """What the page says and draws, all but its pictures."""
    evaluation = tested.in_order(run.evaluation)
    facts, classes = run.facts, run.classes
    told = advice(facts, run.recipe, run.metrics, evaluation, facts.get("counts"))
    watchdog = [line for line in run.metrics if line["kind"] == "watchdog"]
    errors = tested.bars(evaluation, facts) if evaluation else []
    return {
        "facts": facts,
        "folder": run.folder.resolve(),
        "unfinished": run.unfinished,
        "classes": classes,
        "parts": made.parts(facts),
        "length": made.length(run),
        "evaluation": evaluation,
        "checked": tested.checked(run),
        "verdict": verdict(evaluation) if evaluation else [],
        "errors": Markup(svg(errors_figure(errors), in_words(errors))) if errors else None,
        "view_names": tested.VIEW_NAMES,
        "mirrored_in_vain": tested.mirrored_in_vain(run),
        "weakest": tested.weakest(evaluation) if evaluation else [],
        "per_class": tested.per_class(evaluation) if evaluation else [],
        "confusion": _confusion(evaluation),
        "numbered": len(classes) > NAMES_UP_TO,
        "calibration": _calibration(run),
        "curves": [
            (heading, Markup(svg(drawing, f"{heading.lower()} over the epochs")))
            for heading, drawing in curves(run.metrics, len(classes))
        ],
        "watchdog": watchdog,
        "advice": [asdict(one) for one in told],
        "recipe": made.recipe_lines(run),
        "commands": made.commands(run),
        "architecture": _svg(learned and learned.architecture, f"{facts.get('model')} as boxes, sizes on their edges"),
        "points": _svg(learned and learned.points, "test images as points, by class"),
        "version": version("alexnet"),
    }


def _pictures(
    run: Run,
    read_rows: ReadRows | None,
    learned: Learned | None,
    similar: Sequence[Sequence[np.ndarray]],
    left: Allowance,
) -> dict[str, Any]:
    """The page's pictures, the most telling first, as far as they fit."""
    evaluation = run.evaluation
    mistakes = _mistakes(evaluation, read_rows, left) if evaluation else None
    asked = _of_net(learned, left)
    filters = _filters(run, left)
    alike = [pictures for one in similar if None not in (pictures := left.take_all(one, 96))]
    cells = cells_of(evaluation, run.answers) if evaluation else []
    if run.answers is not None and read_rows is not None and (mistakes is None or not mistakes["missing"]):
        fill(cells, run.answers, read_rows, left)
    return {
        "mistakes": mistakes,
        "first_seen": FIRST_SEEN,
        "filters": filters,
        "learned": asked,
        "similar": alike,
        "cells": cells,
        "matrix": matrix_of(evaluation, cells) if evaluation else None,
    }


def _svg(drawing: Any, text: str) -> Markup | None:
    return Markup(svg(drawing, text)) if drawing is not None else None


def _confusion(evaluation: dict[str, Any] | None) -> Markup | None:
    """The drawing of a matrix of more classes than the page has cells for."""
    if evaluation is None or len(evaluation.get("confusion") or []) <= WHOLE_UP_TO:
        return None
    drawing = confusion_figure(np.array(evaluation["confusion"]), evaluation["classes"])
    return Markup(svg(drawing, f"confusion matrix of {len(evaluation['classes'])} classes"))


def _calibration(run: Run) -> Markup | None:
    if run.answers is None:
        return None
    drawing = calibration_figure(run.answers.probability, run.answers.right)
    return Markup(svg(drawing, "share of right answers over the probability they were given with"))


def _mistakes(evaluation: dict[str, Any], read_rows: ReadRows | None, left: Allowance) -> dict[str, Any]:
    """The worst mistakes with their pictures, or why there are no pictures."""
    rows = [dict(row) for row in evaluation.get("mistakes", [])[: tested.MISTAKES]]
    missing = None
    if rows and read_rows is None:
        missing = "The images are no longer where the run found them, so they are not shown."
    elif rows and read_rows is not None:
        try:
            images = read_rows(np.array([row["row"] for row in rows], dtype=np.int64))
            for place, (row, image) in enumerate(zip(rows, images, strict=True)):
                row["picture"] = left.take(image, 128, times=2 if place < FIRST_SEEN else 1)
        except (InputError, OSError, ValueError, IndexError) as error:
            missing = f"The images could not be read ({error}), so they are not shown."
    return {"rows": rows, "missing": missing, "all": round(evaluation["top1_error"] * evaluation["images"])}


def _of_net(found: Learned | None, left: Allowance) -> dict[str, Any]:
    """What the net was asked for, as pictures; a row in which one does not fit is left out."""
    if found is None:
        return {}

    def row(shown: Sequence[Shown], side: int, exact: bool = False) -> list[tuple[str, str]]:
        pictures = [left.take(one.pixels, side, exact) for one in shown]
        return [(one.caption, uri) for one, uri in zip(shown, pictures) if uri is not None]

    explained = [(one, row(one.panels, 160)) for one in found.explained]
    return {
        "looked": found.looked,
        "explained": [(one, panels) for one, panels in explained if len(panels) == len(one.panels)],
        "patches": [(stage, squares) for stage, shown in found.patches if (squares := row(shown, 132))],
        "image": row([found.image], 160),
        "maps": row(found.maps, 800, True),
        "thumbnails": left.take(found.thumbnails, 728) if found.thumbnails is not None else None,
    }


def _filters(run: Run, left: Allowance) -> list[tuple[str, str]]:
    """(caption, data address) for each tower of the first layer; none where its weights are no pictures."""
    told: dict[str, Any] = run.facts.get("first_filters") or {}
    path = run.folder / "best.safetensors"
    if not path.is_file() or left.left == 0:
        return []
    try:
        with safe_open(path, framework="numpy") as weights:
            if told.get("key") not in weights.keys():  # noqa: SIM118 (it is no dict)
                return []
            first = weights.get_tensor(told["key"])
    except SafetensorError as error:
        raise InputError(f"{path} is damaged ({error}); train again or bring back a copy") from None
    if first.ndim != 4 or first.shape[1] not in (1, 3):
        return []
    towers = int(told.get("towers", 1))
    each = len(first) // towers
    sheets = [left.take(filters_block(first[start : start + each]), 800, True) for start in range(0, len(first), each)]
    return [
        (
            f"Tower {number + 1}: filters {number * each + 1} to {number * each + each}" if towers > 1
            else f"{len(first)} filters",
            sheet,
        )
        for number, sheet in enumerate(sheets) if sheet is not None
    ]  # fmt: skip
