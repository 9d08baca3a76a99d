"""One at a time through a net, in a thread of its own.

A net's own thread keeps memory flat: torch and the C library hold workers and heaps for each thread that computes.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastapi import HTTPException

T = TypeVar("T")


class Turns:
    """The queue before a net.

    Args:
        most: callers that wait or are served at once; the next one is told to come again.
        seconds: that a caller waits for its answer.
    """

    def __init__(self, most: int, seconds: float):
        self._most, self._seconds = most, seconds
        self._there = 0
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="net")

    def __call__(self, work: Callable[[], T]) -> T:
        """Give what `work` gives, called in the net's thread when it is its turn.

        Raises:
            HTTPException: 503, too many wait, or it took too long.
        """
        with self._lock:
            if self._there >= self._most:
                raise _busy(f"{self._there} requests wait for this net already: ask again in a few seconds")
            self._there += 1
        try:
            future = self._thread.submit(work)
            try:
                return future.result(self._seconds)
            except TimeoutError:
                future.cancel()  # where it has not begun
                raise _busy(f"no answer within {self._seconds:g} seconds: ask again, or for less") from None
        finally:
            with self._lock:
                self._there -= 1

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _busy(line: str) -> HTTPException:
    return HTTPException(503, line, {"Retry-After": "5"})
