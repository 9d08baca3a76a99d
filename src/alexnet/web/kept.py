"""The things used last, as many as fit."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Things by name, within a number of things and a sum of bytes; the longest unused are dropped first.

    Safe to use from several threads. A thing larger than all the room is not kept.

    Args:
        most: things.
        most_bytes: of all things together.
    """

    def __init__(self, most: int, most_bytes: int):
        self.most, self.most_bytes = most, most_bytes
        self.bytes = 0
        self._things: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._things)

    def get(self, name: str) -> T | None:
        """The thing of that name, which counts as used; None where it is not, or no longer."""
        with self._lock:
            if name not in self._things:
                return None
            self._things.move_to_end(name)
            return self._things[name][0]

    def put(self, name: str, thing: T, size: int) -> None:
        """Keep a thing of so many bytes, in place of one of the same name."""
        with self._lock:
            if name in self._things:
                self.bytes -= self._things.pop(name)[1]
            if size > self.most_bytes:
                return
            self._things[name] = thing, size
            self.bytes += size
            while len(self._things) > self.most or self.bytes > self.most_bytes:
                self.bytes -= self._things.popitem(last=False)[1][1]
