"""Weights that say what they are, and the training state from which a killed run goes on.

Weights are safetensors (no code inside) whose metadata holds a card: the net, its classes, how images reach
it and how it was trained. The training state is one torch file, replaced by one rename, read without code.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from alexnet.errors import InputError
from alexnet.files import replacing
from alexnet.models import Classifier, build, names

FORMAT = 1


@dataclass(frozen=True)
class Card:
    """What must be known to use a file of weights.

    Attributes:
        model: one of `alexnet models`.
        classes: class names, in the order of the net's scores.
        size: side of the net's input in pixels.
        side: shorter side, in pixels, that images are brought to before patches are cut.
        native: trained on small images kept at their own size, which are enlarged on the device.
        recipe: the resolved recipe, as nested fields.
        source: short name of what it was trained on.
        spec: what opens the source again.
        fingerprint: digest of the packed source's content.
        images_seen: training images that went through the net.
        step: training step of these weights.
        temperature: what log-probabilities are divided by to be calibrated; 1 before calibration.
        threshold: calibrated probability under which the answer is "none of these"; 0 never.
        format: version of this card.
    """

    model: str
    classes: list[str]
    size: int
    side: int
    native: bool = False
    recipe: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    spec: str = ""
    fingerprint: str = ""
    images_seen: int = 0
    step: int = 0
    temperature: float = 1.0
    threshold: float = 0.0
    format: int = FORMAT


def save_weights(path: Path, weights: dict[str, Tensor], card: Card) -> None:
    """Write a net's state dict and its card, atomically."""
    whole = {name: value.detach().contiguous().cpu() for name, value in weights.items()}
    with replacing(Path(path)) as aside:
        save_file(whole, aside, metadata={"alexnet": json.dumps(asdict(card), ensure_ascii=False)})


def read_card(path: Path) -> Card:
    """Read the card of a file of weights.

    Raises:
        InputError: no such file; not safetensors; not written by this package; another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give a run's folder or a .safetensors file of one") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a whole safetensors file ({error}): copy it again or train again") from None
    if "alexnet" not in metadata:
        raise InputError(f"{path} has no card saying which net it is: give weights that this package wrote")
    values = json.loads(metadata["alexnet"])
    if values.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {values.get('format')}, this version reads {FORMAT}: use the version that wrote it"
        )
    return Card(**{key: values[key] for key in (f.name for f in fields(Card)) if key in values})


def load_weights(path: Path) -> tuple[Classifier, Card]:
    """Build the net that a file of weights says, with its weights, in evaluation mode on the CPU."""
    card = read_card(path)
    if card.model not in names():
        raise InputError(
            f"{path} holds a {card.model!r}, which this version does not know: it knows {', '.join(names())}"
        )
    with torch.device("meta"):  # no initial weights are drawn, only to be thrown away
        net = build(card.model, classes=len(card.classes), size=card.size)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    net.load_state_dict(weights, assign=True)
    return net.eval(), card


def weights_file(run_or_file: str | Path) -> Path:
    """Give the file of a run's best weights, or the file itself.

    Raises:
        InputError: neither a run's folder nor a file.
    """
    path = Path(run_or_file)
    if path.is_dir():
        for name in ("best.safetensors", "last.safetensors"):
            if (path / name).is_file():
                return path / name
        if (path / "state.pt").is_file():
            raise InputError(f"{path} was stopped before its weights were written: alexnet train --resume {path}")
        raise InputError(f"{path} holds no weights: give the folder of a run (best.safetensors inside)")
    if path.is_file():
        return path
    raise InputError(f"{path} does not exist: give a run's folder (runs/...) or a .safetensors file")


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the training state, atomically; tensors, numbers, strings, lists and dicts only."""
    with replacing(Path(path)) as aside:
        torch.save(state, aside)


def load_state(path: Path) -> dict[str, Any] | None:
    """Read a training state, without running any code in it; None where there is none."""
    if not path.is_file():
        return None
    return torch.load(path, map_location="cpu", weights_only=True)


def read_run(folder: Path) -> dict[str, Any]:
    """Read run.json, what a run's folder says of the run.

    Raises:
        InputError: no such folder, or not a run's.
    """
    path = Path(folder) / "run.json"
    if not path.is_file():
        raise InputError(
            f"{folder} is not the folder of a run (no run.json in it): give one, such as runs/digits-alexnet-1"
        )
    return json.loads(path.read_text(encoding="utf-8"))
