"""What differs between two of the nets, line by line, each fact with where it is written.

Facts of the net itself are read off the net as it is built, so that they cannot drift; see `anatomy`. Facts of the
training are the publications', see `published`; what our recipes do is another matter.
"""

import torch
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from alexnet.models import VARIANTS, build, model
from alexnet.models import published_family as family
from alexnet.models.anatomy import anatomy, anatomy_of_alexnet
from alexnet.models.published import NET_SOURCES, TRAINING, Fact
from alexnet.models.published_training import TRAINING as TRAINING_OF_FAMILY

_NOTHING = Fact("–", "no such thing in this net")


def differences(a: str, b: str) -> list[dict[str, str]]:
    """Every fact that differs between two nets or their published training.

    Args:
        a: name of a net.
        b: name of another.

    Returns:
        Rows of "topic", "a", "b", "source_a" and "source_b"; facts of the net first. What only one of them has is
        "–" in the other.

    Raises:
        InputError: an unknown name.
    """
    ours, others = facts(a), facts(b)
    rows = []
    for topic in _topics(ours, others):
        one, other = ours.get(topic, _NOTHING), others.get(topic, _NOTHING)
        if one.value != other.value:
            rows.append(
                {
                    "topic": topic,
                    "a": one.value,
                    "b": other.value,
                    "source_a": one.source,
                    "source_b": other.source,
                }
            )
    return rows


def facts(name: str) -> dict[str, Fact]:
    """All facts of one net, by topic.

    Raises:
        InputError: an unknown name.
    """
    own = model(name).name
    with torch.device("meta"):
        found = anatomy(build(own))
    if own in VARIANTS:
        found |= anatomy_of_alexnet(VARIANTS[own])
    sources = (NET_SOURCES | family.NET_SOURCES)[own]
    of_net = {topic: Fact(value, sources.get(topic, sources[""])) for topic, value in found.items()}
    return of_net | family.START.get(own, {}) | (TRAINING | TRAINING_OF_FAMILY)[own]


def _topics(ours: dict[str, Fact], others: dict[str, Fact]) -> list[str]:
    """The topics of both: first those of the nets, then those of the training, whichever of the two has more."""
    longer, shorter = (ours, others) if len(ours) >= len(others) else (others, ours)
    return [*longer, *(topic for topic in shorter if topic not in longer)]


def differences_table(a: str, b: str, rows: list[dict[str, str]]) -> Table:
    """The rows that `differences(a, b)` gives as a table, the source of each fact below it."""
    table = Table(title=f"{a} and {b}: what differs", box=SIMPLE, pad_edge=False, show_lines=True)
    for heading in ("topic", a, b):
        table.add_column(heading, overflow="fold")  # a long row of maps has no blanks to break at
    for row in rows:
        cells = [Text.assemble(row[side], "\n", (row[f"source_{side}"], "dim")) for side in ("a", "b")]
        table.add_row(row["topic"], *cells)
    return table
