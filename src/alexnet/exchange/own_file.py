"""An ONNX file that `alexnet export` wrote, read back: its card says the net, its constants bear the weights' names."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet.checkpoint import Card
from alexnet.errors import InputError
from alexnet.exchange.onnx_file import onnx
from alexnet.models import Classifier, build, names
from alexnet.models.lenet import TableConv


def read_own(path: Path) -> tuple[Classifier, Card] | None:
    """The net and its card; None of a file that somebody else wrote, or that is no ONNX file at all.

    Side classifiers, which no such file has, start anew.

    Raises:
        InputError: a net that this version does not know; a weight that is missing.
    """
    package = onnx()
    try:
        model = package.load(path)
    except Exception:  # what is wrong with it is said where foreign files are read
        return None
    said = {entry.key: entry.value for entry in model.metadata_props}
    if model.producer_name != "alexnet" or "alexnet" not in said:
        return None
    card = Card(**json.loads(said["alexnet"]))
    if card.model not in names():
        raise InputError(f"{path} holds a {card.model!r}, which this version does not know: use the one that wrote it")
    constants = {
        one.name: torch.from_numpy(package.numpy_helper.to_array(one).copy()) for one in model.graph.initializer
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build(card.model, len(card.classes), card.size)
    net.load_state_dict({key: _found(net, key, fresh, constants, path) for key, fresh in net.state_dict().items()})
    return net.eval(), card


def _found(net: Classifier, key: str, fresh: Tensor, constants: dict[str, Tensor], path: Path) -> Tensor:
    """The value of one key of the net's state; what only training needs is taken as it is in a fresh net."""
    owner, _, last = key.rpartition(".")
    module: Any = net.get_submodule(owner)
    if isinstance(module, TableConv) and last == "weight":
        return constants[f"{owner}.dense"].view(-1, *fresh.shape[1:])[module.places]
    if key == "mean":
        return constants[key]  # of each channel, or of each pixel
    if key in constants:
        return constants[key].reshape(fresh.shape)
    if last in ("num_batches_tracked", "places") or key.split(".")[0] in net.sides:
        return fresh
    raise InputError(f"{path} has no weight {key}: export the run again")
