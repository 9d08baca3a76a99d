"""A run's report: one HTML file that answers how good the net is, where it fails and what to try next.

Everything stands inside the file, drawings as SVG and pictures as data addresses, so that it opens
from a memory stick or an e-mail, years later, without asking anybody for anything.
"""

import difflib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml
from markupsafe import Markup
from safetensors import SafetensorError, safe_open

from alexnet.errors import InputError
from alexnet.files import write_text
from alexnet.pictures.advice import advice, interval_text, percent, verdict
from alexnet.pictures.confusion import NAMES_UP_TO, NUMBERS_UP_TO, confusion_figure
from alexnet.pictures.curves import curves
from alexnet.pictures.errors import Bar, errors_figure, in_words
from alexnet.pictures.sheets import filters_sheet
from alexnet.pictures.style import data_uri, short, svg, thumbnail_uri
from alexnet.recipes import RECIPES, as_fields

ReadRows = Callable[[np.ndarray], Sequence[np.ndarray] | np.ndarray]

MISTAKES = 24
"""Worst mistakes that are shown."""

CONFUSIONS = 10
"""Pairs of classes that are listed as most often confused."""

VIEW_NAMES = {"center": "centre view", "ten": "ten views", "dense": "every position"}

BASELINE_NAMES = {"nearest_pixel": "nearest image by pixels", "majority": "commonest class"}


@dataclass(frozen=True)
class Run:
    """What a run's folder says of itself."""

    folder: Path
    facts: dict[str, Any]
    recipe_text: str
    recipe: dict[str, Any]
    metrics: list[dict[str, Any]]
    evaluation: dict[str, Any] | None
    unfinished: bool


def write_report(run: Path, read_rows: ReadRows | None = None) -> Path:
    """Write `report.html` into a run's folder, from the files that lie there.

    Parts that the folder does not hold (no evaluation yet, no weights, data that has moved) are left
    out, and the page says so.

    Args:
        run: the folder, with run.json at least.
        read_rows: gives uint8 [h, w, 3 or 1] images for rows (int64 [k]) of the packed data; None where it is gone.

    Returns:
        The page's path.

    Raises:
        InputError: a folder that is not a run, or a file in it that cannot be read.
    """
    folder = Path(run)
    path = folder / "report.html"
    text = page(read_run(folder), read_rows)
    # A file's name may hold bytes that are no text; they become question marks.
    write_text(path, text.encode("utf-8", "replace").decode("utf-8"))
    return path


def read_run(folder: Path) -> Run:
    """Read what a run's folder holds; only run.json must be there.

    Raises:
        InputError: run.json is missing, or a file is damaged.
    """
    if not (folder / "run.json").is_file():
        raise InputError(f"{folder} is not a run: it has no run.json; give the folder that training wrote")
    recipe_file, evaluation_file = folder / "recipe.yaml", folder / "evaluation.json"
    recipe_text = recipe_file.read_text(encoding="utf-8") if recipe_file.is_file() else ""
    try:
        recipe = yaml.safe_load(recipe_text) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{recipe_file} is not YAML ({str(error).splitlines()[0]}); mend or remove it") from None
    return Run(
        folder=folder,
        facts=_json(folder / "run.json"),
        recipe_text=recipe_text,
        recipe=recipe if isinstance(recipe, dict) else {},
        metrics=_lines(folder / "metrics.jsonl"),
        evaluation=_json(evaluation_file) if evaluation_file.is_file() else None,
        unfinished=(folder / "state.pt").exists(),
    )


def page(run: Run, read_rows: ReadRows | None) -> str:
    """The whole page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("alexnet", "pictures"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "interval": interval_text, "thousands": "{:,}".format}
    evaluation = _in_order(run.evaluation)
    classes = (evaluation or run.facts).get("classes") or []
    facts = run.facts
    told = advice(facts, run.recipe, run.metrics, evaluation, facts.get("counts"))
    return environment.get_template("report.html.j2").render(
        facts=facts,
        folder=run.folder.resolve(),
        unfinished=run.unfinished,
        classes=classes,
        parts=_parts(facts),
        length=_length(run),
        evaluation=evaluation,
        verdict=verdict(evaluation) if evaluation else [],
        errors=_errors(_bars(evaluation, facts)) if evaluation else None,
        view_names=VIEW_NAMES,
        mirrored_in_vain=_mirrored_in_vain(run),
        weakest=_weakest(evaluation) if evaluation else [],
        confusions=_confusions(evaluation) if evaluation else [],
        confusion=_confusion(evaluation),
        numbered=len(classes) > NAMES_UP_TO,
        wide=len(classes) > NUMBERS_UP_TO,
        per_class=_per_class(evaluation) if evaluation else [],
        mistakes=_mistakes(evaluation, read_rows) if evaluation else None,
        curves=_curves(run, len(classes)),
        watchdog=[line for line in run.metrics if line["kind"] == "watchdog"],
        filters=_filters(run),
        advice=[asdict(one) for one in told],
        recipe=_recipe_lines(run),
        commands=_commands(run),
        short=short,
        version=version("alexnet"),
    )


def _mirrored_in_vain(run: Run) -> bool:
    """Whether ten views were measured of images that are not mirrored in training, such as digits."""
    unmirrored = run.recipe.get("augmentation", {}).get("mirror") is False
    return unmirrored and run.evaluation is not None and "ten" in run.evaluation.get("by_views", {})


def _in_order(evaluation: dict[str, Any] | None) -> dict[str, Any] | None:
    """The evaluation with its views in their usual order, its own views alone where it lists none."""
    if evaluation is None:
        return None
    by_views = evaluation.get("by_views") or {evaluation.get("views", "center"): evaluation}
    known = [*VIEW_NAMES, *(views for views in by_views if views not in VIEW_NAMES)]
    return evaluation | {"by_views": {views: by_views[views] for views in known if views in by_views}}


def _bars(evaluation: dict[str, Any], facts: dict[str, Any]) -> list[Bar]:
    """Ours by view, then the baselines."""
    model = facts.get("model", "the net")
    bars = [
        Bar(f"{model}, {VIEW_NAMES.get(views, views)}", row["top1_error"], tuple(row["interval"]))
        for views, row in evaluation["by_views"].items()
    ]
    baselines = evaluation.get("baselines", {})
    return bars + [
        Bar(name, baselines[key]["error"], ours=False) for key, name in BASELINE_NAMES.items() if key in baselines
    ]


def _errors(bars: Sequence[Bar]) -> Markup:
    return Markup(svg(errors_figure(bars), in_words(bars)))


def _curves(run: Run, classes: int) -> list[tuple[str, Markup]]:
    return [
        (heading, Markup(svg(drawing, f"{heading.lower()} over the epochs")))
        for heading, drawing in curves(run.metrics, classes)
    ]


def _weakest(evaluation: dict[str, Any], most: int = 3) -> list[dict[str, Any]]:
    """The classes with the largest error, those without errors left out."""
    rows = [row for row in evaluation.get("per_class", []) if row["errors"]]
    return sorted(rows, key=lambda row: (-row["error"], -row["images"]))[:most]


def _per_class(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """All classes, those with the largest error first, those without images last."""
    rows = evaluation.get("per_class", [])
    return sorted(rows, key=lambda row: (row["error"] is None, -(row["error"] or 0), row["label"]))


def _confusions(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """The pairs of classes confused most often: truth, answer, count, images of the true class."""
    counts = np.array(evaluation.get("confusion", []), dtype=np.int64)
    if not counts.size:
        return []
    images = counts.sum(axis=1)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [(int(cell) // len(counts), int(cell) % len(counts)) for cell in order]
    names = evaluation["classes"]
    return [
        {
            "truth": names[row],
            "answer": names[column],
            "count": int(wrong[row, column]),
            "images": int(images[row]),
        }
        for row, column in pairs
        if wrong[row, column]
    ]


def _confusion(evaluation: dict[str, Any] | None) -> Markup | None:
    if evaluation is None or not evaluation.get("confusion"):
        return None
    drawing = confusion_figure(np.array(evaluation["confusion"]), evaluation["classes"])
    return Markup(svg(drawing, f"confusion matrix of {len(evaluation['classes'])} classes"))


def _mistakes(evaluation: dict[str, Any], read_rows: ReadRows | None) -> dict[str, Any]:
    """The worst mistakes with their pictures, or why there are no pictures."""
    rows = [dict(row) for row in evaluation.get("mistakes", [])[:MISTAKES]]
    missing = None
    if rows and read_rows is None:
        missing = "The images are no longer where the run found them, so they are not shown."
    elif rows and read_rows is not None:
        try:
            images = read_rows(np.array([row["row"] for row in rows], dtype=np.int64))
            for row, image in zip(rows, images, strict=True):
                row["picture"] = thumbnail_uri(image)
        except (InputError, OSError, ValueError, IndexError) as error:
            missing = f"The images could not be read ({error}), so they are not shown."
    return {"rows": rows, "missing": missing, "all": round(evaluation["top1_error"] * evaluation["images"])}


def _filters(run: Run) -> list[tuple[str, str]]:
    """(caption, data address) for each tower of the first layer; none where its weights are no pictures."""
    told: dict[str, Any] = run.facts.get("first_filters") or {}
    path = run.folder / "best.safetensors"
    if not path.is_file():
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
    sheets = [first[start : start + each] for start in range(0, len(first), each)]
    return [
        (
            f"Tower {number + 1}: filters {number * each + 1} to {number * each + each}" if towers > 1
            else f"{len(first)} filters",
            data_uri(filters_sheet(sheet), "image/png"),
        )
        for number, sheet in enumerate(sheets)
    ]  # fmt: skip


def _parts(facts: dict[str, Any]) -> list[tuple[str, int]]:
    names = {"train": "to train on", "validation": "to choose the weights by", "test": "to test with"}
    parts = facts.get("parts", {})
    return [(name, parts[part]) for part, name in names.items() if parts.get(part)]


def _length(run: Run) -> dict[str, Any]:
    """How long training was: epochs, steps, images seen, minutes."""
    steps = [line for line in run.metrics if line["kind"] in ("step", "validation")]
    seen = run.facts.get("images_seen") or max((line.get("images_seen", 0) for line in steps), default=0)
    seconds = run.facts.get("seconds") or max((line.get("seconds", 0) for line in steps), default=0)
    return {
        "epochs": f"{steps[-1]['epoch']:.3g}" if steps else None,
        "images": seen,
        "time": _duration(seconds),
    }


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _recipe_lines(run: Run) -> list[tuple[str, bool]]:
    """The recipe's lines, each with whether it differs from the recipe of that name.

    What the named recipe leaves to be decided from the data is no difference.
    """
    lines = run.recipe_text.splitlines()
    base = RECIPES.get(str(run.recipe.get("name")))
    if base is None:
        return [(line, False) for line in lines]
    named = yaml.safe_dump(_filled(as_fields(base), run.recipe), sort_keys=False, allow_unicode=True)
    same = difflib.SequenceMatcher(None, named.splitlines(), lines, autojunk=False).get_matching_blocks()
    kept = {block.b + offset for block in same for offset in range(block.size)}
    return [(line, number not in kept) for number, line in enumerate(lines)]


def _filled(named: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    """The named recipe with its undecided fields (None) as they were chosen."""
    return {
        name: _filled(value, chosen.get(name) or {}) if isinstance(value, dict)
        else chosen.get(name) if value is None
        else value
        for name, value in named.items()
    }  # fmt: skip


def _commands(run: Run) -> list[tuple[str, str]]:
    """(what for, command line)."""
    made = run.facts.get("command")
    folder = shlex.quote(str(run.folder))
    made = made if isinstance(made, str) or made is None else shlex.join(made)
    first = [("This run was made by", made)] if made else []
    resume = [("It has not ended; it goes on with", f"alexnet train --resume {folder}")] if run.unfinished else []
    return [
        *first,
        *resume,
        ("Test it again", f"alexnet evaluate {folder}"),
        ("Ask it about an image", f"alexnet predict {folder} IMAGE"),
    ]


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read ({error}); remove it or bring back a copy") from None


def _lines(path: Path) -> list[dict[str, Any]]:
    """Lines of metrics.jsonl; the last one may be cut off where a run was killed while it wrote."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    read = []
    for number, line in enumerate(lines, 1):
        try:
            read.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise InputError(f"{path}, line {number}, is not JSON ({error}); mend or remove the line") from None
    return read
