"""Training curves: loss, error and rate over the epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, NullFormatter, PercentFormatter

from alexnet.errors import InputError
from alexnet.pictures.style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, VERMILLION, figure, short, styled

OF_RUNS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, INK)
MARKS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Curve:
    """One of the drawings: what it shows ("loss", "error" or "rate"), its heading and its points."""

    what: str
    heading: str
    steps: Sequence[dict[str, Any]]
    checks: Sequence[dict[str, Any]]
    marks: Sequence[float]
    level: float | None


@styled
def curves(metrics: Sequence[dict[str, Any]], classes: int) -> list[tuple[str, Figure]]:
    """Loss, error and rate over the epochs: (heading, drawing) each; those without a point are left out.

    Validation is a line with points, training a thin line of what each step saw (with dropout and
    augmentation) under its running mean. Watchdog messages are vertical lines, numbered as they came.

    Args:
        metrics: lines of metrics.jsonl.
        classes: how many; ln(classes), the loss of guessing, is drawn as a level.
    """
    drawn = []
    for curve in _curves(metrics, classes):
        drawing = figure(5, 2.9)
        axes = drawing.subplots()
        _draw(axes, curve)
        if curve.what != "rate":
            _legend(drawing, axes)
        drawn.append((curve.heading, drawing))
    return drawn


@styled
def curves_figure(metrics: Sequence[dict[str, Any]], classes: int) -> Figure:
    """The same below one another, as one drawing.

    Raises:
        InputError: there is nothing to draw.
    """
    found = _curves(metrics, classes)
    if not found:
        raise InputError("the run has no metrics.jsonl, or nothing in it: there are no curves; give a run that trained")
    drawing = figure(7, 0.5 + 2.3 * len(found))
    panels = drawing.subplots(len(found), 1, squeeze=False)[:, 0]
    for axes, curve in zip(panels, found, strict=True):
        _draw(axes, curve)
        axes.set_title(curve.heading)
        if axes is not panels[-1]:
            axes.set_xlabel("")
    if found[0].what != "rate":
        _legend(drawing, panels[0])
    return drawing


@styled
def curves_of_runs(
    metrics: Sequence[Sequence[dict[str, Any]]], batches: Sequence[float], names: Sequence[str]
) -> list[tuple[str, Figure]]:
    """Validation error and loss of several runs over the images seen: (heading, drawing) each.

    Images seen, since an epoch of one set is not an epoch of another. Each run has a colour and a mark of its own.

    Args:
        metrics: lines of metrics.jsonl of each run.
        batches: images that each saw in a step.
        names: of the runs.
    """
    drawn = []
    for what, heading in (("error", "Validation error"), ("loss", "Validation loss")):
        drawing = figure(5, 3.1)
        axes = drawing.subplots()
        factor = 100 if what == "error" else 1
        for number, (lines, batch, name) in enumerate(zip(metrics, batches, names)):
            checks = [line for line in lines if line["kind"] == "validation" and _finite(line.get(what))]
            x, y = ([line[key] * by for line in checks] for key, by in (("step", batch), (what, factor)))
            colour, mark = OF_RUNS[number % len(OF_RUNS)], MARKS[number % len(MARKS)]
            if checks:
                axes.plot(x, y, color=colour, marker=mark, markersize=4, label=short(name, 24))
        if not axes.lines:
            continue
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        if what == "error":
            axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlabel("images seen")
        _legend(drawing, axes, 2)
        drawn.append((heading, drawing))
    return drawn


def _curves(metrics: Sequence[dict[str, Any]], classes: int) -> list[Curve]:
    steps = [line for line in metrics if line["kind"] == "step"]
    checks = [line for line in metrics if line["kind"] == "validation"]
    epoch_of = {line["step"]: line["epoch"] for line in steps + checks}
    marks = [_nearest(epoch_of, line["step"]) for line in metrics if line["kind"] == "watchdog" and epoch_of]
    found = []
    for what, heading in (("loss", "Loss"), ("error", "Error"), ("rate", "Learning rate")):
        if any(_finite(line.get(what)) for line in steps + checks):
            level = float(np.log(classes)) if what == "loss" and classes > 1 else None
            found.append(Curve(what, heading, steps, checks, marks, level))
    return found


def _legend(drawing: Figure, axes: Axes, columns: int = 4) -> None:
    handles, labels = axes.get_legend_handles_labels()
    drawing.legend(
        handles, labels, loc="outside lower left", ncols=columns, columnspacing=1.2, handlelength=1.5, borderpad=0
    )


def _draw(axes: Axes, curve: Curve) -> None:
    what = curve.what
    factor = 100 if what == "error" else 1
    x, y = _points(curve.steps, what)
    if len(x) and what == "rate":
        axes.plot(x, y, color=BLUE)
        if np.mean(np.diff(y) == 0) > 0.5 and y.min() > 0 and y.max() > 5 * y.min():  # drops, not a smooth fall
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter("{x:g}")
    elif len(x):
        axes.plot(x, factor * y, color=ORANGE, linewidth=0.7, alpha=0.45)
        axes.plot(x, factor * _running_mean(y), color=ORANGE, label="training, as seen")
    x, y = _points(curve.checks, what)
    if len(x):
        axes.plot(x, factor * y, "o-", color=BLUE, markersize=3.5, label="validation")
        best = [line for line in curve.checks if line.get("best") and _finite(line.get(what))]
        if best:
            axes.plot(
                best[-1]["epoch"], factor * best[-1][what], "o", color=BLUE, markersize=9, markerfacecolor="none",
                label="weights kept",
            )  # fmt: skip
    if curve.level is not None:
        axes.axhline(curve.level, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="guessing")
    if what != "rate":
        axes.set_ylim(bottom=0)
        if what == "error":
            axes.set_ylim(top=min(100, axes.get_ylim()[1]))
            axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
    for number, epoch in enumerate(curve.marks, 1):
        axes.axvline(epoch, color=VERMILLION, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{number}", (epoch, 1), xycoords=("data", "axes fraction"), xytext=(2, -10),
            textcoords="offset points", color=VERMILLION, fontsize=9,
        )  # fmt: skip
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=axes.get_xlim()[1] > 3))
    axes.set_xlabel("epoch")


def _points(lines: Sequence[dict[str, Any]], what: str) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(line["epoch"], line[what]) for line in lines if _finite(line.get(what))]
    both = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _finite(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean over a centred window of a twentieth of the run, narrower towards the ends."""
    reach = len(values) // 40
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    reach = np.minimum(reach, np.minimum(place, len(values) - 1 - place))
    return (total[place + reach + 1] - total[place - reach]) / (2 * reach + 1)


def _nearest(epoch_of: dict[int, float], step: int) -> float:
    return epoch_of[min(epoch_of, key=lambda known: abs(known - step))]
