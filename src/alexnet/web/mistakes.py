"""What a run answered to each image of its test part: kept by its evaluation, or found out here."""

import threading
import time

import numpy as np
from fastapi import HTTPException

from alexnet.errors import InputError
from alexnet.evaluation.answers import Answers, answers_of, read_answers
from alexnet.evaluation.classify import batch_probabilities
from alexnet.web.records import evaluation_of
from alexnet.web.served import Loaded, Served, Tested


class Asking:
    """A thread that shows a test part to a net, a few images at a time between other questions.

    Args:
        run: whose net.
        found: its weights.
        part: the images.
        views: "center", "ten" or "dense".
    """

    def __init__(self, run: Served, found: Loaded, part: Tested, views: str):
        self.run, self.found, self.part, self.views = run, found, part, views
        self.done = 0
        self.answers: Answers | None = None
        self.problem: str | None = None
        threading.Thread(target=self._walk, name="test part", daemon=True).start()

    def _walk(self) -> None:
        part, card = self.part, self.found.card
        p = np.empty((len(part.rows), len(card.classes)), np.float32)
        step = self.found.at_once if self.views == "center" else max(1, self.found.at_once // 10)
        try:
            for start in range(0, len(p), step):
                if not self.run.has(self.found):  # newer weights have come, or the server ends
                    return
                p[start : start + step] = self._some(part.rows[start : start + step])
                self.done = min(start + step, len(p))
            digests = part.packed.digests[part.rows]
            self.answers = answers_of(p, part.labels, part.rows, digests, self.views, card.step)
        except Exception as error:  # told to whoever asks: nobody sees this thread
            self.problem = " ".join(str(error).split()) or type(error).__name__

    def _some(self, rows: np.ndarray) -> np.ndarray:
        net, card = self.found.net, self.found.card
        averaged = str(card.recipe.get("evaluation", {}).get("averaged", "softmax"))
        images = self.part.packed.read(rows)
        while True:
            try:
                ask = self.run.ask
                return ask(lambda: batch_probabilities(net, images, card.side, card.size, self.views, averaged)).numpy()
            except HTTPException:  # others wait, and go first
                time.sleep(0.5)


def confusion_of(run: Served) -> tuple[list[list[int]], str] | None:
    """The matrix that the run's evaluation counted, and the views that it took.

    None where there is no evaluation, or only one of other weights.
    """
    evaluation, step = evaluation_of(run.folder), run.loaded().card.step
    if evaluation is None or "confusion" not in evaluation or evaluation.get("step") != step:
        return None
    return evaluation["confusion"], str(evaluation.get("views", "center"))


def answers_of_run(run: Served) -> Answers | Asking | None:
    """The answers to the test part; while they are being found out, who does; None where the images are gone."""
    found = run.loaded()
    with found.looking:
        if found.asking is not None:
            return found.asking.answers or found.asking
        if found.answers is None:
            found.answers = _kept(run, found)
        if found.answers is None and found.part is not None:
            counted = confusion_of(run)
            found.asking = Asking(run, found, found.part, counted[1] if counted is not None else "center")
            return found.asking
        return found.answers


def _kept(run: Served, found: Loaded) -> Answers | None:
    """What the run's evaluation kept of each image, where it is of these weights and these images."""
    if not run.path.is_dir():
        return None
    try:
        kept = read_answers(run.folder)
    except InputError:
        return None
    counted = confusion_of(run)
    if kept is None or kept.step != found.card.step or (counted is not None and counted[1] != kept.views):
        return None
    return kept if found.part is None or np.array_equal(kept.rows, found.part.rows) else None
