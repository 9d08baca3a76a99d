"""Ask trained nets: evaluate, probe, ensemble."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexnet.api.given import place, source_of
from alexnet.evaluation import ensemble as averaging
from alexnet.evaluation import evaluate as evaluation
from alexnet.evaluation import probe as probing


def evaluate(
    run: str | Path,
    source: Any = None,
    views: str | None = None,
    split: str | None = None,
    root: str | Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure a run, or a file of weights, by a named protocol; errors are fractions 0..1.

    Args:
        run: a run's folder or a file of weights.
        source: other images, also a Dataset as for `train`; by default the run's own test part.
        views: "center", "ten" or "dense"; by default the recipe's.
        split: "train", "val" or "test".
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".

    Returns: images, top1_error, top5_error (of k, see `k`), interval (95 %), views, averaged, comparable_to,
        per_class, confusion, calibration, mistakes, trained_on and more.

    Raises:
        InputError: classes that the net does not know; a part without images.
    """
    return evaluation.evaluate(run, source_of(source), views, split, place(root), device)


def probe(
    run: str | Path,
    source: Any = None,
    stages: str | Sequence[str] = (),
    root: str | Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Fit a linear classifier on stages of a run's net; measure each on the test part.

    >>> alexnet.probe(run, stages=["conv5", "fc6"])["stages"][0]["top1_error"]  # doctest: +SKIP
    0.08

    Args:
        run: a run's folder or a file of weights.
        source: other images (transfer), also a Dataset as for `train`; by default those the run was trained on.
        stages: one name or several; by default the stage that feeds the net's own classifier.
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".

    Returns: see `alexnet.evaluation.probe.probe`; errors are fractions 0..1.

    Raises:
        InputError: a stage that the net does not have; a source without a test part.
    """
    wanted = (stages,) if isinstance(stages, str) else stages
    return probing.probe(run, source_of(source), wanted, place(root), device)


def ensemble(
    runs: Sequence[str | Path],
    source: Any = None,
    views: str | None = None,
    split: str | None = None,
    root: str | Path | None = None,
    device: str = "auto",
    allow_seen: bool = False,
) -> dict[str, Any]:
    """Average the softmax outputs of several runs on the same images; measure each and the average.

    Args:
        runs: folders of runs or files of weights: two or more, with the same classes.
        source: other images, also a Dataset as for `train`; by default the first run's own test part.
        views: "center", "ten" or "dense" for all; by default what each recipe says.
        split: "train", "val" or "test".
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".
        allow_seen: also measure images that one of the nets was trained on.

    Returns: see `alexnet.evaluation.ensemble.ensemble`; errors are fractions 0..1.

    Raises:
        InputError: fewer than two runs; other classes; images that a member was trained on.
    """
    return averaging.ensemble(runs, source_of(source), views, split, place(root), device, allow_seen)
