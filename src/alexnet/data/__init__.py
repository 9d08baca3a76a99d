"""Sources of labelled images, packed once and read in batches."""

from .batches import Batch, Batches
from .cache import CacheEntry, cache_entries, cache_folder, clear_cache, packed_in_cache
from .check import Report, check
from .dataset import dataset_source
from .for_recipe import packed_for
from .named import NAMED
from .opening import open_source
from .pack import pack
from .packed import Packed, is_packed, open_packed
from .source import Problem, Source
from .split import Parts, split
from .statistics import Statistics, statistics

__all__ = [
    "NAMED",
    "Batch",
    "Batches",
    "CacheEntry",
    "Packed",
    "Parts",
    "Problem",
    "Report",
    "Source",
    "Statistics",
    "cache_entries",
    "cache_folder",
    "check",
    "clear_cache",
    "dataset_source",
    "is_packed",
    "open_packed",
    "open_source",
    "pack",
    "packed_for",
    "packed_in_cache",
    "split",
    "statistics",
]
