"""Drawings of a run: its curves, its errors beside those of no net, its confusions. All give SVG text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

from alexnet.pictures.style import BLUE, INK, LINE, MUTED, ORANGE, VERMILLION, figure, styled, svg

NUMBERS_UP_TO = 12
"""Confusion matrices of more classes show colour alone."""

NAMES_UP_TO = 40
"""Confusion matrices of more classes have no names along the sides."""


@dataclass(frozen=True)
class Bar:
    """One line of the comparison of errors: name, error 0..1, its interval if known, whether it is ours."""

    name: str
    error: float
    interval: tuple[float, float] | None = None
    ours: bool = True


@styled
def errors_figure(bars: Sequence[Bar]) -> str:
    """Errors as points on one scale, with their intervals as whiskers; ours filled, the others hollow.

    Args:
        bars: from top to bottom.
    """
    drawing = figure(5, 0.75 + 0.42 * len(bars))
    axes = drawing.subplots()
    for place, bar in enumerate(bars):
        colour = BLUE if bar.ours else MUTED
        if bar.interval is not None:
            axes.plot([100 * end for end in bar.interval], [place, place], color=colour, linewidth=2.5, alpha=0.55)
        axes.plot(100 * bar.error, place, "o", color=colour, markerfacecolor=colour if bar.ours else "none")
        # The figure stands above its point, where no whisker crosses it.
        axes.annotate(
            f"{100 * bar.error:.1f}", (100 * bar.error, place), xytext=(0, 5), textcoords="offset points",
            ha="center", fontsize=9, color=INK,
        )  # fmt: skip
    axes.set_yticks(range(len(bars)), [short(bar.name, 32) for bar in bars])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(bars) - 0.5, -0.75)
    furthest = max(max(bar.error, bar.interval[1] if bar.interval else 0) for bar in bars)
    axes.set_xlim(-2 * max(furthest, 0.01), min(106, 108 * max(furthest, 0.01)))
    axes.set_xlabel("error in percent")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    return svg(drawing, "; ".join(f"{bar.name}: {100 * bar.error:.1f} % error" for bar in bars))


def curves(metrics: Sequence[dict[str, Any]], classes: int) -> list[tuple[str, str]]:
    """Loss, error and rate over the epochs: (heading, SVG) each; those without a point are left out.

    Validation is a line with points, training a thin line of what each step saw (with dropout and
    augmentation) under its running mean. Watchdog messages are vertical lines, numbered as they came.

    Args:
        metrics: lines of metrics.jsonl.
        classes: how many; ln(classes), the loss of guessing, is drawn as a level.
    """
    steps = [line for line in metrics if line["kind"] == "step"]
    checks = [line for line in metrics if line["kind"] == "validation"]
    epoch_of = {line["step"]: line["epoch"] for line in steps + checks}
    marks = [_nearest(epoch_of, line["step"]) for line in metrics if line["kind"] == "watchdog" and epoch_of]
    drawn = []
    for what, heading in (("loss", "Loss"), ("error", "Error"), ("rate", "Learning rate")):
        if any(_finite(line.get(what)) for line in steps + checks):
            level = float(np.log(classes)) if what == "loss" and classes > 1 else None
            drawn.append((heading, _curve(what, steps, checks, marks, level)))
    return drawn


@styled
def _curve(
    what: str,
    steps: Sequence[dict[str, Any]],
    checks: Sequence[dict[str, Any]],
    marks: Sequence[float],
    level: float | None,
) -> str:
    drawing = figure(5, 2.9)
    axes = drawing.subplots()
    factor = 100 if what == "error" else 1
    x, y = _points(steps, what)
    if len(x) and what == "rate":
        axes.plot(x, y, color=BLUE)
        if np.mean(np.diff(y) == 0) > 0.5 and y.min() > 0 and y.max() > 5 * y.min():  # drops, not a smooth fall
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter("{x:g}")
    elif len(x):
        axes.plot(x, factor * y, color=ORANGE, linewidth=0.7, alpha=0.45)
        axes.plot(x, factor * _running_mean(y), color=ORANGE, label="training, as seen")
    x, y = _points(checks, what)
    if len(x):
        axes.plot(x, factor * y, "o-", color=BLUE, markersize=3.5, label="validation")
        best = [line for line in checks if line.get("best") and _finite(line.get(what))]
        if best:
            axes.plot(
                best[-1]["epoch"], factor * best[-1][what], "o", color=BLUE, markersize=9, markerfacecolor="none",
                label="weights kept",
            )  # fmt: skip
    if level is not None:
        axes.axhline(level, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="guessing")
    if what != "rate":
        axes.set_ylim(bottom=0)
        if what == "error":
            axes.set_ylim(top=min(100, axes.get_ylim()[1]))
            axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        drawing.legend(loc="outside lower left", ncols=4, columnspacing=1.2, handlelength=1.5, borderpad=0)
    for number, epoch in enumerate(marks, 1):
        axes.axvline(epoch, color=VERMILLION, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{number}", (epoch, 1), xycoords=("data", "axes fraction"), xytext=(2, -10),
            textcoords="offset points", color=VERMILLION, fontsize=9,
        )  # fmt: skip
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=axes.get_xlim()[1] > 3))
    axes.set_xlabel("epoch")
    return svg(drawing, f"{what} over the epochs")


@styled
def confusion_figure(confusion: np.ndarray, classes: Sequence[str]) -> str:
    """Confusion matrix: rows the truth, columns the answer, each row shaded by its shares.

    Right answers (the diagonal) are blue, wrong ones vermillion. Counts are written for up to 12 classes, names for
    up to 40, class numbers beyond.

    Args:
        confusion: integers [classes, classes].
        classes: their names.
    """
    confusion = np.asarray(confusion)
    n = len(classes)
    side = max(5.0, 2.0 + 0.24 * n) if n <= NAMES_UP_TO else 8.5
    drawing = figure(side, side)
    axes = drawing.subplots()
    _shade(axes, confusion)
    if n <= NAMES_UP_TO:
        names = [short(name, 18) for name in classes]
        size = 9 if n <= 20 else 8
        axes.set_xticks(range(n), names, rotation=90 if n > 4 else 0, fontsize=size)
        axes.set_yticks(range(n), names, fontsize=size)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(10, integer=True))
    if n <= NUMBERS_UP_TO:
        share = _shares(confusion)
        for row, column in np.argwhere(confusion > 0):
            dark = share[row, column] > 0.75
            axes.text(
                column, row, f"{confusion[row, column]}", ha="center", va="center",
                color="white" if dark else INK, fontsize=9 if n > 6 else 11,
            )  # fmt: skip
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xlabel("answer" if n <= NAMES_UP_TO else "answer (number of the class)")
    axes.set_ylabel("truth" if n <= NAMES_UP_TO else "truth (number of the class)")
    return svg(drawing, f"confusion matrix of {n} classes")


def _shade(axes: Axes, confusion: np.ndarray) -> None:
    n = len(confusion)
    share = _shares(confusion)
    pixels = np.zeros((n, n, 4))
    pixels[...] = (*_rgb(VERMILLION), 0)
    pixels[np.arange(n), np.arange(n), :3] = _rgb(BLUE)
    # A single mistake among hundreds of images must still be seen: wrong cells start at a fifth.
    pixels[..., 3] = np.where(confusion > 0, 0.2 + 0.8 * share, 0)
    pixels[np.arange(n), np.arange(n), 3] = share.diagonal()
    axes.imshow(pixels, interpolation="none", aspect="equal")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    if n <= NAMES_UP_TO:
        axes.set_xticks(np.arange(n - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(n - 1) + 0.5, minor=True)
        axes.grid(which="minor", color=LINE, linewidth=0.5)
        axes.tick_params(which="minor", length=0)


def _shares(confusion: np.ndarray) -> np.ndarray:
    return confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)


def short(name: str, most: int) -> str:
    """The name on one line, cut in its middle to at most so many characters."""
    name = " ".join(name.split())
    if len(name) <= most:
        return name
    tail = (most - 1) // 3
    return name[: most - 1 - tail] + "…" + name[len(name) - tail :]


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


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
