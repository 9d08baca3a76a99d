"""State dicts of torchvision's classifiers: found, recognised, and run as torchvision runs them."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from alexnet.errors import InputError
from alexnet.exchange.preprocessing import PREPROCESSING, Preprocessing
from alexnet.models import Classifier, build, googlenet, resnet, vgg
from alexnet.models.alexnet import TORCHVISION_LAYERS


def _alexnet_names(net: Classifier) -> dict[str, str]:
    return {
        f"{ours}.{key}": f"{theirs}.{key}" for ours, theirs in TORCHVISION_LAYERS.items() for key in ("weight", "bias")
    }


# torchvision's name -> our net of the same layers, and what gives the names of its tensors.
NETS: dict[str, tuple[str, Callable[[Classifier], dict[str, str]]]] = {
    "alexnet": ("alexnet_2014", _alexnet_names),
    **{theirs: (ours, vgg.torchvision_names) for theirs, ours in vgg.ALIASES.items()},
    "googlenet": ("googlenet_torchvision", googlenet.torchvision_names),
    "resnet18": ("resnet18", resnet.torchvision_names),
    "resnet34": ("resnet34", resnet.torchvision_names),
    "resnet50": ("resnet50_v1_5", resnet.torchvision_names),
    "resnet101": ("resnet101_v1_5", resnet.torchvision_names),
    "resnet152": ("resnet152_v1_5", resnet.torchvision_names),
}
WRAPPERS = ("state_dict", "model")  # what training scripts put around a state dict
AUXILIARY = ("aux1.", "aux2.")
COUNTER = "num_batches_tracked"  # which older files do not have


@dataclass(frozen=True)
class Recognised:
    """A state dict and the net that it belongs to.

    Attributes:
        theirs: torchvision's name.
        net: ours, without weights.
        state: our state's weights, without mean and scale, and without side classifiers where the file has none.
        tensors: what the file holds.
    """

    theirs: str
    net: Classifier
    state: dict[str, Tensor]
    tensors: dict[str, Tensor]

    def original(self, released_googlenet: bool = False) -> nn.Module:
        """torchvision's own net with these weights, in evaluation mode.

        Args:
            released_googlenet: with the `transform_input` that torchvision's weights of GoogLeNet ask for.
        """
        extra: dict[str, Any] = {}
        if self.theirs == "googlenet":
            sides = any(key.startswith(AUXILIARY) for key in self.tensors)
            extra = {"init_weights": False, "aux_logits": sides, "transform_input": released_googlenet}
        with torch.device("meta"):
            module = torchvision.models.get_model(self.theirs, weights=None, num_classes=self.net.classes, **extra)
        module.load_state_dict(self.tensors, assign=True)
        return module.eval()


@dataclass(frozen=True)
class Released:
    """Weights that torchvision publishes.

    Attributes:
        file: where they lie.
        url: where they come from.
        what: torchvision's name of them.
        tensors: what the file holds.
        preprocessing: of the net's input, as `transform_input` leaves it.
        before: of torchvision's own module's input.
        margin: shorter side of an image as a multiple of the crop's.
    """

    file: Path
    url: str
    what: str
    tensors: dict[str, Tensor]
    preprocessing: Preprocessing
    before: Preprocessing
    margin: float


def read_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a torch file, of which no code is run.

    Raises:
        InputError: no such file; not whole; no state dict inside.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a file of weights, or torchvision:NAME")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise InputError(
            f"{path} is not a file of tensors ({' '.join(str(error).split())[:200]}): give an .onnx file, a "
            ".safetensors file or a state dict that torch.save wrote"
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"{path} holds no state dict: save net.state_dict() and give that file")
    shared = _shared_prefix([str(key) for key in found])
    return {str(key).removeprefix(shared): value for key, value in found.items()}


def _shared_prefix(keys: list[str]) -> str:
    """What stands before every name: DistributedDataParallel's "module.", torch.compile's "_orig_mod.", a user's."""
    places = zip(*(key.split(".")[:-1] for key in keys))
    return "".join(f"{names[0]}." for names in takewhile(lambda names: len(set(names)) == 1, places))


def recognise_state(tensors: dict[str, Tensor], name: str | None = None) -> Recognised:
    """Find the net that tensors belong to, by their names and shapes alone.

    Args:
        tensors: as torchvision names them. Its ResNets of 50 layers and more are v1.5.
        name: of our net, when only this one may be meant.

    Raises:
        InputError: they are no net's, or not this one's.
    """
    if name is not None and name not in {ours for ours, _ in NETS.values()}:
        raise InputError(
            f"torchvision has no {name}, whose tensors a state dict could hold: "
            f"--as takes one of {', '.join(ours for ours, _ in NETS.values())}"
        )
    there = {key: tuple(value.shape) for key, value in tensors.items() if not key.endswith(COUNTER)}
    nearest = (-1, "")
    for theirs, (ours, names_of) in NETS.items():
        if name is not None and ours != name:
            continue
        few = _of_shapes(ours, 10)
        last = names_of(few)[f"{few.classifier_stage}.weight"]
        classes = there[last][0] if last in there else 0
        names = {key: other for key, other in names_of(few).items() if _needed(other, tensors)}
        net = _of_shapes(ours, classes) if classes > 1 and there.keys() <= set(names.values()) else few
        own = net.state_dict()
        shapes = {other: tuple(own[key].shape) for key, other in names.items() if not key.endswith(COUNTER)}
        if shapes == there:
            state = {key: tensors.get(other, torch.tensor(0)) for key, other in names.items()}
            return Recognised(theirs, net, state, tensors)
        alike = len(shapes.items() & there.items())
        if alike > nearest[0]:
            odd = next(key for key in [*shapes, *there] if there.get(key) != shapes.get(key))
            nearest = (alike, f"nearest is {ours}, but {odd} is {there.get(odd)} where it has {shapes.get(odd)}")
    whose = "no net that is known" if name is None else f"another net than {name}"
    near = nearest[1] if nearest[0] > 0 else f"known are state dicts of torchvision's {', '.join(NETS)}"
    raise InputError(f"these {len(tensors)} tensors are those of {whose}: {near}")


@cache
def _of_shapes(name: str, classes: int) -> Classifier:
    with torch.device("meta"):
        return build(name, classes)


def _needed(key: str, tensors: dict[str, Tensor]) -> bool:
    """Whether a tensor of torchvision's is expected: side classifiers may be left out."""
    return not key.startswith(AUXILIARY) or any(other.startswith(AUXILIARY) for other in tensors)


def released(name: str) -> Released:
    """Weights that torchvision publishes, downloaded unless they lie in its cache.

    Args:
        name: "resnet50" (the first that were published: IMAGENET1K_V1) or "resnet50:IMAGENET1K_V2".

    Raises:
        InputError: no such weights; they cannot be fetched.
    """
    net, _, which = name.partition(":")
    if net not in NETS:
        raise InputError(f"torchvision:{net} is none of the nets that are known: choose one of {', '.join(NETS)}")
    there = {weights.name: weights for weights in torchvision.models.get_model_weights(net)}
    if which and which not in there:
        raise InputError(f"torchvision has no weights {which} of {net}: it has {', '.join(there)}")
    weights = there[which or "IMAGENET1K_V1"]
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        tensors = dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:  # no network, or a file that is not the published one
        raise InputError(
            f"the weights {weights} cannot be fetched ({' '.join(str(error).split())}): get {weights.url} elsewhere, "
            f"then alexnet import {file.name} OUT --preprocessing "
            f"{'torchvision_googlenet' if net == 'googlenet' else 'torchvision'}"
        ) from None
    seen = weights.transforms()
    mean, scale = ([255 * float(value) for value in values] for values in (seen.mean, seen.std))
    before = Preprocessing(
        (mean[0], mean[1], mean[2]), (scale[0], scale[1], scale[2]), "rgb", f"torchvision: {weights}"
    )
    after = PREPROCESSING["torchvision_googlenet"] if net == "googlenet" else before
    return Released(file, weights.url, str(weights), tensors, after, before, seen.resize_size[0] / seen.crop_size[0])
