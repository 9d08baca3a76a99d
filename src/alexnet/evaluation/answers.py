"""What a net answered to each image of its test, kept beside the figures: answers.npz in a run's folder.

A confusion matrix says how many; only the answers say which. With them the report opens the images behind a cell, and
two runs tested on the same images are compared image by image.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from alexnet.errors import InputError
from alexnet.files import replacing

NAME = "answers.npz"


@dataclass(frozen=True)
class Answers:
    """One row an image, in the order of the test part.

    Attributes:
        step: of the weights that answered.
        views: "center", "ten" or "dense".
        rows: int64 [n], where the images lie in the run's pack.
        digests: uint8 [n, 32], SHA-256 of the files.
        labels: int32 [n], right classes, in the net's order.
        answers: int32 [n], likeliest classes.
        probability: float32 [n], of the answer, before calibration.
        of_truth: float32 [n], of the right class, before calibration.
    """

    step: int
    views: str
    rows: np.ndarray
    digests: np.ndarray
    labels: np.ndarray
    answers: np.ndarray
    probability: np.ndarray
    of_truth: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Which answers are right: bool [n]."""
        return self.answers == self.labels


def answers_of(
    p: np.ndarray, labels: np.ndarray, rows: np.ndarray, digests: np.ndarray, views: str, step: int
) -> Answers:
    """The answers that probabilities [n, classes] give; the other arguments as `Answers` has them."""
    images, answers = np.arange(len(labels)), p.argmax(1)
    return Answers(
        step=step,
        views=views,
        rows=np.asarray(rows, np.int64),
        digests=np.asarray(digests, np.uint8),
        labels=np.asarray(labels, np.int32),
        answers=answers.astype(np.int32),
        probability=p[images, answers].astype(np.float32),
        of_truth=p[images, labels].astype(np.float32),
    )


def write_answers(run: Path, answers: Answers) -> None:
    """Write answers.npz into a run's folder, atomically."""
    with replacing(run / NAME) as aside, aside.open("wb") as file:
        np.savez(file, **{field.name: getattr(answers, field.name) for field in fields(Answers)})


def read_answers(run: Path) -> Answers | None:
    """Read a run's answers.npz; None where there is none, as in runs tested before it was kept.

    Raises:
        InputError: the file is damaged.
    """
    path = run / NAME
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            found = {field.name: kept[field.name] for field in fields(Answers)}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(f"{path} cannot be read ({error}): alexnet evaluate {run} writes it anew") from None
    return Answers(**found | {"step": int(found["step"]), "views": str(found["views"])})
