"""Which maps of s2 each map of c3 sees: table I of LeCun et al. (1998)."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from alexnet.errors import InputError
from alexnet.models import Classifier
from alexnet.models.lenet import TableConv
from alexnet.pictures.style import BLUE, INK, LINE, figure, styled


def table_of(net: Classifier) -> tuple[str, tuple[tuple[int, ...], ...], int]:
    """A net's stage with a table of connections: its name, the maps below that each map sees, how many are below.

    Raises:
        InputError: every map of this net's convolutions sees all maps below, or those of its tower.
    """
    for name, stage in net.stages.items():
        if isinstance(stage, TableConv):
            return name, stage.table, stage.c_in
    raise InputError(f"{net.name} has no table of connections: LeNet-5 alone has one (lenet5, lenet5_mse)")


@styled
def c3_figure(table: Sequence[Sequence[int]], below: int) -> Figure:
    """The table as the paper prints it: a column for each map of c3, a cross where it sees the map of that row.

    Args:
        table: for each map, the maps below that it sees, counted from 0.
        below: how many maps there are below.
    """
    drawing = figure(0.36 * len(table) + 1.0, 0.36 * below + 1.1)
    axes = drawing.subplots()
    for column, seen in enumerate(table):
        for row in seen:
            axes.text(column, row, "X", ha="center", va="center", color=BLUE, fontweight="bold", fontsize=11)
    axes.set_xlim(-0.5, len(table) - 0.5)
    axes.set_ylim(below - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xticks(range(len(table)))
    axes.set_yticks(range(below))
    axes.tick_params(length=0, labelcolor=INK, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    axes.set_xticks([place + 0.5 for place in range(len(table) - 1)], minor=True)
    axes.set_yticks([place + 0.5 for place in range(below - 1)], minor=True)
    axes.grid(which="minor", color=LINE, linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(True)
    links = sum(map(len, table))
    axes.set_title(
        f"Maps of c3 (columns) that see the maps of s2 (rows): {links} of {below * len(table)} links", pad=24
    )
    return drawing
