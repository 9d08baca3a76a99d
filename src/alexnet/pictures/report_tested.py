"""What testing found, for the report: errors beside those of no net, classes, mistakes."""

from typing import Any

from alexnet.pictures.errors import Bar
from alexnet.pictures.records import Run

VIEW_NAMES = {"center": "centre view", "ten": "ten views", "dense": "every position"}

BASELINE_NAMES = {"nearest_pixel": "nearest image by pixels", "majority": "commonest class"}

MISTAKES = 24
"""Worst mistakes that are shown."""

CLASSES = 1000
"""Classes that the table has: of more, those with the largest errors."""


def in_order(evaluation: dict[str, Any] | None) -> dict[str, Any] | None:
    """The evaluation with its views in their usual order, its own views alone where it lists none."""
    if evaluation is None:
        return None
    by_views = evaluation.get("by_views") or {evaluation.get("views", "center"): evaluation}
    known = [*VIEW_NAMES, *(views for views in by_views if views not in VIEW_NAMES)]
    return evaluation | {"by_views": {views: by_views[views] for views in known if views in by_views}}


def bars(evaluation: dict[str, Any], facts: dict[str, Any]) -> list[Bar]:
    """Ours by view, then the baselines."""
    model = facts.get("model", "the net")
    ours = [
        Bar(f"{model}, {VIEW_NAMES.get(views, views)}", row["top1_error"], tuple(row["interval"]))
        for views, row in evaluation["by_views"].items()
    ]
    baselines = evaluation.get("baselines", {})
    return ours + [
        Bar(name, baselines[key]["error"], ours=False) for key, name in BASELINE_NAMES.items() if key in baselines
    ]


def mirrored_in_vain(run: Run) -> bool:
    """Whether ten views were measured of images that are not mirrored in training, such as digits."""
    unmirrored = run.recipe.get("augmentation", {}).get("mirror") is False
    return unmirrored and run.evaluation is not None and "ten" in run.evaluation.get("by_views", {})


def weakest(evaluation: dict[str, Any], most: int = 3) -> list[dict[str, Any]]:
    """The classes with the largest error, those without errors left out."""
    rows = [row for row in evaluation.get("per_class", []) if row["errors"]]
    return sorted(rows, key=lambda row: (-row["error"], -row["images"]))[:most]


def per_class(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """The classes, those with the largest error first, those without images last."""
    rows = evaluation.get("per_class", [])
    return sorted(rows, key=lambda row: (row["error"] is None, -(row["error"] or 0), row["label"]))[:CLASSES]


def checked(run: Run) -> dict[str, Any] | None:
    """The last line of the validation, which says how good a run is that was not tested yet."""
    lines = [line for line in run.metrics if line["kind"] == "validation" and line.get("error") is not None]
    return lines[-1] if lines else None
