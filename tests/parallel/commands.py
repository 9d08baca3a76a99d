"""Real commands in several processes for tests: started, watched, and hurt."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

TINY_NET = Path(__file__).parent / "tiny_net"
STARTERS = {  # how several processes come about
    "devices": ("-m", "alexnet"),
    "torchrun": (
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--max-restarts",
        "1",
        "-m",
        "alexnet",
    ),
}


class Command:
    """A command in a process of its own, and the processes that it starts.

    Args:
        cache: folder for packed images.
        *words: the command's arguments.
        starter: one of `STARTERS`.
    """

    def __init__(self, cache: Path, *words: str | Path, starter: str = "devices"):
        self.process = subprocess.Popen(
            [sys.executable, *STARTERS[starter], *map(str, words)],
            env=os.environ
            | {
                "ALEXNET_CACHE": str(cache),
                "PYTHONPATH": str(TINY_NET),
                "OMP_NUM_THREADS": "1",
                "CUDA_VISIBLE_DEVICES": "",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that starts the tests in its background has them, and all their children, ignore Ctrl-C.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )

    def wait_until(self, reached: Callable[[], object], seconds: float = 120) -> None:
        """Look again and again until `reached` says so; the command must still be at work then."""
        until = time.monotonic() + seconds
        while not reached():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until, "not reached in time"
            time.sleep(0.005)

    def ranks(self) -> dict[int, int]:
        """Rank -> process id of the processes that were started."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid:
                    variables = dict(word.partition("=")[::2] for word in (folder / "environ").read_text().split("\0"))
                    if "RANK" in variables:
                        found[int(variables["RANK"])] = int(folder.name)
            except OSError:  # ended meanwhile
                continue
        return found

    def send(self, number: signal.Signals, rank: int | None = None) -> None:
        """Send a signal to the process of a rank, or to the one that started them all."""
        os.kill(self.process.pid if rank is None else self.ranks()[rank], number)

    def end(self, seconds: float = 150) -> tuple[int, str, str]:
        """Wait for its end; give exit code, standard output and standard error."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            for started in self.ranks().values():
                os.kill(started, signal.SIGKILL)
            self.process.kill()
            raise AssertionError(f"still at work after {seconds:g} s: {self.process.communicate()}") from None
        return self.process.returncode, out, err


def lines(run: Path, kind: str = "") -> int:
    """How many lines of a kind are in a run's journal."""
    path = run / "metrics.jsonl"
    return path.read_text().count(f'"kind": "{kind}') if path.is_file() else 0


def without_times(run: Path) -> list[dict]:
    """The lines of a run's journal, but for what the clock says."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
