"""Features of images: the output of one stage of a trained net, a vector for each image.

"If two images produce feature activation vectors with a small Euclidean separation, we can say that the higher
levels of the neural network consider them to be similar" (AlexNet paper, section 6.1). The stage is by default
the one that feeds the classifier, fc7 after its ReLU in AlexNet; a stage that gives maps is averaged over a grid,
as for the linear probes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet.augment import center_view, to_planes
from alexnet.checkpoint import Card, load_weights, weights_file
from alexnet.data import Packed
from alexnet.data.packed import sha256_of
from alexnet.devices import choose_device
from alexnet.errors import InputError
from alexnet.evaluation.inference import for_inference
from alexnet.evaluation.predict import as_pixels, several
from alexnet.evaluation.probe import before_classifier, facts, outputs, pooled
from alexnet.images import centre_square, shorter_side_to
from alexnet.models import Classifier


@dataclass(frozen=True)
class FeatureReader:
    """A net that gives the features of one stage.

    Attributes:
        net: in evaluation mode, on its device.
        card: what it is and how images reach it.
        stage: whose output is taken.
        unit: divide each vector by its length; a vector of zeros stays one.
        stored: how the images of the pack lie, which queries are brought to: "stored" (shorter side in pixels) and
            "crop" ("centre" or "none").
        weights_sha256: of the file of weights.
    """

    net: Classifier
    card: Card
    stage: str
    unit: bool
    stored: dict[str, Any]
    weights_sha256: str

    @property
    def features(self) -> int:
        """Numbers a vector."""
        return self.of_stored(np.zeros((1, self.card.size, self.card.size, 3), np.uint8)).shape[1]

    def described(self) -> dict[str, Any]:
        """What the vectors are, for a manifest."""
        return {
            "model": self.card.model,
            "weights_sha256": self.weights_sha256,
            "stage": self.stage,
            "pooling": facts(self.net, self.stage)["pooling"],
            "normalised": "l2" if self.unit else "none",
            "views": "center",
        } | self.stored

    @torch.inference_mode()
    def of_stored(self, images: np.ndarray | list[np.ndarray]) -> np.ndarray:
        """Vectors of images as they lie in a pack: float32 [n, d].

        Args:
            images: uint8 [n, h, w, c], or a list of [h, w, 3].
        """
        device = next(self.net.parameters()).device
        views = center_view(to_planes(images, self.card.side, device), self.card.size)[0]
        vectors = pooled(next(x for _, x in outputs(self.net, views, [self.stage]))).float()
        if self.unit:
            vectors = torch.nn.functional.normalize(vectors)
        return vectors.cpu().numpy()

    def vectors(self, images: Any) -> np.ndarray:
        """Vectors of images from anywhere, prepared as the pack's were: float32 [n, d].

        Args:
            images: one or several: paths, bytes of files, PIL images, arrays uint8 [h, w, 3] or [h, w].

        Raises:
            alexnet.images.ImageProblem: an image cannot be read.
        """
        found = [self.of_stored(self._as_packed(as_pixels(image))[None]) for image in several(images)]
        return np.concatenate(found) if found else np.empty((0, self.features), np.float32)

    def _as_packed(self, pixels: np.ndarray) -> np.ndarray:
        pixels = shorter_side_to(pixels, self.stored["stored"])
        return centre_square(pixels) if self.stored["crop"] == "centre" else pixels


def feature_reader(
    run: str | Path, packed: Packed, stage: str | None = None, unit: bool = False, device: str = "auto"
) -> FeatureReader:
    """The net of a run, to give features of packed images.

    Args:
        run: a run's folder or a file of weights.
        packed: the images; queries will be brought to their size.
        stage: by default the one that feeds the classifier.
        unit: divide each vector by its length.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: no such run; a stage that the net does not have.
    """
    stored = {"stored": packed.stored, "crop": packed.manifest["crop"]}
    return _reader(run, stage, unit, stored, device, len(packed))


def query_reader(run: str | Path, manifest: dict[str, Any], device: str = "auto") -> FeatureReader:
    """The net of a run, to give features of query images that can be compared with the vectors of a manifest.

    Raises:
        InputError: no such run; the vectors are of other weights.
    """
    stored = {name: manifest[name] for name in ("stored", "crop")}
    reader = _reader(run, manifest["stage"], manifest["normalised"] == "l2", stored, device, images=1)
    if reader.weights_sha256 != manifest["weights_sha256"]:
        raise InputError(
            f"the vectors are of other weights than those in {run} (they were made with {manifest['run']}): "
            "give that run, or embed the images with this one"
        )
    return reader


def _reader(
    run: str | Path, stage: str | None, unit: bool, stored: dict[str, Any], device: str, images: int
) -> FeatureReader:
    file = weights_file(run)
    net, card = load_weights(file)
    stage = stage or before_classifier(net)
    if stage not in net.stages:
        raise InputError(f"{net.name} has no stage {stage!r}; it has {', '.join(net.stages)}")
    net = for_inference(net, choose_device(device), images)
    return FeatureReader(net, card, stage, unit, stored, sha256_of(file))
