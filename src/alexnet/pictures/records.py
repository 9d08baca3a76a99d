"""What lies in a run's folder, read for the report, the comparison and the pictures of its records."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from alexnet.errors import InputError
from alexnet.evaluation.answers import Answers, read_answers


@dataclass(frozen=True)
class Run:
    """What a run's folder says of itself.

    Attributes:
        folder: where it lies.
        facts: run.json.
        recipe_text: recipe.yaml as it stands there.
        recipe: the same, read; empty where there is none.
        metrics: lines of metrics.jsonl.
        evaluation: evaluation.json; None before a test.
        answers: to each image of that test; None where they were not kept or are those of another test.
        unfinished: training is going on, or was cut off.
    """

    folder: Path
    facts: dict[str, Any]
    recipe_text: str
    recipe: dict[str, Any]
    metrics: list[dict[str, Any]]
    evaluation: dict[str, Any] | None
    answers: Answers | None
    unfinished: bool

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the net's order."""
        return (self.evaluation or self.facts).get("classes") or []


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
    evaluation = _json(evaluation_file) if evaluation_file.is_file() else None
    return Run(
        folder=folder,
        facts=_json(folder / "run.json"),
        recipe_text=recipe_text,
        recipe=recipe if isinstance(recipe, dict) else {},
        metrics=_lines(folder / "metrics.jsonl"),
        evaluation=evaluation,
        answers=_answers(folder, evaluation),
        unfinished=(folder / "state.pt").exists(),
    )


def _answers(folder: Path, evaluation: dict[str, Any] | None) -> Answers | None:
    """The answers that the figures of evaluation.json were counted from."""
    if evaluation is None:
        return None
    answers = read_answers(folder)
    if answers is None or (answers.step, answers.views) != (evaluation.get("step"), evaluation.get("views")):
        return None
    return answers


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
