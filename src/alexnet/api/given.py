"""What callers may give in several forms, as the rooms below take it."""

from pathlib import Path
from typing import Any

from alexnet.data import Source, dataset_source


def source_of(source: Any) -> str | Source | None:
    """A source as the rooms below take it."""
    if source is not None and not isinstance(source, str | Path | Source):
        return dataset_source(source)
    return str(source) if isinstance(source, Path) else source


def place(root: str | Path | None) -> Path | None:
    """A folder as the rooms below take it."""
    return Path(root) if root is not None else None
