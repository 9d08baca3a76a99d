"""What every results file says beside its figures: command, commit, machine, versions."""

import json
from pathlib import Path
from typing import Any

from alexnet.bench.conditions import conditions, load

__all__ = ["RESULTS", "ROOT", "conditions", "write"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"


def write(name: str, document: dict[str, Any]) -> Path:
    """Write results/NAME.json, the load of the machine at the end added."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    document["load_after"] = load()
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
