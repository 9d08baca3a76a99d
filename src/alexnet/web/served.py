"""A run made ready to be asked: its net when there are weights, its test part when the images are there."""

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import HTTPException

from alexnet.checkpoint import Card, read_run, weights_file
from alexnet.data import Packed, open_packed
from alexnet.errors import InputError
from alexnet.evaluation.answers import Answers
from alexnet.evaluation.evaluate import class_numbers, rows_of
from alexnet.evaluation.inference import expected_seconds
from alexnet.models import Classifier
from alexnet.models.summary import layer_table
from alexnet.pictures.subject import Subject, open_subject
from alexnet.web.kept import Kept
from alexnet.web.settings import Settings
from alexnet.web.turns import Turns


@dataclass(frozen=True)
class Tested:
    """The images that a run was tested on.

    Attributes:
        packed: where they lie.
        rows: int64 [n], which of the pack.
        labels: int64 [n], their right classes in the net's order.
    """

    packed: Packed
    rows: np.ndarray
    labels: np.ndarray

    @cached_property
    def mixed(self) -> np.ndarray:
        """Places of `rows` by the SHA-256 of their images, int64 [n]: no class comes first, and the same everywhere."""
        return np.array(sorted(range(len(self.rows)), key=lambda n: self.packed.digests[self.rows[n]].tobytes()))

    def is_that_of(self, other: "Tested") -> bool:
        """Whether both are the same images in the same order."""
        return self.packed.fingerprint == other.packed.fingerprint and np.array_equal(self.rows, other.rows)


class Loaded:
    """The weights that a run has now, and what was found with them.

    Attributes:
        subject: the net with its card.
        part: the run's test part; None where its images are gone.
        layers: as `layer_table` gives them.
        outputs: the stages' outputs for the images asked about last.
        strongest: by stage, what `web.looking.strongest_of_stage` found.
        answers: to the test part, where the run's evaluation kept them; `asking`: who finds them out here.
        digest: SHA-256 of the weights' file, once somebody has asked.
        looking: held by whoever looks through the test part, so that it is done once.
        at_once: images that the net is shown together in work that may wait: about a fifth of a second's.
    """

    def __init__(self, subject: Subject, stamp: tuple[int, ...]):
        self.subject, self.stamp = subject, stamp
        self.part = part_of(subject.run, subject.predictor.card)
        self.layers: list[dict[str, Any]] = layer_table(subject.net)
        self.outputs: Kept[dict[str, np.ndarray]] = Kept(2, 128_000_000)
        self.strongest: Kept[Any] = Kept(16, 64_000_000)
        self.answers: Answers | None = None
        self.asking: Any = None  # web.mistakes.Asking
        self.digest: str | None = None
        self.looking = threading.Lock()
        device = next(subject.net.parameters()).device
        self.at_once = max(1, min(64, int(0.2 / expected_seconds(subject.net, device, 1))))

    @property
    def net(self) -> Classifier:
        """The net; to be called in its own thread alone."""
        return self.subject.net

    @property
    def card(self) -> Card:
        """What the weights say of themselves."""
        return self.subject.predictor.card


class Served:
    """One of the runs that are served.

    Attributes:
        number: its place among them.
        path: the run's folder, or a file of weights.
        folder: the run's folder, or where the file lies.
        name: for people.
        ask: calls a function in the net's thread when it is its turn.
    """

    def __init__(self, number: int, path: Path, settings: Settings):
        self.number, self.path = number, path
        self.folder = path if path.is_dir() else path.parent
        self.name = path.resolve().name
        self.ask = Turns(settings.most_waiting, settings.seconds)
        self._device = settings.device
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        if path.is_dir() or not path.exists():
            read_run(path)

    def loaded(self) -> Loaded:
        """The net with the weights that the run has now: those of a run still training change.

        Raises:
            HTTPException: 409, there are none yet.
        """
        found = self.loaded_or_none()
        if found is None:
            raise HTTPException(409, f"{self.name} has no weights yet: they come with its first validation")
        return found

    def loaded_or_none(self) -> Loaded | None:
        """As `loaded`; None where there are no weights yet."""
        try:
            file = weights_file(self.path)
            about = file.stat()
        except (InputError, FileNotFoundError):
            return None
        stamp = (about.st_mtime_ns, about.st_size, about.st_ino)
        with self._lock:
            if self._loaded is None or self._loaded.stamp != stamp:
                self._loaded = self.ask(lambda: Loaded(open_subject(self.path, self._device), stamp))
            return self._loaded

    def has(self, found: Loaded) -> bool:
        """Whether these are still the run's weights, and it is still served."""
        return self._loaded is found

    def state(self) -> str:
        """A line for whoever starts the server."""
        found = self.loaded_or_none()
        if found is None:
            return f"{self.name}, no weights yet: only its curves are shown"
        if found.part is None:
            return f"{self.name}, {found.card.model}; its test images are not here: only others can be asked about"
        return f"{self.name}, {found.card.model}, {len(found.part.rows):,} test images"

    def close(self) -> None:
        """Let go of the net and its thread."""
        self._loaded = None
        self.ask.close()


def part_of(run: Path, card: Card) -> Tested | None:
    """The test part of a run from the pack that it was trained with; None where that is gone.

    Nothing is packed anew and nothing fetched for it: that may take hours.
    """
    folder = run if run.is_dir() else run.parent
    where = read_run(folder).get("packed") if (folder / "run.json").is_file() else None
    if where is None or not Path(where).is_dir():
        return None
    try:
        packed = open_packed(Path(where))
        if packed.fingerprint != card.fingerprint:
            return None
        rows = rows_of(packed, card, None)[0]
        return Tested(packed, rows, class_numbers(packed, card)[rows])
    except InputError:  # damaged, or a run without a test part
        return None
