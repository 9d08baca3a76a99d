"""Errors as drawings: of a net beside those of no net, and of each class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from alexnet.errors import InputError
from alexnet.pictures.style import BLUE, INK, LINE, MUTED, VERMILLION, figure, short, styled

CLASSES = 60
"""Classes that bars are drawn for: of more, those with the largest errors."""


@dataclass(frozen=True)
class Bar:
    """One line of the comparison of errors: name, error 0..1, its interval if known, whether it is ours."""

    name: str
    error: float
    interval: tuple[float, float] | None = None
    ours: bool = True


@styled
def errors_figure(bars: Sequence[Bar]) -> Figure:
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
    return drawing


def in_words(bars: Sequence[Bar]) -> str:
    """The same errors as a line of text, for those who do not see the drawing."""
    return "; ".join(f"{bar.name}: {100 * bar.error:.1f} % error" for bar in bars)


@styled
def classes_figure(evaluation: dict[str, Any]) -> Figure:
    """The error of each class as a bar, largest first, with its images and what it is most often taken for.

    Args:
        evaluation: evaluation.json; classes without images are left out.

    Raises:
        InputError: no class has images.
    """
    rows = [row for row in evaluation.get("per_class", []) if row["error"] is not None]
    if not rows:
        raise InputError("the evaluation has no table of classes: alexnet evaluate RUN writes one")
    total = len(rows)
    rows = sorted(rows, key=lambda row: (-row["error"], row["label"]))[:CLASSES]
    drawing = figure(8, 1.0 + 0.27 * len(rows))
    axes = drawing.subplots()
    overall = 100 * evaluation["top1_error"]
    widest = max(100 * rows[0]["error"], overall, 1)
    for place, row in enumerate(rows):
        error = 100 * row["error"]
        axes.barh(place, error, height=0.68, color=VERMILLION if error > overall else BLUE)
        taken = row["most_confused_with"]
        said = f"{error:.1f} % of {row['images']:,}"
        said += f", most for {short(taken, 18)}" if taken is not None else ""
        # Beside the bars, where nothing is crossed.
        axes.text(1.01, place, said, transform=axes.get_yaxis_transform(), va="center", fontsize=9, color=INK)
    axes.axvline(overall, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks(range(len(rows)), [short(row["label"], 28) for row in rows])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.03 * widest)
    of_all = f", the {len(rows)} largest of {total}" if total > len(rows) else ""
    axes.set_title(f"Error of each class{of_all}; dashed: of all images, {overall:.1f} %")
    axes.set_xlabel("error in percent")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_color(LINE)
    return drawing
