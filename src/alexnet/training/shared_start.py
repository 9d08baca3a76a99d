"""How several processes begin, or take up, one run: the first starts it, and the others follow it into its folder."""

from collections.abc import Callable
from pathlib import Path

from alexnet import processes
from alexnet.checkpoint import read_run
from alexnet.errors import InputError
from alexnet.parallel.launch import is_restart, name_of_launch
from alexnet.parallel.schemes import Layout
from alexnet.progress import note
from alexnet.training.run import Run
from alexnet.training.start import resume


def start_shared(start: Callable[[], Run], device: str, layout: Layout, out: Path | None = None) -> Run:
    """Start a run in the first process, and let the others follow; after a restart, take up what it had begun.

    The run's folder, and the images or their pack, must be where every process finds them: on several machines, on a
    disk that they share.

    Args:
        start: starts it; called in the first process alone.
        device, layout: as `resume` takes them.
        out: the run's folder, where one was asked for.

    Raises:
        InputError: what `start` raises, in every process; a folder that another machine does not see.
    """
    begun = processes.told_by_first(begun_before(out) if processes.is_first() and is_restart() else None)
    if begun is not None:
        note(f"a process died: going on with {begun}")
        return resume(begun, None, device, layout, ended=True)
    if processes.size() == 1:
        return start()
    run, refusal = None, ""
    if processes.is_first():
        try:
            run = start()
        except InputError as error:
            refusal = str(error)
    folder, refusal = processes.told_by_first((run.folder.resolve() if run else None, refusal))
    if refusal:
        raise InputError(refusal)
    if run is None and not (folder / "run.json").is_file():
        raise InputError(f"{folder} is not to be seen here: several machines want --out on a disk that they share")
    return run or resume(folder, None, device, layout)


def begun_before(out: Path | None) -> Path | None:
    """The run that this very launch began before one of its processes died; None where there is none yet."""
    name = name_of_launch()
    folders = [out] if out is not None else sorted(Path("runs").glob("*"), key=lambda path: path.stat().st_mtime)
    for folder in reversed(folders):
        if (folder / "run.json").is_file() and name is not None and read_run(folder).get("launch") == name:
            return folder.resolve()
    return None
