"""Sources of labelled images, packed once and read in batches."""

from alexnet.data.batches import Batch, Batches
from alexnet.data.cache import CacheEntry, cache_entries, cache_folder, clear_cache, packed_in_cache
from alexnet.data.check import Report, check
from alexnet.data.dataset import dataset_source
from alexnet.data.for_recipe import packed_for
from alexnet.data.named import NAMED
from alexnet.data.opening import open_source
from alexnet.data.pack import pack
from alexnet.data.packed import Cut, Packed, is_packed, open_packed
from alexnet.data.source import Problem, Source
from alexnet.data.split import Parts, split
from alexnet.data.statistics import Statistics, statistics

__all__ = [
    "NAMED",
    "Batch",
    "Batches",
    "CacheEntry",
    "Cut",
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
