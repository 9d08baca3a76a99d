"""Foreign weights become a run: read, recognised, converted, compared with the original, written."""

import hashlib
import platform
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torchvision

from alexnet.checkpoint import Card, save_weights
from alexnet.data.for_recipe import side_for
from alexnet.devices import environment
from alexnet.errors import InputError
from alexnet.exchange.agreement import Agreement, agreement
from alexnet.exchange.export_onnx import OnnxProgram
from alexnet.exchange.foreign import Foreign, from_onnx, from_state_dict, published
from alexnet.exchange.own_file import read_own
from alexnet.exchange.preprocessing import chosen_preprocessing
from alexnet.files import write_json, write_text
from alexnet.models import ALIASES, Classifier, build, names
from alexnet.recipe import Net, Recipe
from alexnet.recipes import as_fields, as_yaml, load_recipe, recipe_from
from alexnet.training.run import now
from alexnet.version import __version__


def bring(
    what: str,
    out: str | Path,
    name: str | None = None,
    classes: str | Path | None = None,
    preprocessing: str | None = None,
    mean: str | None = None,
    scale: str | None = None,
    channels: str | None = None,
    size: int | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Bring weights in; a run's folder is written only when the outputs agree with the original's.

    Args:
        what: an .onnx file, a state dict (.pt, .pth, .safetensors), or torchvision:NAME.
        out: the new run's folder.
        name: of our net, when it is not to be recognised.
        classes: file with a class name in each line; nets of 1000 classes have ImageNet's without one.
        preprocessing, mean, scale, channels: see `chosen_preprocessing`; for files only.
        size: side in pixels that the net is built for, and at which it is compared; by default an ONNX file's own,
            the publication's for a state dict. Nets whose weights depend on it have one size alone.
        command: noted in the run's folder.

    Returns: run, model, size, classes (their number), parameters, from, sha256, preprocessing, compared_with,
        agreement, notes.

    Raises:
        InputError: what came, what was wanted, what to do next.
    """
    folder = Path(out)
    if folder.exists():
        raise InputError(f"{folder} exists and is never overwritten: give another OUT")
    if name is not None and ALIASES.get(name, name) not in names():
        raise InputError(f"--as {name}: there is no such model; choose one of {', '.join(names())}")
    name = ALIASES.get(name, name) if name is not None else None
    given = (preprocessing, mean, scale, channels)
    if what.startswith("torchvision:"):
        if any(given):
            raise InputError(f"{what} brings its own preprocessing: leave the options for it out")
        found = published(what.removeprefix("torchvision:"), name, size)
    elif not Path(what).is_file():
        raise InputError(f"{what} does not exist: give an .onnx file, a state dict, or torchvision:NAME")
    elif Path(what).suffix == ".onnx" and (own := read_own(Path(what))) is not None:
        if any(given) or name or classes or size:
            raise InputError(f"{what} was written by alexnet export and says all itself: leave the options out")
        return _brought_back(folder, Path(what), *own, command)
    elif Path(what).suffix == ".onnx":
        found = from_onnx(Path(what), chosen_preprocessing(*given), name, size)
    else:
        found = from_state_dict(Path(what), chosen_preprocessing(*given), name, size)
    labels, trained_on = class_names(found.net.classes, classes)
    net = with_weights(found)
    agreed = agreement(net, found.original, net.size)
    about = {
        "command": command,
        "version": __version__,
        "model": net.name,
        "from": what,
        "sha256": _sha256(found.file),
        "preprocessing": asdict(found.preprocessing),
        "compared_with": found.program,
        "agreement": asdict(agreed),
        "notes": found.notes,
    }
    recipe = _recipe(net, found.margin)
    side = side_for(net.size, recipe)
    _write(folder, net, Card(net.name, labels, net.size, side, recipe=as_fields(recipe), source=trained_on), about)
    return _said(folder, net, agreed) | {key: about[key] for key in ("from", "sha256", "preprocessing", "notes")}


def class_names(count: int, file: str | Path | None) -> tuple[list[str], str]:
    """Class names in the order of the scores, and the set that they are of when it is known.

    Args:
        count: of the net's classes.
        file: a name in each line; without it a thousand classes are ImageNet's, as torchvision calls them.

    Raises:
        InputError: no file for another number of classes; a file of other than `count` different names.
    """
    if file is None:
        if count != 1000:
            raise InputError(f"the net has {count} classes and no file says their names: give --classes, one a line")
        return list(torchvision.models.AlexNet_Weights.IMAGENET1K_V1.meta["categories"]), "imagenet"
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--classes {file} cannot be read ({error}): give a text file with a name in each line"
        ) from None
    labels = [line.strip() for line in lines if line.strip()]
    if len(labels) != count or len(set(labels)) != count:
        raise InputError(
            f"--classes {file} has {len(labels)} lines, {len(set(labels))} of them different, and the net {count} "
            "classes: give each its own name, in the order of the scores"
        )
    return labels, ""


def with_weights(found: Foreign) -> Classifier:
    """The net with the foreign weights, in evaluation mode."""
    with torch.device("meta"):
        net = build(found.net.name, found.net.classes, found.net.size)
    state = {key: value.float() if value.is_floating_point() else value for key, value in found.state.items()}
    state |= {"mean": torch.zeros(3, 1, 1), "scale": torch.ones(())}
    if net.sides and not any(key.split(".")[0] in net.sides for key in state):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            fresh = build(net.name, net.classes, net.size).state_dict()
        state |= {key: value for key, value in fresh.items() if key.split(".")[0] in net.sides}
    net.load_state_dict(state, assign=True)
    found.preprocessing.fold_into(net)
    return net.eval()


def _brought_back(folder: Path, file: Path, net: Classifier, card: Card, command: str) -> dict[str, Any]:
    """A run of a file that `alexnet export` wrote."""
    program = OnnxProgram(file)
    agreed = agreement(net, lambda images: program(images)[0], net.size)
    about = {
        "command": command,
        "version": __version__,
        "model": net.name,
        "from": str(file),
        "sha256": _sha256(file),
        "preprocessing": "the run's own",
        "compared_with": program.name,
        "agreement": asdict(agreed),
        "notes": [],
    }
    _write(folder, net, card, about)
    return _said(folder, net, agreed) | {key: about[key] for key in ("from", "sha256", "preprocessing", "notes")}


def _recipe(net: Classifier, margin: float | None) -> Recipe:
    base = load_recipe("practical")
    return replace(
        base,
        model=net.name,
        size=net.size,
        net=Net(mean="channel", scale="one" if float(net.scale) == 1 else "deviation"),
        data=base.data if margin is None else replace(base.data, margin=margin),
    )


def _write(folder: Path, net: Classifier, card: Card, about: dict[str, Any]) -> None:
    save_weights(folder / "best.safetensors", net.state_dict(), card)
    write_text(folder / "recipe.yaml", as_yaml(recipe_from(card.recipe)))
    write_json(
        folder / "run.json",
        about
        | {
            "source": card.source,
            "spec": "",
            "classes": card.classes,
            "size": net.size,
            "side": card.side,
            "parameters": net.parameter_count,
            "environment": environment(torch.device("cpu")),
            "machine": platform.platform(),
            "finished": now(),
        },
    )


def _said(folder: Path, net: Classifier, agreed: Agreement) -> dict[str, Any]:
    return {
        "run": str(folder),
        "model": net.name,
        "size": net.size,
        "classes": net.classes,
        "parameters": net.parameter_count,
        "agreement": asdict(agreed),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
