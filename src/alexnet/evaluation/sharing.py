"""Batches dealt out to several processes, and what they made of them put together again, in order.

The batches are those of a single process: of P processes the first takes batches 0, P, 2P, ..., the second 1, P + 1,
and so on. So every image is taken once under any number of processes, and what a net makes of a batch is the same
wherever that is done, to the last bit where the machines, their threads and their versions are alike. After every
round, a batch for each process, all of them meet: one that died or hangs is noticed within a round.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from torch import distributed as dist

from alexnet.errors import InputError
from alexnet.processes import is_first, rank, size, told_by_all

T = TypeVar("T")


def own(batches: Sequence[T]) -> Sequence[T]:
    """The batches that this process takes; none where there are fewer batches than processes."""
    return batches[rank() :: size()]


def same_everywhere(found: Any) -> None:
    """Make sure that all processes, on whatever machines, have found the same net and images before they share them.

    The others are waited for as long as it takes: one that packs its images first is not lost.

    Args:
        found: whatever says so, and can be pickled and compared.

    Raises:
        InputError: in all processes, where one has found another.
    """
    if any(other != found for other in told_by_all(found)):
        raise InputError(
            "the processes do not all find the same weights and the same images: give a RUN and images that are the "
            "same on all machines"
        )


def in_order(results: Iterator[T], count: int, everywhere: bool = True) -> Iterator[T]:
    """What all processes made of `count` batches, in the batches' order; called by all of them.

    Args:
        results: what this process makes of its own batches, in their order; picklable.
        count: batches of all processes.
        everywhere: give the results in every process, or in the first alone: fewer bytes are sent then, and the
            others go through their batches all the same and are given nothing.
    """
    if size() == 1:
        yield from results
        return
    for first in range(0, count, size()):
        mine = next(results, None)
        found: list[Any] = [None] * size()
        if everywhere:
            dist.all_gather_object(found, mine)
        else:
            dist.gather_object(mine, found if is_first() else None)
        if everywhere or is_first():
            yield from found[: count - first]
