"""`alexnet demo`: a trained net to play with, from nothing, in one command; made once."""

from pathlib import Path

from alexnet.api.runs import resume, train
from alexnet.api.searching import embed, index
from alexnet.errors import InputError
from alexnet.progress import note
from alexnet.web.records import facts_of
from alexnet.web.serve import listen, serve
from alexnet.web.settings import Settings

SOURCE = "digits"
RUNS = Path("runs")
OWN = RUNS / "demo"


def demo(settings: Settings, port: int, open_page: bool) -> None:
    """Train on the bundled digits, index them and serve both; what is there already is used again.

    Args:
        settings: address, token and device.
        port: 0 for one that is free.
        open_page: open the page in the user's browser.

    Raises:
        InputError: the port cannot be had.
    """
    with listen(settings.host, port) as listening:  # before a minute of training
        run = a_run(settings.device)
        serve([run], an_index(run, settings.device), settings, listening, open_page)


def a_run(device: str) -> Path:
    """The newest run of the digits that has ended here; else one trained now, or gone on with."""
    ended = [path.parent for path in RUNS.glob("*/run.json") if _is_ended(path.parent)]
    if ended:
        run = max(ended, key=lambda folder: (folder / "run.json").stat().st_mtime)
        note(f"{run} is a run of the {SOURCE}: it is shown")
        return run
    if facts_of(OWN):
        note(f"{OWN} was not ended: training goes on")
        return resume(OWN, device=device)
    note(f"there is no run of the {SOURCE} here yet: training one into {OWN}, a minute or two")
    return train(SOURCE, out=OWN, device=device)


def an_index(run: Path, device: str) -> Path:
    """The index of the run's images that lies in its folder; made now where there is none."""
    there = run / "index"
    if not (there / "index.json").is_file():
        note(f"indexing its images, so that similar ones can be found, into {there}")
        if not (run / "vectors").is_dir():
            embed(run, SOURCE, run / "vectors", device=device)
        index(run / "vectors", there).close()
    return there


def _is_ended(run: Path) -> bool:
    try:
        about = facts_of(run)
    except (InputError, ValueError):  # damaged, or being written
        return False
    weights = any((run / name).is_file() for name in ("best.safetensors", "last.safetensors"))
    return about.get("source") == SOURCE and "finished" in about and weights
