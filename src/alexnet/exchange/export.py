"""A run becomes one file that other programs serve: written, run beside the net, and kept only where both agree."""

import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from alexnet.augment import center_view, to_planes
from alexnet.checkpoint import Card, load_weights, read_run, weights_file
from alexnet.data import is_packed, open_packed
from alexnet.errors import InputError, JobFailed
from alexnet.evaluation.evaluate import rows_of
from alexnet.exchange.agreement import TOLERANCE, VARIATION, Agreement, compared, images_to_compare
from alexnet.exchange.export_onnx import OPSET, OnnxProgram, write_onnx
from alexnet.exchange.export_openvino import BFLOAT16, OpenvinoProgram, write_openvino
from alexnet.exchange.export_torch import TorchProgram, write_torch
from alexnet.files import flush_to_disk, write_json
from alexnet.models import Classifier
from alexnet.progress import note
from alexnet.version import __version__

Format = Literal["onnx", "torch", "openvino"]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2", "openvino": ".xml"}
NEEDED: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime"),
    "torch": (),
    "openvino": ("onnx", "openvino"),
}
REAL = 4  # images of the run's test part that are shown beside the seeded ones


class Program(Protocol):
    """An exported file, ready to run.

    Attributes:
        name: of what runs it.
    """

    name: str

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and probabilities, [n classes] each, of float32 RGB [n 3 size size] in 0..255."""
        ...


def export(run: str | Path, out: str | Path, format: Format | None = None) -> dict[str, Any]:
    """Write a run's best weights as a file for another program, with a description beside it (OUT.json).

    Nothing is left unless the file, run by that program, gives the net's own answers.

    Args:
        run: a run's folder or a .safetensors file of one.
        out: the new file; a missing suffix is added: .onnx, .pt2 (torch), .xml (openvino, with its .bin beside it).
        format: by default what the suffix of `out` says, otherwise "onnx".

    Returns: what the description holds (see `described`), and "out" and "files".

    Raises:
        InputError: OUT exists or has another format's suffix; a package is missing; no such run.
        alexnet.errors.JobFailed: the file does not answer as the net does.
    """
    format, path = destination(Path(out), format)
    for name in NEEDED[format]:
        _needs(name, format)
    weights = weights_file(run)
    net, card = load_weights(weights)
    images = images_to_show(net, card, weights.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        aside = Path(folder) / path.name
        program = write(net, card, aside, format)
        found = checked(net, card, program, images)
        about = described(net, card, format) | {
            "file": path.name,
            "sha256": _sha256(aside),
            "compared_with": program.name,
            "agreement": asdict(found),
        }
        write_json(aside.with_name(f"{path.name}.json"), about)
        files = sorted(Path(folder).iterdir(), key=lambda file: file.name == path.name)  # the file itself comes last
        for file in files:
            file.chmod(0o644)
            flush_to_disk(file)
            file.replace(path.with_name(file.name))
    flush_to_disk(path.parent)
    return about | {"out": str(path), "files": [str(path.with_name(file.name)) for file in files]}


def destination(out: Path, format: Format | None) -> tuple[Format, Path]:
    """The format, and the file with its suffix.

    Raises:
        InputError: a suffix that is another format's; a file that exists.
    """
    said: Format | None = next((name for name, suffix in SUFFIXES.items() if out.suffix == suffix), None)
    chosen: Format = format or said or "onnx"
    suffix = SUFFIXES[chosen]
    if said not in (None, chosen):
        raise InputError(f"{out} has the suffix of {said}, not of {chosen}: let OUT end in {suffix}")
    path = out if said else out.with_name(out.name + suffix)
    for file in (path, path.with_name(f"{path.name}.json"), *([path.with_suffix(".bin")] if suffix == ".xml" else [])):
        if file.exists():
            raise InputError(f"{file} exists and is never overwritten: give another OUT")
    return chosen, path


def write(net: Classifier, card: Card, path: Path, format: Format) -> Program:
    """Write the net and open what was written with the program that it is for."""
    if format == "torch":
        write_torch(net, card, path)
        return TorchProgram(path)
    words = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in described(net, card, "onnx").items()
    }
    if format == "onnx":
        write_onnx(net, card, path, words)
        return OnnxProgram(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        between = Path(folder) / "net.onnx"
        write_onnx(net, card, between, words)
        write_openvino(between, card, path)
    return OpenvinoProgram(path)


def images_to_show(net: Classifier, card: Card, folder: Path) -> Tensor:
    """Seeded images, and some of the run's test part where its pack is still there: float32 [n 3 size size]."""
    seeded = images_to_compare(net.size)
    about = read_run(folder) if (folder / "run.json").is_file() else {}
    if not is_packed(about.get("packed", "")):
        return seeded
    packed = open_packed(about["packed"])
    if packed.fingerprint != card.fingerprint:
        return seeded
    rows, _ = rows_of(packed, card, None)
    rows = rows[np.linspace(0, len(rows) - 1, min(REAL, len(rows))).astype(np.int64)]
    return torch.cat([seeded, center_view(to_planes(packed.read(rows), card.side, "cpu"), net.size)[0]])


@torch.inference_mode()
def checked(net: Classifier, card: Card, program: Program, images: Tensor) -> Agreement:
    """Show the net and the file the same images, all at once and one alone.

    Raises:
        alexnet.errors.JobFailed: scores or probabilities differ.
    """
    ours = net(images).double()
    scores, p = (answer.double() for answer in program(images))
    alone = program(images[:1])[0].double()
    found = compared(ours, scores, net.size)
    worst = max(
        found.scores,
        found.softmax,
        float((ours[:1] - alone).abs().max() / ours.abs().max()),
        float(((ours / card.temperature).softmax(1) - p).abs().max()),
    )
    if not worst <= TOLERANCE:  # also when one is not a number
        raise JobFailed(
            f"{program.name} does not answer as {net.name} does: they differ by {worst:.1e} of the largest score or "
            f"probability (up to {TOLERANCE:.0e} is accepted); nothing was written: try another --format"
        )
    if not found.variation > VARIATION:
        note("careful: this net gives nearly the same answer for different images, so that equal answers prove little")
    return found


def described(net: Classifier, card: Card, format: Format) -> dict[str, Any]:
    """All that must be known to use the file: what goes in and comes out, and what it means."""
    larger = "bilinear" if card.native else "bilinear, antialiased where it shrinks"
    about: dict[str, Any] = {
        "format": format,
        "made_by": f"alexnet {__version__}",
        "model": card.model,
        "classes": card.classes,
        "input": {"name": "images", "dtype": "float32", "shape": ["n", 3, net.size, net.size]},
        "outputs": {"scores": ["n", net.classes], "probabilities": ["n", net.classes]},
        "preprocessing": (
            f"outside: upright RGB, the shorter side brought to {card.side} pixels ({larger}), the centre patch of "
            f"{net.size} x {net.size}, values 0..255, channels first; inside: mean and scale"
        ),
        "size": net.size,
        "side": card.side,
        "temperature": card.temperature,
        "threshold": card.threshold,
        "recipe": card.recipe,
    }
    if format != "torch":
        about["opset"] = OPSET
    if format == "openvino":
        about["hints"] = BFLOAT16
    return about


def _needs(package: str, format: Format) -> None:
    try:
        __import__(package)
    except ImportError:
        raise InputError(
            f"--format {format} needs {package}, which is not installed: pip install 'alexnet[export]'"
        ) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
