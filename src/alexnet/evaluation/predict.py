"""A trained net as something to ask: images in, names and probabilities out."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from alexnet.checkpoint import Card, load_weights, weights_file
from alexnet.data.parallel import in_threads
from alexnet.devices import choose_device
from alexnet.errors import InputError
from alexnet.evaluation.calibrate import apply_temperature
from alexnet.evaluation.classify import batch_probabilities
from alexnet.evaluation.inference import Precision, for_inference
from alexnet.evaluation.sharing import in_order, own, same_everywhere
from alexnet.files import replacing
from alexnet.images import ImageProblem, centre_square, pixels_of, read_image, shorter_side_to
from alexnet.models import Classifier
from alexnet.processes import size

NONE_OF_THESE = "none of these"
AT_ONCE = 32  # patches shown to the net together: more are hardly faster, and deep nets need memory


class Prediction(NamedTuple):
    """A class and its calibrated probability, 0..1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What a net says of one image.

    Attributes:
        predictions: the most probable classes, best first.
        accepted: whether the best reaches the threshold that 95 % of the right answers on the validation part
            reach; below it the image may well be of none of the classes.
    """

    predictions: list[Prediction]
    accepted: bool

    @property
    def label(self) -> str:
        """The best class, or "none of these"."""
        return self.predictions[0].label if self.accepted else NONE_OF_THESE


@dataclass(frozen=True)
class Predictor:
    """A net with its classes and its way of looking at images; made by `load`.

    Attributes:
        net: in evaluation mode.
        card: what it is and how it was trained.
    """

    net: Classifier
    card: Card

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of `probabilities`."""
        return self.card.classes

    def probabilities(self, images: Sequence[Any], views: str | None = None) -> np.ndarray:
        """Calibrated probabilities: float64 [n, classes].

        Args:
            images: each a path, the bytes of a file, a PIL image, or an array uint8 [h, w, 3] or [h, w].
            views: "center", "ten" or "dense"; by default the recipe's.

        Raises:
            alexnet.images.ImageProblem: an image cannot be read.
        """
        p = [self.of_stored(list(in_threads(self._ready, chunk)), views) for chunk in self._chunks(images, views)]
        return np.concatenate(p) if p else np.empty((0, len(self.classes)))

    def _chunks(self, images: Sequence[Any], views: str | None) -> Iterator[Sequence[Any]]:
        """As many images as are read and asked about at once, again and again."""
        many = AT_ONCE if self._views(views) == "center" else AT_ONCE // 10
        for first in range(0, len(images), many):
            yield images[first : first + many]

    def _ready(self, image: Any) -> np.ndarray:
        return self.stored(as_pixels(image))

    def _ready_or_problem(self, image: Any) -> np.ndarray | ImageProblem:
        try:
            return self._ready(image)
        except ImageProblem as problem:
            return problem

    def of_stored(self, stored: Sequence[np.ndarray], views: str | None) -> np.ndarray:
        """Calibrated probabilities of images as `stored` gives them, all at once: float64 [n, classes]."""
        if not stored:
            return np.empty((0, len(self.classes)))
        averaged = str(self.card.recipe.get("evaluation", {}).get("averaged", "softmax"))
        p = batch_probabilities(self.net, stored, self.card.side, self.card.size, self._views(views), averaged)
        return apply_temperature(p.numpy(), self.card.temperature)

    def _views(self, views: str | None) -> str:
        return str(views or self.card.recipe.get("evaluation", {}).get("views", "center"))

    def stored(self, pixels: np.ndarray) -> np.ndarray:
        """An image as packing would have stored it, so that predicting and evaluating see the same pixels."""
        if not self.card.native:
            pixels = shorter_side_to(pixels, self.card.side)
        whole = self.card.recipe.get("data", {}).get("crop", "centre") == "none"
        return pixels if whole else centre_square(pixels)

    def predict(self, images: Any, top: int = 5, views: str | None = None) -> list[Answer]:
        """The most probable classes of each image.

        Args:
            images: one image or several, each as for `probabilities`.
            top: how many classes; all of them when there are fewer.
            views: as for `probabilities`.
        """
        return self.answers_of(self.probabilities(several(images), views), top)

    def answers_of(self, probabilities: np.ndarray, top: int) -> list[Answer]:
        """The most probable classes of each row of probabilities, [n, classes], and whether they are accepted."""
        answers = []
        for p in probabilities:
            best = [Prediction(self.classes[i], float(p[i])) for i in np.argsort(-p, kind="stable")[:top]]
            answers.append(Answer(best, best[0].probability >= self.card.threshold))
        return answers


def load(run: str | Path, device: str = "auto", images: int = 1, precision: Precision = "float32") -> Predictor:
    """Open the best weights of a run, or a .safetensors file.

    >>> import alexnet
    >>> net = alexnet.load("runs/digits-alexnet-1")      # doctest: +SKIP
    >>> net.predict("three.png")[0].label                # doctest: +SKIP
    '3'

    Args:
        run: a run's folder or a file of weights.
        device: "auto", "cpu", "cuda" or "mps".
        images: how many it will be asked about, about; many make it worth while to compile.
        precision: "float32" or "bfloat16", see `alexnet.evaluation.inference.for_inference`.

    Raises:
        InputError: no such run or file.
    """
    net, card = load_weights(weights_file(run))
    return Predictor(for_inference(net, choose_device(device), images, precision), card)


def as_pixels(image: Any) -> np.ndarray:
    """Upright RGB uint8 [h, w, 3] of a path, bytes, a PIL image or an array.

    Raises:
        InputError: something else, or an array of another kind.
        alexnet.images.ImageProblem: it cannot be read.
    """
    if isinstance(image, str | Path | bytes):
        return read_image(image)
    if isinstance(image, Image.Image):
        return pixels_of(image)
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = np.stack([pixels] * 3, axis=-1)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] != 3:
        raise InputError(f"an image came as {pixels.dtype} {list(pixels.shape)}: give uint8 [h, w, 3], a path or bytes")
    return pixels


def several(images: Any) -> list[Any]:
    """A list of images, also of a single one."""
    if isinstance(images, list | tuple) or (isinstance(images, Iterable) and hasattr(images, "__next__")):
        return list(images)
    if isinstance(images, np.ndarray) and images.ndim == 4:
        return list(images)
    return [images]


def answers(
    run: str | Path,
    images: Sequence[str],
    top: int = 5,
    views: str | None = None,
    device: str = "auto",
    precision: Precision = "float32",
) -> list[dict[str, Any]]:
    """Ask a run about image files; one that cannot be read gives its error and stops nothing.

    Several processes share the images; all are given all rows.

    Returns: rows {"image", "predictions": [{"label", "probability"}], "accepted"} or {"image", "error"}.
    """
    if top < 1:
        raise InputError(f"--top {top}: give 1 or more")
    files = files_of(images)
    predictor = load(run, device, len(files) // size(), precision)
    same_everywhere((predictor.card, files))
    chunks = list(predictor._chunks(files, views))
    found = (_rows(predictor, chunk, top, views) for chunk in own(chunks))
    return [row for rows in in_order(found, len(chunks)) for row in rows]


def _rows(predictor: Predictor, images: Sequence[str], top: int, views: str | None) -> list[dict[str, Any]]:
    """The answers to a few images, read and asked about at once."""
    found = list(in_threads(predictor._ready_or_problem, images))
    stored = [pixels for pixels in found if not isinstance(pixels, ImageProblem)]
    said = iter(predictor.answers_of(predictor.of_stored(stored, views), top))
    rows: list[dict[str, Any]] = []
    for image, one in zip(images, found):
        if isinstance(one, ImageProblem):
            rows.append({"image": image, "error": f"{one.kind}: {one.detail}"})
            continue
        answer = next(said)
        predictions = [prediction._asdict() for prediction in answer.predictions]
        rows.append({"image": image, "predictions": predictions, "accepted": answer.accepted})
    return rows


def files_of(images: Sequence[str]) -> list[str]:
    """The files, with folders replaced by what lies in them at any depth, sorted."""
    files: list[str] = []
    for image in images:
        inside = (
            sorted(str(path) for path in Path(image).rglob("*") if path.is_file()) if Path(image).is_dir() else None
        )
        if inside == []:
            raise InputError(f"{image} is a folder without files: give image files")
        files += [image] if inside is None else inside
    return files


def write_answers(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write answers as CSV, atomically: one line for each image and class."""
    with replacing(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "rank", "label", "probability", "accepted", "error"])
        for row in rows:
            for rank, best in enumerate(row.get("predictions", []), start=1):
                writer.writerow([row["image"], rank, best["label"], best["probability"], row["accepted"], ""])
            if "error" in row:
                writer.writerow([row["image"], "", "", "", "", row["error"]])
