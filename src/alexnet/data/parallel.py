"""Work in threads: those that decode or copy images let other threads run meanwhile, so that threads are enough."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 3  # batches read before they are asked for


def cores() -> int:
    """How many cores this process may use: its share where torchrun started several on this machine."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, there // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def decoders() -> ThreadPoolExecutor:
    """A thread for each core, to read the images of one batch."""
    return ThreadPoolExecutor(cores(), thread_name_prefix="alexnet-decode")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`work` of each item, in the items' order, computed in threads a little ahead of what is asked for.

    At most four results per core wait, so that memory does not grow with the number of items. Left
    early, it cancels what has not begun and leaves no thread behind.
    """
    workers = cores()
    waiting: deque[Future[Result]] = deque()
    pool = decoders()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def ahead(work: Callable[[Item], Result], items: Sequence[Item], most: int = AHEAD) -> Generator[Result, None, None]:
    """`work` of each item, in order, by one thread that is up to `most` items ahead of what is asked for.

    When item i is given out, the thread may begin with item i + `most`, and nobody looks at item i - 1 any more: so
    many buffers and one more can be used in turn. An error in `work` comes out here. Left early, it leaves no thread.
    """
    reader = ThreadPoolExecutor(1, thread_name_prefix="alexnet-ahead")
    try:
        waiting = deque(reader.submit(work, item) for item in items[:most])
        for coming in range(most, len(items) + most):
            result = waiting.popleft().result()
            if coming < len(items):
                waiting.append(reader.submit(work, items[coming]))
            yield result
    finally:
        reader.shutdown(wait=True, cancel_futures=True)
