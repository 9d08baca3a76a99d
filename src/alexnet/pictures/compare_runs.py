"""What several runs' records say of one another: which is better, and whether by more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.errors import InputError
from alexnet.evaluation.paired import Paired, common, paired
from alexnet.pictures.records import Run
from alexnet.pictures.report_made import duration
from alexnet.recipes import as_fields, recipe_from

CHANCE = 0.05
"""Probability of calling one of the differences larger than chance where there is none at all."""

CLASSES = 60
"""Classes that are listed: those in which the runs differ most."""

IMAGES = 12
"""Images that are shown of those that one run has right and the other wrong."""

MODEL_FACTS = {
    "model": "net", "parameters": "parameters", "size": "input, pixels a side", "from": "started from",
    "images_seen": "images seen", "seconds": "training took", "reason": "why training ended",
}  # fmt: skip


@dataclass(frozen=True)
class Against:
    """Another run beside the best one.

    Attributes:
        best, other: their places among the runs.
        found: image by image, the best one first; None where that cannot be said, see `missing`.
        larger: whether the difference is larger than chance, all comparisons taken together.
        missing: why they cannot be compared image by image.
    """

    best: int
    other: int
    found: Paired | None
    larger: bool = False
    missing: str | None = None


def names_of(folders: Sequence[Path]) -> list[str]:
    """A name for each run: its folder's, or the whole path where two folders are called alike."""
    short = [folder.resolve().name for folder in folders]
    return [name if short.count(name) == 1 else str(folder) for name, folder in zip(short, folders)]


def best_of(runs: Sequence[Run]) -> int | None:
    """The place of the run with the smallest test error, the first of equals; None where none was tested."""
    errors = [(run.evaluation["top1_error"], place) for place, run in enumerate(runs) if run.evaluation is not None]
    return min(errors)[1] if errors else None


def against_best(runs: Sequence[Run], names: Sequence[str]) -> list[Against]:
    """Each tested run beside the best one, by McNemar's test on the images that both were tested on.

    The best one was picked by the same figures. So that picking does not pass for a finding, a difference is called
    larger than chance only under CHANCE divided by the number of all pairs (C. Bonferroni).
    """
    best = best_of(runs)
    if best is None:
        return []
    tested = [place for place, run in enumerate(runs) if run.evaluation is not None]
    level = CHANCE / max(1, len(tested) * (len(tested) - 1) // 2)
    rows = []
    for other in tested:
        if other == best:
            continue
        missing = _not_comparable(runs, names, best, other)
        found = None if missing else _paired(runs[best], runs[other])
        rows.append(Against(best, other, found, found is not None and found.p < level, missing))
    return rows


def _paired(best: Run, other: Run) -> Paired:
    assert best.answers is not None
    assert other.answers is not None
    here, there = common(best.answers.digests, other.answers.digests)
    return paired(best.answers.right[here], other.answers.right[there])


def _not_comparable(runs: Sequence[Run], names: Sequence[str], best: int, other: int) -> str | None:
    for place in (best, other):
        if runs[place].answers is None:
            return f"the answers of {names[place]} were not kept: alexnet evaluate {runs[place].folder} keeps them"
    one, two = runs[best].answers, runs[other].answers
    assert one is not None
    assert two is not None
    if not len(common(one.digests, two.digests)[0]):
        return f"{names[other]} and {names[best]} were tested on other images"
    if sorted(runs[best].classes) != sorted(runs[other].classes):
        return f"{names[other]} and {names[best]} were asked for other classes"
    return None


def cautions(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """What speaks against comparing these runs, in sentences."""
    said = [f"{name} has not been tested yet." for run, name in zip(runs, names) if run.evaluation is None]
    for key, what in (("fingerprint", "were trained on other images"), ("views", "were tested through other views")):
        groups: dict[Any, list[str]] = {}
        for run, name in zip(runs, names):
            value = (run.evaluation or {}).get(key) if key == "views" else run.facts.get(key)
            if value is not None:
                groups.setdefault(value, []).append(name)
        if len(groups) > 1:
            listed = "; ".join(
                f"{', '.join(group)}: {value}" if key == "views" else ", ".join(group)
                for value, group in groups.items()
            )
            said.append(f"They {what} ({listed}).")
    for run, name in zip(runs, names):
        if run.evaluation is not None and run.evaluation.get("trained_on"):
            said.append(f"{name} was trained on {run.evaluation['trained_on']:,} of its test images: this flatters it.")
    return said


def flat(recipe: dict[str, Any], before: str = "") -> dict[str, Any]:
    """A recipe's fields by their whole names, such as optimiser.rate."""
    fields: dict[str, Any] = {}
    for name, value in recipe.items():
        fields |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return fields


def differing(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """(field, its value in each run) for the fields of the recipes that are not the same in all.

    A field that an older version did not write down has the value that this version gives it.
    """
    fields = [flat(_whole(run.recipe)) for run in runs]
    names = list(dict.fromkeys(name for one in fields for name in one))
    values = [(name, [_in_words(one.get(name)) for one in fields]) for name in names]
    return [(name, row) for name, row in values if len(set(row)) > 1]


def _whole(recipe: dict[str, Any]) -> dict[str, Any]:
    try:
        return as_fields(recipe_from(recipe))
    except InputError:  # of a version that knew other fields
        return recipe


def facts_of(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """(what, in each run): net, parameters, length of training."""
    facts = [
        run.facts | ({"seconds": duration(run.facts["seconds"])} if "seconds" in run.facts else {}) for run in runs
    ]
    rows = [(text, [_in_words(one.get(key)) for one in facts]) for key, text in MODEL_FACTS.items()]
    return [(text, row) for text, row in rows if set(row) != {"–"}]


def per_class(runs: Sequence[Run]) -> tuple[list[tuple[str, list[float | None]]], int]:
    """(class, its error in each run) for the classes that all tested runs have, most unlike first; and their number."""
    tables = [
        {row["label"]: row["error"] for row in run.evaluation.get("per_class", [])}
        if run.evaluation is not None
        else {}
        for run in runs
    ]
    tested = [table for table in tables if table]
    shared = [label for label in (tested[0] if tested else {}) if all(table.get(label) is not None for table in tested)]
    rows = [(label, [table.get(label) for table in tables]) for label in shared]

    def spread(row: tuple[str, list[float | None]]) -> float:
        known = [error for error in row[1] if error is not None]
        return max(known) - min(known)

    return sorted(rows, key=spread, reverse=True)[:CLASSES], len(rows)


def only_one_right(right: Run, wrong: Run) -> np.ndarray:
    """Images that the first run has right and the second wrong, the second's surest first: int64 [k, 2].

    Returns:
        Places among the first one's answers and among the second one's.
    """
    assert right.answers is not None
    assert wrong.answers is not None
    here, there = common(right.answers.digests, wrong.answers.digests)
    only = right.answers.right[here] & ~wrong.answers.right[there]
    here, there = here[only], there[only]
    order = np.argsort(-wrong.answers.probability[there], kind="stable")
    return np.stack([here[order], there[order]], 1)


def _in_words(value: Any) -> str:
    if value is None or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value > 9999:
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
