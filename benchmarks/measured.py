"""What every results file says beside its figures: command, commit, machine, versions."""

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"


def conditions(command: str) -> dict[str, Any]:
    """The conditions of a measurement that begins now."""
    return {
        "command": command,
        "commit": commit(),
        "machine": {"cpu": cpu(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "numpy")},
        },
        "load_before": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The commit that is checked out, with a plus where files differ from it."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    changed = subprocess.run(["git", "status", "--porcelain", "src"], cwd=ROOT, capture_output=True, text=True).stdout
    return head.strip() + ("+" if changed.strip() else "")


def cpu() -> str:
    """The processor's own name, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def write(name: str, document: dict[str, Any]) -> Path:
    """Write results/NAME.json, the load of the machine at the end added."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    document["load_after"] = round(os.getloadavg()[0], 2)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
