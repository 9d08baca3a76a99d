"""A training run: what it is made of, what its weights say of it, and its calibration."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from alexnet.augment import ColourAxes, center_view, to_planes
from alexnet.checkpoint import Card, read_run
from alexnet.data import Packed, Parts
from alexnet.evaluation.calibrate import apply_temperature, fit_temperature, none_of_these_threshold
from alexnet.evaluation.classify import probabilities
from alexnet.files import write_json
from alexnet.models import Classifier
from alexnet.parallel.schemes import Layout
from alexnet.recipe import Recipe
from alexnet.recipes import as_fields
from alexnet.training.optimise import parameter_groups
from alexnet.training.speed import Chosen


@dataclass
class Run:
    """Everything that the training loop needs.

    Attributes:
        folder: the run's folder.
        recipe: resolved: no field is left to be decided.
        packed: the images.
        parts: which of them train, validate and test.
        net: with its preprocessing set.
        device: where it trains.
        fresh: stages that start anew while others come from another run.
        frozen: stages that do not learn.
        colour_axes: principal axes of the training part's colours.
        size: side of the net's input; `side`: shorter side that patches are cut from; both in pixels.
        speed: how the work is done on that device.
        layout: how several processes share it.
        state: the training state to go on from, or None.
        temperature: what `calibrate` found; 1 before.
        threshold: what `calibrate` found; 0 before.
    """

    folder: Path
    recipe: Recipe
    packed: Packed
    parts: Parts
    net: Classifier
    device: torch.device
    fresh: set[str]
    frozen: set[str]
    colour_axes: ColourAxes
    size: int
    side: int
    speed: Chosen
    layout: Layout = "data"
    state: dict[str, Any] | None = None
    temperature: float = 1.0
    threshold: float = 0.0

    @property
    def epochs(self) -> int:
        """Passes over the training part."""
        assert self.recipe.epochs is not None
        return self.recipe.epochs

    @property
    def class_counts(self) -> list[int]:
        """Training images of each class."""
        labels = self.packed.labels[self.parts.train]
        return np.bincount(labels, minlength=len(self.packed.classes)).tolist()

    @property
    def class_weights(self) -> torch.Tensor | None:
        """n / (classes * count) of each class when the recipe asks for it: their mean over the images is 1."""
        if not self.recipe.data.class_weights:
            return None
        counts = torch.tensor(self.class_counts, dtype=torch.float32)
        return counts.sum() / (len(counts) * counts)

    @property
    def at_once(self) -> int:
        """Images that the net is shown at once in validation: 128, or as few as fit where memory is short."""
        wanted = self.recipe.optimiser
        return min(2 * wanted.batch, wanted.micro_batch or 128, 128)

    def to_training(self, net: Classifier) -> None:
        """Put a net in training mode, but for the batch norms of frozen stages, whose running means would move.

        Args:
            net: this run's, or a process's part of it.
        """
        net.train()
        for name in self.frozen:
            for module in net.parts[name].modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def groups(self) -> list[dict[str, Any]]:
        """The net's parameters, parted by what decides their rate."""
        return parameter_groups(self.net, self.recipe, self.fresh, self.frozen)

    def card(self, step: int) -> Card:
        """What is written into the weights."""
        return Card(
            model=self.recipe.model,
            classes=self.packed.classes,
            size=self.size,
            side=self.side,
            native=self.packed.native,
            recipe=as_fields(self.recipe),
            source=self.packed.name,
            spec=self.packed.spec,
            fingerprint=self.packed.fingerprint,
            images_seen=step * min(self.recipe.optimiser.batch, len(self.parts.train)),
            step=step,
            temperature=self.temperature,
            threshold=self.threshold,
        )

    def calibrate(self) -> None:
        """Fit temperature and the "none of these" threshold of the present weights on the validation part.

        By the recipe's own views, which are those that predictions are made with.
        """
        rows = self.parts.validation
        if len(rows) == 0:
            return
        wanted = self.recipe.evaluation
        p = probabilities(
            self.net, self.packed, rows, self.side, self.size, wanted.views, wanted.averaged, batch=self.at_once
        )
        labels = self.packed.labels[rows]
        self.temperature = fit_temperature(p, labels)
        calibrated = apply_temperature(p, self.temperature)
        right = calibrated.argmax(1) == labels
        self.threshold = none_of_these_threshold(calibrated.max(1), right) if right.any() else 0.0

    def health_images(self) -> torch.Tensor:
        """Centre patches of a few training images, to see how the layers fare: float32 [n, 3, size, size]."""
        train = self.parts.train  # sorted by class in most sources, so a few are taken all along it
        spread = np.linspace(0, len(train) - 1, min(32, len(train))).astype(np.int64)
        images = self.packed.read(train[spread])
        return center_view(to_planes(images, self.side, self.device), self.size)[0]

    @property
    def has_ended(self) -> bool:
        """Whether its training is over for good: a process may have died after that."""
        return "finished" in read_run(self.folder) and not (self.folder / "state.pt").is_file()

    def finish(self, reason: str, step: int, seconds: float, best: dict[str, float], ended: bool) -> None:
        """Note in run.json how training ended, for good or until it is resumed."""
        about = read_run(self.folder) | {
            "finished" if ended else "stopped": now(),
            "reason": reason,
            "steps": step,
            "images_seen": self.card(step).images_seen,
            "seconds": seconds,
            "best": best,
        }
        write_json(self.folder / "run.json", about)


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
