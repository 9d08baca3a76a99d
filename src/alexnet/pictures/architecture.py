"""A net as a drawing in the manner of figure 2 of Krizhevsky et al. (2012): maps as boxes, sizes on their edges.

A box is as high and as deep as its maps (by the square root, so that 7 pixels can be seen beside 224) and as wide as
there are maps. A layer of units is a bar. Two towers stand above one another, and dashed lines join them where a layer
sees both. What has no weights (poolings, normalisations) is written below the box that it follows.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke
from torch import nn

from alexnet.models import Classifier
from alexnet.models.blocks import MaxPool
from alexnet.models.grey import GreyClassifier
from alexnet.models.residual import Residual
from alexnet.models.summary import layer_table
from alexnet.pictures.maps import towers_of
from alexnet.pictures.style import INK, MUTED, figure, styled

TALLEST = 2.5  # inches that the image is high
SLANT = (0.40, 0.28)  # how far a box goes right and up for each inch of its depth
BAR = 0.2  # inches that a layer of units is wide
MANY = 10  # boxes above which equal ones stand close, under one name
FACES = {"image": ("#eef0f2", "#f7f8f9", "#dde1e4"), "maps": ("#dcebf6", "#eef6fb", "#bfdaec")}
UNITS = "#fbe6bf"
LETTERS = 8


@dataclass
class Box:
    """One stage with weights, or the image.

    Attributes:
        names: of the stage; several where equal ones stand close.
        maps: how many; units of a bar.
        side: of the maps in pixels; 0 for a bar.
        towers: in how many parts it stands.
        crosses: whether each part sees all parts before it.
        facts: what is written below the names: its window, and what follows it.
        slices: residual blocks inside.
        beside: side classifiers that read it.
        followed: whether a stage without weights stands behind it.
        scale: side of the image in pixels, against which sides are drawn.
        thickness: inches for the square root of a number of maps.
    """

    names: list[str]
    maps: int
    side: int
    towers: int = 1
    crosses: bool = True
    facts: list[str] = field(default_factory=list)
    slices: int = 1
    beside: list[str] = field(default_factory=list)
    followed: bool = False
    scale: int = 224
    thickness: float = 0.042

    @property
    def high(self) -> float:
        """Inches."""
        if self.side == 0:
            return 0.5 + 2.0 * min(1.0, math.sqrt(self.maps / self.towers / 4096))
        return 0.22 + (TALLEST - 0.22) * math.sqrt(self.side / self.scale)

    @property
    def wide(self) -> float:
        """Inches of one box, without its slant."""
        return BAR if self.side == 0 else 0.06 + self.thickness * math.sqrt(self.maps / self.towers)

    @property
    def depth(self) -> float:
        """Inches."""
        return 0.0 if self.side == 0 else self.high


@styled
def architecture_figure(net: Classifier, size: int | None = None) -> Figure:
    """Draw a net, from the image to its scores.

    Args:
        net: the net; one of shapes alone (on torch's meta device) will do.
        size: side of the image in pixels; by default the net's own.

    Raises:
        InputError: a size that the net does not take.
    """
    boxes = boxes_of(net, size)
    towers = max(box.towers for box in boxes)
    lift = max((box.high + SLANT[1] * box.depth for box in boxes if box.towers > 1), default=0.0) / 2 + 0.28
    right = 0.0
    drawing = figure(1, 1)
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_aspect("equal")
    bottom = -max(lift + box.high / 2 if box.towers > 1 else box.high / 2 for box in boxes) - 0.22
    corners: list[tuple[float, float]] | None = None
    top, lowest = 0.0, bottom
    for box in boxes:
        copies = len(box.names) if box.side else 1
        span = copies * box.wide + (copies - 1) * 0.09 + SLANT[0] * box.depth
        letters = max(len(line) for line in [*box.names, *box.facts])
        room = max(span + 0.42, 0.068 * letters + 0.12)
        left = right + (room - span) / 2
        centres = [lift - 2 * lift * tower / (towers - 1) for tower in range(towers)] if box.towers > 1 else [0.0]
        starts = [(left, centre) for centre in centres]
        if corners is not None:
            _join(axes, corners, starts, box.crosses)
        for centre in centres:
            _draw(axes, box, left, centre, copies)
            top = max(top, centre + box.high / 2 + SLANT[1] * box.depth)
        corners = [
            (left + copies * (box.wide + 0.09) - 0.09 + SLANT[0] * box.depth / 2, centre + SLANT[1] * box.depth / 2)
            for centre in centres
        ]
        if box.beside:
            above = centres[0] + box.high / 2 + SLANT[1] * box.depth
            axes.annotate(
                "\n".join(box.beside), (left + span / 2, above), (left + span / 2, above + 0.45), ha="center",
                fontsize=LETTERS, color=MUTED, arrowprops={"arrowstyle": "<-", "color": MUTED, "linewidth": 0.8},
            )  # fmt: skip
            top = max(top, above + 0.6)
        lowest = min(lowest, _words(axes, box, right + room / 2, bottom))
        right += room
    heading = f"{net.name}: {boxes[0].side} × {boxes[0].side} pixels to {net.classes} classes"
    axes.text(0.05, top + 0.3, heading, fontsize=11, color=INK, va="bottom")
    axes.set_xlim(-0.1, right + 0.1)
    axes.set_ylim(lowest - 0.1, top + 0.6)
    drawing.set_layout_engine("none")
    drawing.set_size_inches(right + 0.2, top + 0.7 - lowest)
    return drawing


def boxes_of(net: Classifier, size: int | None = None) -> list[Box]:
    """The image, then every stage with weights, in order; of many, equal neighbours as one."""
    side = net.size if size is None else size
    groups = towers_of(net)
    boxes = [Box(["image"], 1 if isinstance(net, GreyClassifier) else 3, side)]
    readers: dict[str, list[str]] = {}
    for name, beside in net.sides.items():
        readers.setdefault(beside.reads, []).append(name)
    for row, stage in zip(layer_table(net, size), net.stages.values(), strict=True):
        if not row["parameters"] and row["name"] != net.classifier_stage:
            boxes[-1].facts.append(_in_words(row, stage))
            boxes[-1].followed = True
            continue
        maps, *sides = row["output"]
        last = row["name"] == net.classifier_stage
        convolution = next((layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)), None)
        boxes.append(
            Box(
                names=[row["name"]],
                maps=maps,
                side=sides[0] if sides and sides[0] > 1 else 0,
                towers=groups if groups > 1 and not last and maps % groups == 0 else 1,
                crosses=convolution is None or convolution.groups == 1,
                facts=[_in_words(row, stage)],
                slices=len(stage.blocks) if isinstance(stage, Residual) else 1,
                beside=readers.get(row["name"], []),
            )
        )
    many = len(boxes) > MANY
    if many:
        boxes = _gathered(boxes)
    for box in boxes:
        box.scale, box.thickness = side, 0.02 if many else 0.042
    return boxes


def _gathered(boxes: list[Box]) -> list[Box]:
    gathered: list[Box] = []
    for box in boxes:
        before = gathered[-1] if gathered else None
        if (
            before is not None
            and box.side
            and (box.maps, box.side) == (before.maps, before.side)
            and not before.beside
            and not box.beside
            and not before.followed
        ):
            before.names += box.names
            before.followed = box.followed
            before.facts += box.facts[1:] if box.facts[0] == before.facts[0] else box.facts
        else:
            gathered.append(box)
    return gathered


def _in_words(row: dict[str, Any], stage: nn.Module) -> str:
    """What a stage does, in a few words: the window of a convolution or a pooling, otherwise its kind."""
    convolution = stage if isinstance(stage, nn.Conv2d) else getattr(stage, "conv", None)
    if isinstance(convolution, nn.Conv2d):
        kernel, stride = convolution.kernel_size[0], convolution.stride[0]
        return f"{kernel} × {kernel}" + (f", stride {stride}" if stride > 1 else "")
    if isinstance(stage, MaxPool):
        return f"max pool {stage.kernel} by {stage.stride}"
    return row["kind"]


def _draw(axes: Axes, box: Box, left: float, centre: float, copies: int) -> None:
    bottom, top = centre - box.high / 2, centre + box.high / 2
    across, up = SLANT[0] * box.depth, SLANT[1] * box.depth
    if box.side == 0:
        _face(axes, [(left, bottom), (left + BAR, bottom), (left + BAR, top), (left, top)], UNITS)
        _number(axes, left + BAR / 2, bottom - 0.04, box.maps // box.towers, va="top", ha="center")
        return
    front, lid, end = FACES["image" if box.names == ["image"] else "maps"]
    for copy in range(copies):
        x0 = left + copy * (box.wide + 0.09)
        x1 = x0 + box.wide
        # From the back to the front: a copy hides a part of the one before it.
        _face(axes, [(x0, top), (x1, top), (x1 + across, top + up), (x0 + across, top + up)], lid)
        _face(axes, [(x1, bottom), (x1 + across, bottom + up), (x1 + across, top + up), (x1, top)], end)
        _face(axes, [(x0, bottom), (x1, bottom), (x1, top), (x0, top)], front)
        for cut in range(1, min(box.slices, 12)):
            x = x0 + box.wide * cut / min(box.slices, 12)
            axes.plot([x, x, x + across], [bottom, top, top + up], color=MUTED, linewidth=0.4)
    right = left + copies * (box.wide + 0.09) - 0.09
    maps = f"{copies} × {box.maps // box.towers:,}" if copies > 1 else box.maps // box.towers
    _number(axes, (left + right) / 2, bottom - 0.04, maps, va="top", ha="center")
    _number(axes, right + across / 2 + 0.05, bottom + up / 2 - 0.02, box.side, va="top", ha="left")
    _number(axes, right + across + 0.04, (bottom + top) / 2 + up, box.side, va="center", ha="left")


def _join(axes: Axes, before: list[tuple[float, float]], after: list[tuple[float, float]], crosses: bool) -> None:
    """Lines from each part of the layer before to each part that sees it."""
    for number, start in enumerate(before):
        for other, end in enumerate(after):
            if crosses or number == other or len(before) != len(after):
                level = number == other or len(before) != len(after)
                axes.annotate(
                    "", end, start, zorder=3,
                    arrowprops={
                        "arrowstyle": "-|>", "color": INK, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 1,
                        "mutation_scale": 7, "linestyle": "-" if level else (0, (3, 2)),
                    },
                )  # fmt: skip


def _words(axes: Axes, box: Box, x: float, y: float) -> float:
    """Names and facts below a box; how far down they reach."""
    names = box.names if len(box.names) <= 3 else [box.names[0], f"to {box.names[-1]}"]
    for line in names:
        axes.text(x, y, line, ha="center", va="top", fontsize=LETTERS, color=INK, fontweight="bold")
        y -= 0.16
    for line in box.facts:
        axes.text(x, y, line, ha="center", va="top", fontsize=LETTERS, color=MUTED)
        y -= 0.16
    return y


def _face(axes: Axes, corners: list[tuple[float, float]], colour: str) -> None:
    axes.add_patch(Polygon(corners, closed=True, facecolor=colour, edgecolor=INK, linewidth=0.7))


def _number(axes: Axes, x: float, y: float, number: int | str, va: Any, ha: Any) -> None:
    text = f"{number:,}" if isinstance(number, int) else number
    halo = [withStroke(linewidth=2, foreground="white")]  # lines pass behind numbers
    axes.text(x, y, text, va=va, ha=ha, fontsize=LETTERS, color=INK, zorder=4, path_effects=halo)
