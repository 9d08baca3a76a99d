"""The cells of a confusion matrix, and the images behind them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alexnet.evaluation.answers import Answers
from alexnet.pictures.allowance import Allowance

ReadRows = Callable[[np.ndarray], Sequence[np.ndarray] | np.ndarray]

WHOLE_UP_TO = 20
"""Confusion matrices of more classes are listed by their cells with mistakes."""

LISTED = 100
"""Cells with mistakes that are listed, the fullest first."""

AT_ONCE, TURNS = 4, 3
"""Images that a cell gets in a turn, and turns: all cells have had theirs before one gets more."""

MOST_IMAGES = 900
"""Images behind all cells together: a few seconds to read and encode."""


@dataclass
class Cell:
    """One cell with images in it.

    Attributes:
        name: of the place on the page where it opens.
        truth, answer: numbers of the classes.
        count: images in it.
        of: images of its true class.
        places: which answers they are, the surest mistakes (on the diagonal the least sure answers) first.
        pictures: (data address, probability in words) of those that are shown.
    """

    name: str
    truth: int
    answer: int
    count: int
    of: int
    places: np.ndarray
    pictures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether it lies on the diagonal."""
        return self.truth == self.answer


def cells_of(evaluation: dict[str, Any], answers: Answers | None) -> list[Cell]:
    """Cells with mistakes, the fullest first; of few classes then those of the right answers.

    Args:
        evaluation: evaluation.json.
        answers: those that it was counted from; without them cells have no places.
    """
    counts = np.array(evaluation.get("confusion") or np.zeros((0, 0)), dtype=np.int64)
    n, images = len(counts), counts.sum(axis=1)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")
    order = order[: max(0, int(np.count_nonzero(wrong)))]
    pairs = [(int(cell) // n, int(cell) % n) for cell in (order if n <= WHOLE_UP_TO else order[:LISTED])]
    if n <= WHOLE_UP_TO:
        pairs += [(number, number) for number in range(n) if counts[number, number]]
    return [
        Cell(f"cell-{truth}-{answer}", truth, answer, int(counts[truth, answer]), int(images[truth]),
             _places(answers, truth, answer))
        for truth, answer in pairs
    ]  # fmt: skip


def matrix_of(evaluation: dict[str, Any], cells: Sequence[Cell]) -> list[list[dict[str, Any]]] | None:
    """The rows of a whole matrix: each cell's count, share of its row and name on the page; None of many classes."""
    counts = evaluation.get("confusion") or []
    if not 0 < len(counts) <= WHOLE_UP_TO:
        return None
    name = {(cell.truth, cell.answer): cell.name for cell in cells if cell.pictures}
    return [
        [
            {
                "count": count,
                "share": count / max(1, sum(row)),
                "right": truth == answer,
                "name": name.get((truth, answer)),
            }
            for answer, count in enumerate(row)
        ]
        for truth, row in enumerate(counts)
    ]


def fill(cells: Sequence[Cell], answers: Answers, read_rows: ReadRows, allowance: Allowance) -> None:
    """Give cells their pictures, a few to each in turn, as far as the allowance goes."""
    given = 0
    for turn in range(TURNS):
        wanted = [(cell, place) for cell in cells for place in cell.places[turn * AT_ONCE : (turn + 1) * AT_ONCE]]
        wanted = wanted[: MOST_IMAGES - given]
        given += len(wanted)
        for start in range(0, len(wanted), 64):
            some = wanted[start : start + 64]
            images = read_rows(answers.rows[[place for _, place in some]])
            for (cell, place), image in zip(some, images, strict=True):
                uri = allowance.take(image)
                if uri is None:
                    return
                cell.pictures.append((uri, f"{answers.probability[place]:.0%}"))


def _places(answers: Answers | None, truth: int, answer: int) -> np.ndarray:
    if answers is None:
        return np.empty(0, np.int64)
    own = np.flatnonzero((answers.labels == truth) & (answers.answers == answer))
    sure = answers.probability[own]
    return own[np.argsort(sure if truth == answer else -sure, kind="stable")]
