"""What every results file says beside its figures: command, commit, machine, versions."""

import json
from pathlib import Path
from typing import Any

from alexnet.bench.conditions import conditions, load

__all__ = ["RESULTS", "ROOT", "conditions", "result", "write"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"


def write(name: str, document: dict[str, Any]) -> Path:
    """Write results/NAME.json, the load of the machine at the end added."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    document["load_after"] = load()
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def result(name: str) -> dict[str, Any] | None:
    """What results/NAME.json holds; None where it was not measured."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
