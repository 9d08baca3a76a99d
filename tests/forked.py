"""The command line in processes of their own, to be killed and talked to, without the seconds that imports take.

They are forked of a server that has imported everything and does nothing else. The net "tiny" is among their nets.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

IMPORTED = [
    "alexnet.training.loop",
    "alexnet.pictures.report",
    "sklearn.datasets",
    "sklearn.linear_model",
    "torch._dynamo",
]


class Command:
    """`alexnet ARGUMENTS`, running; what it prints goes to two files."""

    def __init__(self, arguments: list[str], folder: Path, **environment: str):
        """Start it with some more variables in its environment; `folder` is for what it prints."""
        self.printed = [folder / f"{time.monotonic_ns()}.{name}" for name in ("out", "err")]
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)  # of no effect where the server runs already
        self._process = context.Process(target=_run, args=(arguments, self.printed, environment))
        self._process.start()

    def wait_until(self, condition: Callable[[], object], seconds: float = 120) -> None:
        """Wait for something that it does before it ends."""
        until = time.monotonic() + seconds
        while not condition():
            assert self._process.is_alive(), self.end()
            assert time.monotonic() < until
            time.sleep(0.005)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process.pid
        os.kill(self._process.pid, number)

    def end(self, seconds: float = 120) -> tuple[int | None, str, str]:
        """Wait for its end; give its exit code, minus the number of the signal that killed it, and what it printed."""
        self._process.join(seconds)
        assert not self._process.is_alive(), "it does not end"
        out, err = (file.read_text() for file in self.printed)
        return self._process.exitcode, out, err


def add_tiny() -> str:
    """Add an AlexNet of a few thousand weights, two towers and all, to the named nets; its name."""
    from alexnet.models import MODELS, VARIANTS, Model, build_variant

    variant = replace(VARIANTS["alexnet"], name="tiny", widths=(8, 16, 16, 16, 16), hidden=(32, 32), size=67)
    MODELS["tiny"] = Model("tiny", "none", 2026, "for tests", 67, partial(build_variant, variant))
    return "tiny"


def _run(arguments: list[str], printed: list[Path], environment: dict[str, str]) -> None:
    os.environ |= environment
    for number, file in enumerate(printed, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    import torch

    from alexnet.cli import main

    torch.set_num_threads(1)
    add_tiny()
    sys.exit(main(arguments))
