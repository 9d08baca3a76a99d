"""How a run was made, for its report: data, length of training, recipe, commands."""

import difflib
import shlex
from typing import Any

import yaml

from alexnet.pictures.records import Run
from alexnet.recipes import RECIPES, as_fields


def parts(facts: dict[str, Any]) -> list[tuple[str, int]]:
    """(what for, images) of each part that has any."""
    names = {"train": "to train on", "validation": "to choose the weights by", "test": "to test with"}
    parts = facts.get("parts", {})
    return [(name, parts[part]) for part, name in names.items() if parts.get(part)]


def length(run: Run) -> dict[str, Any]:
    """How long training was: epochs, steps, images seen, minutes."""
    steps = [line for line in run.metrics if line["kind"] in ("step", "validation")]
    seen = run.facts.get("images_seen") or max((line.get("images_seen", 0) for line in steps), default=0)
    seconds = run.facts.get("seconds") or max((line.get("seconds", 0) for line in steps), default=0)
    return {
        "epochs": f"{steps[-1]['epoch']:.3g}" if steps else None,
        "images": seen,
        "time": duration(seconds),
    }


def duration(seconds: float) -> str:
    """Seconds in words, coarser the longer."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def recipe_lines(run: Run) -> list[tuple[str, bool]]:
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


def commands(run: Run) -> list[tuple[str, str]]:
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
