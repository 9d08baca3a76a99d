"""Several runs side by side, as one HTML file."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from alexnet.errors import InputError
from alexnet.files import write_text
from alexnet.pictures.advice import percent
from alexnet.pictures.allowance import Allowance
from alexnet.pictures.cells import ReadRows
from alexnet.pictures.compare_runs import (
    IMAGES,
    Against,
    against_best,
    best_of,
    cautions,
    differing,
    facts_of,
    names_of,
    only_one_right,
    per_class,
)
from alexnet.pictures.curves import curves_of_runs
from alexnet.pictures.errors import Bar, errors_figure, in_words
from alexnet.pictures.records import Run, read_run
from alexnet.pictures.report import MOST_BYTES, environment
from alexnet.pictures.style import svg


def write_comparison(folders: Sequence[Path], readers: Sequence[ReadRows | None], out: Path) -> Path:
    """Write a page that compares runs, from the files in their folders.

    Args:
        folders: of the runs, two or more.
        readers: for each what gives images for rows of its packed data; None where it is gone.
        out: the file.

    Raises:
        InputError: the same run twice; a folder that is not a run, or a file in it that cannot be read.
    """
    places = [folder.resolve() for folder in folders]
    twice = next((folder for folder, place in zip(folders, places) if places.count(place) > 1), None)
    if twice is not None:
        raise InputError(f"{twice} came more than once: give each run once")
    text = comparison([read_run(folder) for folder in folders], readers, names_of(folders))
    write_text(out, text.encode("utf-8", "replace").decode("utf-8"))
    return out


def comparison(runs: Sequence[Run], readers: Sequence[ReadRows | None], names: Sequence[str]) -> str:
    """The whole page as HTML, of at most MOST_BYTES."""
    template = environment().get_template("comparison.html.j2")
    rows = against_best(runs, names)
    classes, of_classes = per_class(runs)
    words = {
        "names": names,
        "runs": runs,
        "best": best_of(runs),
        "errors": _errors(runs, names),
        "against": [(row, sentence(row, names)) for row in rows],
        "cautions": cautions(runs, names),
        "facts": facts_of(runs),
        "recipe": differing(runs),
        "curves": [
            (heading, Markup(svg(drawing, f"{heading.lower()} of each run over the images seen")))
            for heading, drawing in curves_of_runs([run.metrics for run in runs], [_batch(run) for run in runs], names)
        ],
        "classes": classes,
        "of_classes": of_classes,
        "version": version("alexnet"),
    }
    without = template.render(**words, unlike=[])
    left = Allowance(MOST_BYTES - len(without.encode("utf-8", "replace")))
    return template.render(**words, unlike=_unlike(runs, readers, names, rows, left))


def sentence(row: Against, names: Sequence[str]) -> str:
    """What an image by image comparison found, in words."""
    if row.found is None:
        return f"{names[row.other]} cannot be compared with {names[row.best]} image by image: {row.missing}."
    found = row.found
    low, high = (f"{100 * end:.1f}".replace("-", "−") for end in found.interval)
    p = "p < 0.0001" if found.p < 0.0001 else f"p = {found.p:.4f}" if found.p < 0.01 else f"p = {found.p:.2f}"
    p = p.replace(" ", "\u00a0")
    said = "larger than chance" if row.larger else "not shown to be larger than chance"
    return (
        f"The error of {names[row.other]} is {100 * found.difference:.1f} points above that of {names[row.best]} "
        f"(95 % interval {low} to {high}): {said}. Of {found.images:,} same images {names[row.best]} alone has "
        f"{found.only_first:,} right, {names[row.other]} alone {found.only_second:,} ({p})."
    )


def _errors(runs: Sequence[Run], names: Sequence[str]) -> Markup | None:
    bars = [
        Bar(name, run.evaluation["top1_error"], tuple(run.evaluation["interval"]))
        for run, name in zip(runs, names)
        if run.evaluation is not None
    ]
    return Markup(svg(errors_figure(bars), in_words(bars))) if bars else None


def _batch(run: Run) -> float:
    """Images seen in a step."""
    steps = [line for line in run.metrics if line["kind"] == "step" and line.get("images_seen") and line["step"]]
    return steps[-1]["images_seen"] / steps[-1]["step"] if steps else 1.0


def _unlike(
    runs: Sequence[Run],
    readers: Sequence[ReadRows | None],
    names: Sequence[str],
    rows: Sequence[Against],
    left: Allowance,
) -> list[dict[str, Any]]:
    """For each comparison the images that only one of the two has right, both ways."""
    found = []
    for row in rows:
        if row.found is None:
            continue
        for right, wrong in ((row.best, row.other), (row.other, row.best)):
            pairs, reader = only_one_right(runs[right], runs[wrong]), readers[right]
            one, two = runs[right].answers, runs[wrong].answers
            if not len(pairs) or reader is None or one is None or two is None:
                continue
            images = reader(one.rows[pairs[:IMAGES, 0]])
            shown = [
                {
                    "picture": picture,
                    "truth": runs[right].classes[one.labels[here]],
                    "answer": runs[wrong].classes[two.answers[there]],
                    "sure": percent(float(two.probability[there])),
                }
                for (here, there), picture in zip(pairs[:IMAGES], left.take_all(images))
                if picture is not None
            ]
            found.append({"right": names[right], "wrong": names[wrong], "count": len(pairs), "shown": shown})
    return found
