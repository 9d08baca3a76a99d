"""Ways to do one thing, timed in turns, so that whatever else the machine does meets all of them alike.

Each round calls every way once, or as often as fills a turn of some length, and every other round in reversed order.
The first call of each way is not measured. Beside the seconds of each call stands how many cores other programs kept
busy meanwhile, where the system tells it.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

QUIET = 0.2  # cores that others may take in a repeat that counts as quiet


@dataclass
class Timing:
    """The repeats of one way.

    Attributes:
        seconds: of each call.
        others: cores that other programs kept busy during each call; None where the system does not tell.
    """

    seconds: list[float] = field(default_factory=list)
    others: list[float | None] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of all repeats, quiet or not."""
        return statistics.median(self.seconds)

    @property
    def quiet(self) -> int:
        """Repeats during which others took less than `QUIET` cores."""
        return sum(share is not None and share < QUIET for share in self.others)

    def to_dict(self) -> dict[str, Any]:
        """For the JSON document."""
        return {
            "median": self.median,
            "min": min(self.seconds),
            "max": max(self.seconds),
            "quiet": self.quiet,
            "seconds": self.seconds,
            "others": self.others,
        }


def take_turns(
    ways: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
    warm: bool = True,
    turn: float = 0.0,
) -> dict[str, Timing]:
    """Time every way `repeats` times, interleaved.

    Args:
        ways: name -> what is called; it returns when the work is done, on a GPU too.
        repeats: measured calls of each.
        clock: gives seconds.
        warm: call each once before, unmeasured.
        turn: seconds that a way is called for at each repeat, at least once; of several calls the mean counts. For
            work that comes call after call, where the caches and threads of the way before are soon forgotten.
    """
    timings = {name: Timing() for name in ways}
    calls = dict.fromkeys(ways, 1)
    for name, way in ways.items() if warm else ():
        way()
        if turn > 0:
            begin = clock()
            way()
            calls[name] = max(1, round(turn / (clock() - begin)))
    for number in range(repeats):
        for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
            busy, begin = busy_seconds(), clock()
            for _ in range(calls[name]):
                ways[name]()
            seconds = clock() - begin
            timings[name].seconds.append(seconds / calls[name])
            timings[name].others.append(_others(busy, busy_seconds(), seconds))
    return timings


def compared(
    what: str, timings: Mapping[str, Timing], images: int | None = None, against: str = "obvious"
) -> dict[str, Any]:
    """One comparison for the JSON document: each way's seconds, its images a second, and the ratios of the medians.

    Args:
        what: was done in one call.
        timings: name of the way -> its repeats.
        images: in one call, where that means something.
        against: the way that the others are compared with: ratio = its median / theirs, more is faster.
    """
    ways = {name: timing.to_dict() for name, timing in timings.items()}
    for way in ways.values():
        if images is not None:
            way["images_per_second"] = images / way["median"]
    ratios = {}
    if against in ways:
        ratios = {name: ways[against]["median"] / way["median"] for name, way in ways.items() if name != against}
    return {"what": what, "images": images, "against": against, "ways": ways, "ratio": ratios}


def busy_seconds() -> tuple[float, float] | None:
    """Core-seconds that all programs, and this one with its children, have used; None where it is not told."""
    try:
        words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _wait, irq, soft, _steal = map(int, words)
    own, tick = os.times(), os.sysconf("SC_CLK_TCK")
    every = (user + nice + system + irq + soft) / tick
    ours = own.user + own.system + own.children_user + own.children_system
    return every, ours + sum(_ticks_of(child.pid) for child in multiprocessing.active_children()) / tick


def _ticks_of(process: int | None) -> int:
    """What a running process has used."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(words[11]) + int(words[12])


def _others(before: tuple[float, float] | None, after: tuple[float, float] | None, seconds: float) -> float | None:
    """Cores that others kept busy between two readings of `busy_seconds`."""
    if before is None or after is None or seconds <= 0:
        return None
    (every, own), (every_then, own_then) = after, before
    return max(0.0, round(((every - every_then) - (own - own_then)) / seconds, 2))
