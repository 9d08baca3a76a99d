"""What an index needs of a search engine: five methods, and nothing else.

An engine is a durable set of rows with ids, and finds the nearest of them. `faiss_engine.py` keeps them in a
folder, `milvus_engine.py` on a server. Names, labels and thumbnails never reach an engine (`table.py`), so that
another one is a class of these five methods.
"""

from pathlib import Path
from typing import Literal, Protocol

import numpy as np

Kind = Literal["features", "codes"]
"""Features: float32 or float16 [n, d], compared by L2. Codes: uint8 [n, bits / 8], by Hamming distance."""


class Engine(Protocol):
    """Rows with ids, on a disk or a server."""

    def add(self, ids: np.ndarray, rows: np.ndarray, origin: Path | None = None) -> None:
        """Take rows in; when this returns they are there for good.

        Args:
            ids: int64 [n], ascending, larger than all that were ever added.
            rows: [n, columns] of the engine's kind.
            origin: an .npy file that holds just these rows. An engine that can reach it need not copy them.
        """
        ...

    def delete(self, ids: np.ndarray) -> None:
        """Take rows out, for good; ids (int64 [n]) that are not there change nothing."""
        ...

    def search(self, queries: np.ndarray, k: int, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows of each query, exactly, the nearest first.

        Args:
            queries: [n, columns] of the engine's kind, features as float32.
            k: how many.
            among: int64 [n, m], the ids that each query is compared with, -1 for none; by default all rows.

        Returns:
            ids, int64 [n, k], -1 where there are fewer rows; distances, float32 [n, k], L2 (not squared) or bits
            that differ, infinite where there are fewer rows. Which of rows at the same distance come first or
            are left out is the engine's affair.
        """
        ...

    def count(self) -> int:
        """How many rows there are."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def nothing_found(queries: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and distances of no rows at all."""
    return np.full((queries, k), -1, np.int64), np.full((queries, k), np.inf, np.float32)
