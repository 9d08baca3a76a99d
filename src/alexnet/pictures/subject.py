"""A trained net made ready to be looked at: images as it sees them, and its run's own test images."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.augment import center_view, to_planes
from alexnet.checkpoint import weights_file
from alexnet.data import Packed
from alexnet.errors import InputError
from alexnet.evaluation.evaluate import class_numbers, images_of, rows_of
from alexnet.evaluation.predict import Predictor, as_pixels, load
from alexnet.images import ImageProblem
from alexnet.models import Classifier
from alexnet.options import did_you_mean


@dataclass(frozen=True)
class Subject:
    """A run's net.

    Attributes:
        run: the folder or the file of weights, as it was given.
        predictor: the net with its card, in evaluation mode on its device.
    """

    run: Path
    predictor: Predictor

    @property
    def net(self) -> Classifier:
        """The net."""
        return self.predictor.net

    @property
    def classes(self) -> list[str]:
        """Names, in the order of the net's scores."""
        return self.predictor.classes

    @property
    def device(self) -> torch.device:
        """Where the net is."""
        return next(self.net.parameters()).device

    def seen(self, image: Any) -> Tensor:
        """The centre view of an image, as testing cuts it: float32 [1 3 size size] in 0..255.

        Args:
            image: a path, the bytes of a file, a PIL image, or an array uint8 [h, w, 3] or [h, w].

        Raises:
            InputError: it cannot be read.
        """
        try:
            pixels = as_pixels(image)
        except ImageProblem as problem:
            raise InputError(f"{image}: {problem.detail}: give an image that opens") from None
        return self.views(self.predictor.stored(pixels)[None])

    def views(self, stored: np.ndarray | list[np.ndarray]) -> Tensor:
        """The centre views of packed images, uint8 [n, h, w, c] or n of [h, w, 3]: float32 [n 3 size size]."""
        card = self.predictor.card
        return center_view(to_planes(stored, card.side, self.device), card.size)[0]

    @torch.inference_mode()
    def probabilities(self, views: Tensor) -> np.ndarray:
        """Calibrated probabilities of views, float32 [n 3 size size] in 0..255: float64 [n, classes]."""
        scores = self.net(views).float().cpu().double()
        return (scores / self.predictor.card.temperature).softmax(1).numpy()

    @cached_property
    def packed(self) -> Packed:
        """The images that the run was trained and tested with."""
        return images_of(self.predictor.card, weights_file(self.run).parent, None, None)

    @cached_property
    def test_rows(self) -> np.ndarray:
        """Rows of the test part, int64 [n]."""
        return rows_of(self.packed, self.predictor.card, None)[0]

    def one_of_each_class(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """At most so many test images, one of each class in turn: their rows and the numbers of their classes.

        Of each class those are taken whose SHA-256 ranks first: as good as random, and the same everywhere.
        """
        ranked = sorted(self.test_rows, key=lambda row: self.packed.digests[row].tobytes())
        labels = class_numbers(self.packed, self.predictor.card)
        queues = {number: [row for row in ranked if labels[row] == number] for number in range(len(self.classes))}
        turns = max(len(queue) for queue in queues.values())
        rows = [queue[turn] for turn in range(turns) for queue in queues.values() if turn < len(queue)]
        chosen = np.array(rows[:most], dtype=np.int64)
        return chosen, labels[chosen]

    def class_number(self, label: str) -> int:
        """Number of the class of that name.

        Raises:
            InputError: the net does not know it.
        """
        if label not in self.classes:
            near = did_you_mean([label], self.classes)
            raise InputError(f"there is no class {label!r}{near}: {self.run} knows {', '.join(self.classes[:20])}")
        return self.classes.index(label)

    def stage(self, name: str | None, default: str) -> str:
        """The stage of that name, or the default where none was asked for.

        Raises:
            InputError: the net has no such stage.
        """
        if name is not None and name not in self.net.stages:
            near = did_you_mean([name], list(self.net.stages))
            raise InputError(f"{self.net.name} has no stage {name!r}{near}: it has {', '.join(self.net.stages)}")
        return default if name is None else name


def open_subject(run: str | Path, device: str = "auto") -> Subject:
    """Open a run's best weights, or a file of weights.

    Raises:
        InputError: no such run or file.
    """
    return Subject(Path(run), load(run, device))


def pixels_of_view(view: Tensor) -> np.ndarray:
    """A view [1 3 h w] or [3 h w] in 0..255 as a picture, uint8 [h, w, 3]."""
    return view.reshape(3, *view.shape[-2:]).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
