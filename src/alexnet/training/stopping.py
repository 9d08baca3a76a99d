"""Ctrl-C and SIGTERM end training at the next step, with everything saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Within the block, Ctrl-C and SIGTERM only fill the list that it gives; a second one ends at once."""
    got: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if got:
            raise KeyboardInterrupt
        got.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = [signal.signal(number, handle) for number in numbers]
    except ValueError:  # not in the main thread: the caller's own handling stays
        yield got
        return
    try:
        yield got
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
