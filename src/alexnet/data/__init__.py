"""Sources of labelled images, packed once and read in batches."""

from .batches import Batch, Batches
from .opening import open_source
from .pack import pack
from .packed import Packed, is_packed, open_packed
from .source import Problem, Source
from .split import Parts, split
from .statistics import Statistics, statistics

__all__ = [
    "Batch",
    "Batches",
    "Packed",
    "Parts",
    "Problem",
    "Source",
    "Statistics",
    "is_packed",
    "open_packed",
    "open_source",
    "pack",
    "split",
    "statistics",
]
