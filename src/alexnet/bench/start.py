"""How long a person waits: for the help, and for the first training step on the bundled images.

The first step is timed by the command itself, `alexnet train`, run with a hook of torch's that ends the process as
soon as an optimiser has taken a step; so imports, packing, statistics, the net and whatever else comes before count.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alexnet.bench.settings import Settings
from alexnet.bench.timing import compared, take_turns
from alexnet.errors import JobFailed

STEPPED = 77  # exit code of a process whose optimiser has taken a step
HELP = "import sys; from alexnet.cli import main; sys.exit(main(['--help']))"
FIRST_STEP = f"""
import os, sys
from torch.optim.optimizer import register_optimizer_step_post_hook
register_optimizer_step_post_hook(lambda *_: os._exit({STEPPED}))
from alexnet.cli import main
sys.exit(main(sys.argv[1:]))
"""


def measure(settings: Settings, found: dict[str, Any]) -> dict[str, Any]:
    """Processes from their start; the files they read are in the system's memory after the unmeasured first call."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        steps = {
            "no packed data yet": first_step(scratch, settings, cold=True),
            "data packed earlier": first_step(scratch, settings, cold=False),
        }
        rows = [
            compared("alexnet --help", take_turns({"ours": said_help}, settings.repeats)),
            compared("alexnet train, to the end of its first step", take_turns(steps, min(3, settings.repeats))),
        ]
    return {"what": "seconds from the start of the process; bundled digits", "rows": rows}


def said_help() -> None:
    """Run `alexnet --help` in a process of its own."""
    subprocess.run([sys.executable, "-c", HELP], check=True, capture_output=True)


def first_step(scratch: Path, settings: Settings, cold: bool) -> Callable[[], None]:
    """A call that runs `alexnet train` up to its first step.

    Args:
        scratch: a folder for caches and runs.
        settings: for the device.
        cold: with an empty cache each time, so that the images are packed first.
    """
    calls = 0

    def once() -> None:
        nonlocal calls
        calls += 1
        kind = "cold" if cold else "warm"
        environment = os.environ | {"ALEXNET_CACHE": str(scratch / f"cache-{calls if cold else kind}")}
        out = scratch / f"{kind}-{calls}"
        command = [sys.executable, "-c", FIRST_STEP, "train", "--device", settings.device.type, "--out", str(out)]
        ended = subprocess.run(command, env=environment, cwd=scratch, capture_output=True, text=True)
        if ended.returncode != STEPPED:
            raise JobFailed(f"alexnet train ended before its first step: {ended.stderr.strip().splitlines()[-1:]}")

    return once
