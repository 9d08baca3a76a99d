"""The obvious way in a process of its own, where the heap is as the C library keeps it.

Ours keeps memory between calls, as the command line does, and that holds for a whole process. Sharing one would make
the obvious way faster than it is: by a quarter in inference on a CPU.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import torch

from alexnet.errors import JobFailed


@contextmanager
def apart(prepare: Callable[..., Callable[[], Any]], *given: Any) -> Iterator[Callable[[], Any]]:
    """Make a way in a new process, with this one's number of threads; give a function that calls it there and waits.

    Args:
        prepare: a function of a module, called with `given`; what it gives is called again and again, and may answer
            with numbers and arrays, not with tensors.
        given: what can be pickled.

    Raises:
        JobFailed: the process ended; what the way raises there comes as it is.
    """
    context = multiprocessing.get_context("spawn")  # a forked copy of a process with torch's threads may hang
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, torch.get_num_threads(), prepare, given), daemon=True)
    process.start()
    there.close()

    def answer() -> Any:
        try:
            found = here.recv()
        except EOFError:
            raise JobFailed("the process of the obvious way ended by itself: is there enough memory?") from None
        if isinstance(found, Exception):
            raise found
        return found

    def call() -> Any:
        here.send(None)
        return answer()

    try:
        answer()  # it is ready
        yield call
    finally:
        here.close()
        process.join(10)
        process.terminate()


def _serve(there: Connection, threads: int, prepare: Callable[..., Callable[[], Any]], given: tuple[Any, ...]) -> None:
    torch.set_num_threads(threads)
    try:
        way = prepare(*given)
        there.send(None)
        while True:
            there.recv()
            there.send(way())
    except EOFError:
        return  # nobody asks any more
    except Exception as error:
        there.send(error)
