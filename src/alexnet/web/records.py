"""What lies in a run's folder beside the weights, read anew at each question: a run may be training."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from alexnet.checkpoint import read_run

SILENT = 600.0
"""Seconds after which a run that says nothing is taken for killed."""


def facts_of(folder: Path) -> dict[str, Any]:
    """run.json; nothing where there is none, as beside a file of weights alone."""
    return read_run(folder) if (folder / "run.json").is_file() else {}


def evaluation_of(folder: Path) -> dict[str, Any] | None:
    """evaluation.json; None before a test."""
    path = folder / "evaluation.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def is_training(folder: Path) -> bool:
    """Whether a process trains the run, as far as its files tell: not ended, and heard of within ten minutes."""
    about = facts_of(folder)
    if not about or "finished" in about or "compared_with" in about:
        return False
    signs = [folder / name for name in ("run.json", "metrics.jsonl", "state.pt")]
    heard = max(path.stat().st_mtime for path in signs if path.is_file())
    if "stopped" in about and heard < datetime.fromisoformat(about["stopped"]).timestamp() + 5:
        return False  # run.json itself is written last
    return time.time() - heard < SILENT
