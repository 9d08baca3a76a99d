"""Train, and go on with a run."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from alexnet import processes
from alexnet.api.reporting import report
from alexnet.data import Packed, Source, dataset_source
from alexnet.parallel.schemes import Layout
from alexnet.progress import note
from alexnet.recipe import Recipe
from alexnet.recipes import as_fields, load_recipe, recipe_from
from alexnet.training import start as starting
from alexnet.training.loop import STOPPED, fit
from alexnet.training.run import Run
from alexnet.training.shared_start import start_shared
from alexnet.training.summary import finish


def train(
    source: Any = "digits",
    recipe: str | Recipe = "practical",
    out: str | Path | None = None,
    weights: str | Path | None = None,
    freeze: str | tuple[str, ...] = (),
    device: str = "auto",
    root: str | Path | None = None,
    name: str = "dataset",
    layout: Layout = "data",
    **fields: Any,
) -> Path:
    """Train a net; give the run's folder.

    >>> import alexnet
    >>> run = alexnet.train("digits", epochs=1)          # doctest: +SKIP
    >>> alexnet.evaluate(run)["top1_error"]              # doctest: +SKIP
    0.06

    Args:
        source: a SOURCE of the command line, or any map-style torch Dataset of (image, label), where an image is a
            PIL image, an array uint8 [h, w] or [h, w, 3], or a float tensor [c, h, w] of 0..1.
        recipe: a name, a YAML file, or a Recipe.
        out: the run's folder; by default runs/<source>-<model>-<n>. An existing one is never overwritten.
        weights: run or file to start from (fine-tuning); it brings its net and size, so leave these out.
        freeze: stages that do not learn, such as ("conv1", "conv2").
        device: "auto", "cpu", "cuda" or "mps".
        root: where named sets are kept.
        name: what a Dataset is called in the run's folder.
        layout: how several processes share the work: rows of each batch ("data"), the two towers ("towers"), or
            fully-connected layers ("split"); see `alexnet.joined`.
        fields: fields of the recipe to set, such as `epochs=3`, `optimiser={"rate": 0.1}`.

    The run is then tested and its report written, as on the command line.

    Raises:
        InputError: one line on what came, what was wanted and what to do.
        JobFailed: the loss is not finite.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    if fields:
        chosen = recipe_from(_merged(as_fields(chosen), fields))
    if not isinstance(source, str | Path | Source | Packed):
        source = dataset_source(source, name)
    folder = Path(out) if out is not None else None
    told = name if not isinstance(source, str) else repr(source)
    start = partial(
        starting.start,
        str(source) if isinstance(source, Path) else source,
        chosen,
        out=folder,
        weights=Path(weights) if weights is not None else None,
        freeze=(freeze,) if isinstance(freeze, str) else freeze,
        device=device,
        root=Path(root) if root is not None else None,
        command=f"alexnet.train({told}, ...) in {sys.argv[0] or 'Python'}",
        given=fields,
        layout=layout,
    )
    return _fitted(start_shared(start, device, layout, folder))


def resume(run: str | Path, source: str | Path | None = None, device: str = "auto", layout: Layout = "data") -> Path:
    """Go on with a run that was stopped or killed, to its end; give its folder.

    Args:
        run: the run's folder.
        source: where the images are now, if they were moved.
        device: "auto", "cpu", "cuda" or "mps".
        layout: as for `train`; it may be another than before.

    Raises:
        InputError: no such run; it has ended; the images are gone or others.
    """
    return _fitted(starting.resume(Path(run), str(source) if source is not None else None, device, layout))


def complete(run: Run, reason: str) -> dict[str, Any]:
    """Test a run that has ended and write its report; give what the command line prints."""
    result = finish(run, reason)
    if processes.is_first():
        result["report"] = str(report(run.folder, device=str(run.device)))
    processes.wait_for_all()
    return result


def _fitted(run: Run) -> Path:
    reason = fit(run)
    if reason == STOPPED:
        note(f"stopped and saved; to go on: alexnet.resume({str(run.folder)!r})")
        raise KeyboardInterrupt
    complete(run, reason)
    return run.folder


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        inner = base.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
