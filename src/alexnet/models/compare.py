"""What differs between two of the nets, line by line, each fact with where it is written.

Facts of the net itself are read off its row in `alexnet.VARIANTS`, so that they cannot drift from what is built;
its counts are computed. Facts of the training are the publications', see `published`; what our recipes do is another
matter.
"""

import torch
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from alexnet.errors import InputError
from alexnet.models.alexnet import VARIANTS, Variant, build_variant, padding_of_conv1, smallest_size
from alexnet.models.published import NET_SOURCES, TRAINING, Fact
from alexnet.models.summary import summary

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
_STEPS = {"relu": "ReLU", "norm": "LRN", "spatial": "spatial norm", "pool": "pool"}


def differences(a: str, b: str) -> list[dict[str, str]]:
    """Every fact that differs between two nets or their published training.

    Args:
        a: name of a net.
        b: name of another.

    Returns:
        Rows of "topic", "a", "b", "source_a" and "source_b"; facts of the net first.

    Raises:
        InputError: an unknown name.
    """
    ours, others = facts(a), facts(b)
    return [
        {
            "topic": topic,
            "a": ours[topic].value,
            "b": others[topic].value,
            "source_a": ours[topic].source,
            "source_b": others[topic].source,
        }
        for topic in ours
        if ours[topic].value != others[topic].value
    ]


def facts(name: str) -> dict[str, Fact]:
    """All facts of one net, by topic.

    Raises:
        InputError: an unknown name.
    """
    if name not in VARIANTS:
        raise InputError(f"nothing is known to compare {name!r} by; choose among {', '.join(VARIANTS)}")
    sources = NET_SOURCES[name]
    of_net = {topic: Fact(value, sources.get(topic, sources[""])) for topic, value in _of_net(VARIANTS[name]).items()}
    return of_net | TRAINING[name]


def _of_net(variant: Variant) -> dict[str, str]:
    with torch.device("meta"):
        counts = summary(build_variant(variant))
    norm = variant.normalisation
    reach = [variant.widths[0], variant.widths[1]]
    if norm is not None and norm.within_towers:
        reach = [maps // variant.towers for maps in reach]
    each = norm and (norm.alpha if norm.alpha_is == "sum" else norm.alpha / norm.n)
    return {
        "input": f"{variant.size} x {variant.size}",
        "zeros at conv1": _zeros(variant),
        "rounding of pooling": variant.pool_rounding,
        "smallest input": f"{smallest_size(variant)} x {smallest_size(variant)}",
        "maps": "-".join(map(str, variant.widths)),
        "towers": "1" if variant.towers == 1 else f"{variant.towers}, which meet at conv3 and fc6 to fc8",
        **{f"after conv{i}": _order(variant, i) for i in range(1, 6)},
        "LRN constant k": f"{norm.k:g}" if norm else "no LRN",
        "LRN factor of a square": f"{each:g}" if norm else "no LRN",
        "LRN window and power": f"{norm.n} maps, {norm.beta:g}" if norm else "no LRN",
        "LRN maps in reach": f"{reach[0]} and {reach[1]}" if norm else "no LRN",
        "spatial normalisation": "5 x 5 in each map of conv2: 4e-05 a square, 0.75"
        if any("spatial" in order for order in variant.order)
        else "none",
        "before fc6": "averages of 6 x 6 areas, at any input size" if variant.adaptive else "all of pool5",
        "dropout": "times 0 or 1; at test times 0.5" if variant.dropout == "paper" else "times 0 or 2; at test nothing",
        "dropout's place": f"{variant.dropout_at} of fc6 and fc7",
        "initial weights": _deviations(variant),
        "initial biases": _biases(variant),
        "parameters": f"{counts['parameters']:,}",
        "multiply-adds": f"{counts['multiply_adds']:,}",
    }


def _zeros(variant: Variant) -> str:
    before, after = padding_of_conv1(variant, variant.size)
    if variant.conv1_padding == "up":
        after = -(variant.size - 11) % 4
        return f"{before} left and top, {after} right and bottom, by rounding up"
    unused = (variant.size + before + after - 11) % 4
    if before == after == 0:
        return "none"
    rest = f", {unused} of them unused" if unused else ""
    return f"{before} left and top, {after} right and bottom{rest}"


def _order(variant: Variant, layer: int) -> str:
    return ", ".join(_STEPS[step] for step in variant.order[layer - 1])


def _deviations(variant: Variant) -> str:
    if variant.deviations is None:
        return "uniform within 1 / sqrt(fan-in)"
    rest = [
        f"{layer} {sd:g}" for layer, sd in zip(LAYERS, variant.deviations, strict=True) if sd != variant.deviations[0]
    ]
    return f"N(0, {variant.deviations[0]:g})" + (f"; {', '.join(rest)}" if rest else "")


def _biases(variant: Variant) -> str:
    if variant.deviations is None:
        return "uniform within 1 / sqrt(fan-in)"
    rest = [f"{layer} {b:g}" for layer, b in zip(LAYERS, variant.biases, strict=True) if b]
    return "0" + (f"; {', '.join(rest)}" if rest else "")


def differences_table(a: str, b: str, rows: list[dict[str, str]]) -> Table:
    """The rows that `differences(a, b)` gives as a table, the source of each fact below it."""
    table = Table(title=f"{a} and {b}: what differs", box=SIMPLE, pad_edge=False, show_lines=True)
    for heading in ("topic", a, b):
        table.add_column(heading)
    for row in rows:
        cells = [Text.assemble(row[side], "\n", (row[f"source_{side}"], "dim")) for side in ("a", "b")]
        table.add_row(row["topic"], *cells)
    return table
