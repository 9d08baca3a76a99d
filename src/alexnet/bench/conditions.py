"""Under which conditions a measurement was taken: command, commit, machine, versions, load."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from alexnet.version import __version__

HERE = Path(__file__).resolve()
PACKAGES = ("torch", "torchvision", "numpy", "pillow", "simplejpeg", "triton", "openvino", "onnxruntime")


def conditions(command: str) -> dict[str, Any]:
    """The conditions of a measurement that begins now."""
    return {
        "command": command,
        "version": __version__,
        "commit": commit(),
        "machine": {"cpu": cpu(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": {"python": platform.python_version(), **versions()},
        "load_before": load(),
    }


def versions() -> dict[str, str]:
    """Of the packages that decide about speed, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit this package's source is checked out at, with a plus where files differ; None when installed."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=HERE.parent, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", HERE.name)  # a package installed into somebody's repository is not in it
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", str(HERE.parents[1])) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def cpu() -> str:
    """The processor's own name, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def load() -> float | None:
    """Programs that wanted to run in the last minute, on the average; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
