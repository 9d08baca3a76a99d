"""How sure a net is beside how right it is: a reliability diagram."""

import numpy as np
from matplotlib.figure import Figure

from alexnet.evaluation.metrics import wilson_interval
from alexnet.pictures.style import BLUE, MUTED, figure, styled

BINS = 10
"""Tenths of the probability, each with the images whose answer had it."""


@styled
def calibration_figure(probability: np.ndarray, right: np.ndarray) -> Figure:
    """The share of right answers over the probability that they were given with.

    A net that knows itself lies on the dotted line. Whiskers are 95 % intervals; the numbers below are images.

    Args:
        probability: float [n], of each answer.
        right: bool [n].
    """
    tenth = np.minimum((probability * BINS).astype(int), BINS - 1)
    drawing = figure(5, 3.3)
    axes = drawing.subplots()
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
    for number in np.unique(tenth):
        own = tenth == number
        said, share, count = 100 * probability[own].mean(), 100 * right[own].mean(), int(own.sum())
        low, high = (100 * end for end in wilson_interval(int(right[own].sum()), count))
        axes.plot([said, said], [low, high], color=BLUE, linewidth=2.5, alpha=0.55)
        axes.plot(said, share, "o", color=BLUE)
        axes.annotate(
            f"{count:,}", ((number + 0.5) * 100 / BINS, 0), xycoords=("data", "axes fraction"), xytext=(0, 4),
            textcoords="offset points", ha="center", fontsize=8, color=MUTED,
        )  # fmt: skip
    axes.set_xlim(0, 102)
    axes.set_ylim(-8, 104)
    axes.set_xlabel("probability of the answer, percent")
    axes.set_ylabel("right answers, percent")
    return drawing
