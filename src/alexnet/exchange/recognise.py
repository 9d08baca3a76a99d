"""Which of our nets a foreign one is: by its layers, how they hang together, and each layer's geometry."""

import math
from dataclasses import dataclass
from functools import cache

import torch

from alexnet.errors import InputError
from alexnet.exchange.layers import CannotRead, Layer, in_order, layers_of
from alexnet.models import Classifier, build, names

WEIGHTED = ("conv", "linear")


@dataclass(frozen=True)
class Pairing:
    """One of our nets laid upon a foreign one.

    Attributes:
        net: ours, without weights.
        pairs: our layer and theirs, in the order of the forward pass.
        differences: what differs, in that order: layer, fact, theirs, ours.
        folded: convolutions whose batch normalisation the foreign net has folded into their weights.
    """

    net: Classifier
    pairs: list[tuple[Layer, Layer]]
    differences: list[tuple[str, str, object, object]]
    folded: int

    def first_difference(self) -> str:
        """Name the first layer that differs, and both values."""
        layer, fact, theirs, ours = self.differences[0]
        return (
            f"at {self.net.size} pixels this is {self.net.name} but for {layer}, whose {fact} is {theirs} "
            f"where that of {self.net.name} is {ours}"
        )


def recognise(theirs: Layer, classes: int, size: int, name: str | None = None) -> Pairing:
    """Find the net that a foreign one is.

    Args:
        theirs: its last layer.
        classes: number of scores.
        size: side of the input in pixels, for which its layers were read.
        name: of the only net to look at, or None for all.

    Returns: the net whose layers hang together in the same way, of several the one that differs least in what
        `differences` then says.

    Raises:
        InputError: it is none of ours; the message names the nearest and the first layer that differs.
    """
    found: list[Pairing] = []
    for candidate in [name] if name is not None else names():
        net = _without_weights(candidate, classes, size)
        if net is None or _shapes_of(net) != _shapes(theirs):
            continue
        try:
            ours = layers_of(net)
        except CannotRead:
            continue
        if (pairing := _laid_upon(net, ours, theirs)) is not None:
            found.append(pairing)
    if not found:
        raise InputError(_nearest(theirs, classes, size, name))
    return min(found, key=lambda pairing: (len(pairing.differences), pairing.folded))


@cache
def _without_weights(name: str, classes: int, size: int) -> Classifier | None:
    try:
        with torch.device("meta"):
            return build(name, classes, size)
    except InputError:  # too small, or a net of so many classes does not exist
        return None


def _shapes_of(net: Classifier) -> list[tuple[int, ...]]:
    own = set(net.stages)
    return sorted(
        tuple(value.shape)
        for key, value in net.state_dict().items()
        if key.split(".")[0] in own and key.endswith("weight") and value.dim() > 1
    )


def _shapes(last: Layer) -> list[tuple[int, ...]]:
    return sorted(layer.shape for layer in in_order(last) if layer.kind in WEIGHTED)


def _laid_upon(net: Classifier, ours: Layer, theirs: Layer) -> Pairing | None:
    pairs: dict[int, Layer] = {}
    if not _pair(ours, theirs, pairs) or len({id(layer) for layer in pairs.values()}) != len(pairs):
        return None
    found = [(layer, pairs[id(layer)]) for layer in in_order(ours)]
    differences = [difference for mine, other in found for difference in _differences(mine, other)]
    folded = sum(mine.norm and not other.norm for mine, other in found)
    return Pairing(net, found, differences, folded)


def _pair(ours: Layer, theirs: Layer, pairs: dict[int, Layer]) -> bool:
    """Lay our layer, and all it hangs on, upon theirs; `pairs` holds id of ours -> theirs."""
    while id(ours) not in pairs:
        alike = (ours.kind, ours.shape, ours.maps) == (theirs.kind, theirs.shape, theirs.maps)
        if not alike or len(ours.inputs) != len(theirs.inputs) or (theirs.norm and not ours.norm):
            return False
        pairs[id(ours)] = theirs
        if not ours.inputs:
            return True
        if len(ours.inputs) > 1:
            return _pair_inputs(ours, theirs, pairs)
        ours, theirs = ours.inputs[0], theirs.inputs[0]  # no call for each layer: deep nets have hundreds in a row
    return pairs[id(ours)] is theirs


def _pair_inputs(ours: Layer, theirs: Layer, pairs: dict[int, Layer]) -> bool:
    """Lay what a sum or a concatenation of ours reads upon what theirs reads."""
    orders = [theirs.inputs, theirs.inputs[::-1]] if ours.kind == "add" else [theirs.inputs]
    for order in orders:  # a sum has none, so either may be meant
        tried = dict(pairs)
        if all(_pair(mine, other, tried) for mine, other in zip(ours.inputs, order, strict=True)):
            pairs.update(tried)
            return True
    return False


def _differences(ours: Layer, theirs: Layer) -> list[tuple[str, str, object, object]]:
    mine, other = ours.facts | {"side": ours.side}, theirs.facts | {"side": theirs.side}
    return [
        (ours.name, "side of the maps" if fact == "side" else fact, other.get(fact), value)
        for fact, value in mine.items()
        if not _equal(value, other.get(fact))
    ]


def _equal(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=1e-6)  # files hold float32
    return a == b


def _nearest(theirs: Layer, classes: int, size: int, name: str | None) -> str:
    """Say which net comes nearest to one that is none of ours, and where the two part, seen from the image."""
    there = in_order(theirs)
    nearest: tuple[int, int, str] = (0, 0, "")
    for candidate in [name] if name is not None else names():
        net = _without_weights(candidate, classes, size)
        try:
            ours = in_order(layers_of(net)) if net is not None else []
        except CannotRead:
            continue
        alike = [_what(mine) == _what(other) for mine, other in zip(ours, there)]
        first = alike.index(False) if False in alike else len(alike)
        if (first, sum(alike)) > nearest[:2]:
            other, mine = (_said(row[first]) if first < len(row) else "nothing" for row in (there, ours))
            nearest = (first, sum(alike), f"nearest is {candidate}, which has {mine} where this has {other}")
    what = f"this is not {name}" if name is not None else "this is none of the nets that `alexnet models` lists"
    return f"{what}: {nearest[2] or f'none takes {size} pixels and {classes} classes'}"


def _what(layer: Layer) -> tuple[str, tuple[int, ...]]:
    return layer.kind, layer.shape


def _said(layer: Layer) -> str:
    return f"{layer.name} ({' '.join([layer.kind, ' x '.join(map(str, layer.shape))]).strip()})"
