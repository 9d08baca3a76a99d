"""Foreign nets: found by what the user names, recognised, and ready to be run beside ours."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from alexnet.errors import InputError
from alexnet.exchange.convert import state_of
from alexnet.exchange.onnx_file import OnnxFile
from alexnet.exchange.preprocessing import Preprocessing
from alexnet.exchange.recognise import Pairing, recognise
from alexnet.exchange.state_dicts import Recognised, read_file, recognise_state, released
from alexnet.models import MODELS, Classifier, build

SMALLER = 8  # pixels by which a file's input is made smaller to find where its rounding does not matter


@dataclass(frozen=True)
class Foreign:
    """A foreign net, recognised.

    Attributes:
        net: ours, without weights.
        state: its weights.
        preprocessing: of its input.
        original: the foreign program: scores of RGB floats [n 3 size size] in 0..255.
        program: which that is.
        file: whose checksum is noted.
        margin: shorter side of an image as a multiple of the net's input, or None for the usual 256 / 224.
        notes: what the user should know.
    """

    net: Classifier
    state: dict[str, Tensor]
    preprocessing: Preprocessing
    original: Callable[[Tensor], Tensor]
    program: str
    file: Path
    margin: float | None = None
    notes: list[str] = field(default_factory=list)


def published(name: str, ours: str | None = None, size: int | None = None) -> Foreign:
    """Weights that torchvision publishes, such as "resnet50" or "resnet50:IMAGENET1K_V2".

    Raises:
        InputError: no such weights; they cannot be fetched, or are of another size.
    """
    weights = released(name)
    known = recognise_state(weights.tensors, ours)
    module = known.original(released_googlenet=known.theirs == "googlenet")
    return Foreign(
        _for_size(known.net, size),
        known.state,
        weights.preprocessing,
        lambda images: module(weights.before(images)),
        f"{weights.what} in torchvision {torchvision.__version__}",
        weights.file,
        weights.margin,
        _about_sides(known),
    )


def from_state_dict(
    path: Path, preprocessing: Preprocessing, ours: str | None = None, size: int | None = None
) -> Foreign:
    """A file with the state dict of one of torchvision's nets; `ours` is the only net that it may be.

    Raises:
        InputError: the file cannot be read, or its tensors are no such net's, or of another size.
    """
    known = recognise_state(read_file(path), ours)
    module = known.original()
    program = f"{known.theirs} of torchvision {torchvision.__version__}"
    return Foreign(
        _for_size(known.net, size),
        known.state,
        preprocessing,
        lambda images: module(preprocessing(images)),
        program,
        path,
        notes=_about_sides(known),
    )


def _for_size(net: Classifier, size: int | None) -> Classifier:
    """The same net built for images of `size` pixels, if the same weights fit it."""
    if size is None:
        return net
    with torch.device("meta"):
        other = build(net.name, net.classes, size)
    shapes, others = ({key: value.shape for key, value in one.state_dict().items()} for one in (net, other))
    if shapes != others:
        raise InputError(
            f"--size {size}: {net.name} has other shapes there than at {net.size} pixels, for which these weights are: "
            "leave it out"
        )
    return other


def _about_sides(known: Recognised) -> list[str]:
    if known.net.sides and not any(key.split(".")[0] in known.net.sides for key in known.state):
        return ["the file has no side classifiers: they start anew, should the net be trained"]
    return []


def from_onnx(path: Path, preprocessing: Preprocessing, ours: str | None = None, size: int | None = None) -> Foreign:
    """An ONNX file, read for images of `size` pixels a side; by default for those that it says.

    Where it then differs from the net that it is in how sizes are rounded alone, a size is looked for at which it does
    not: that of the publication, or one a little smaller.

    Raises:
        InputError: the file cannot be read, or is none of our nets.
    """
    import onnxruntime

    file = OnnxFile(path)
    pairing, notes = _fitting(file, ours, size)
    if pairing.folded:
        notes.append(
            f"{pairing.folded} batch normalisations are folded into the file's convolutions: ours then only add"
        )
    if pairing.net.sides:
        notes.append("the file has no side classifiers: they start anew, should the net be trained")
    return Foreign(
        pairing.net,
        state_of(pairing),
        preprocessing,
        lambda images: file.run(preprocessing(images)),
        f"onnxruntime {onnxruntime.__version__}",
        path,
        _margin(pairing.net),
        notes,
    )


def _margin(net: Classifier) -> float | None:
    """Nets of 224 pixels, Caffe's of 227 too, were cut from images of 256; of others nothing is known."""
    usual = MODELS[net.name].size
    return 256 / net.size if usual in (224, 227) and abs(net.size - usual) <= SMALLER else None


def _fitting(file: OnnxFile, ours: str | None, size: int | None) -> tuple[Pairing, list[str]]:
    """The net that a file is, at a size at which it does what that net does."""
    asked = size or file.declared or 224
    last = file.layers(asked)
    pairing = recognise(last, last.maps, asked, ours)
    if not pairing.differences:
        return pairing, []
    nearest = pairing
    others = () if size else (MODELS[pairing.net.name].size, *range(asked - 1, asked - SMALLER - 1, -1))
    for other in others:
        try:
            there = recognise(file.layers(other), last.maps, other, pairing.net.name)
        except InputError:  # a layer does not fit there
            continue
        nearest = min(nearest, there, key=lambda tried: len(tried.differences))
        if not there.differences:
            return there, [f"{pairing.first_difference()}; at {other} pixels it is the same, so that is the run's size"]
    raise InputError(f"{file.path}: {nearest.first_difference()}")
