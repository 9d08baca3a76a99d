"""The confusion matrix, and the images behind each cell."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import JSONResponse

from alexnet.evaluation.answers import Answers
from alexnet.evaluation.metrics import confusion_counts
from alexnet.web.answers import Cell, CellImage, Confusion, errors
from alexnet.web.explorer import All, Offset, Run
from alexnet.web.mistakes import answers_of_run, confusion_of
from alexnet.web.routes.runs import Limit
from alexnet.web.served import Served

router = APIRouter(tags=["mistakes"])
ClassNumber = Annotated[int, Path(ge=0, le=10**9, description="number of a class, from 0")]


@router.get("/api/runs/{run}/confusion", response_model=Confusion, responses=errors(202, 404, 409, 422, 503))
def confusion(run: Run) -> Confusion | JSONResponse:
    """How often each class was taken for each: rows are right classes, columns answers."""
    classes = run.loaded().card.classes
    counted = confusion_of(run)
    if counted is None:
        answers = known_answers(run)
        if isinstance(answers, JSONResponse):
            return answers
        counted = confusion_counts(answers.labels, answers.answers, len(classes)).tolist(), answers.views
    return Confusion(classes=classes, matrix=counted[0], views=counted[1])


@router.get("/api/runs/{run}/confusion/{right}/{given}", response_model=Cell, responses=errors(202, 404, 409, 422, 503))
def cell(
    explorer: All, run: Run, right: ClassNumber, given: ClassNumber, offset: Offset = 0, limit: Limit = 24
) -> Cell | JSONResponse:
    """The images of one class that were taken for one, the surest answers first."""
    classes = run.loaded().card.classes
    if max(right, given) >= len(classes):
        raise HTTPException(404, f"there is no class {max(right, given)}: {run.name} knows {len(classes)}, from 0")
    answers = known_answers(run)
    if isinstance(answers, JSONResponse):
        return answers
    places = np.flatnonzero((answers.labels == right) & (answers.answers == given))
    places = places[np.argsort(-answers.probability[places], kind="stable")]
    prefix = explorer.gallery.prefix(run)
    shown = [
        CellImage(image=f"{prefix}{n}", probability=float(answers.probability[n]))
        for n in places[offset : offset + limit].tolist()
    ]
    return Cell(images=shown, total=len(places))


def known_answers(run: Served) -> Answers | JSONResponse:
    """The answers to the test part, or while they are being found out the 202 that says how far that is.

    Raises:
        HTTPException: 404, the images are gone; 409, the net cannot answer them.
    """
    found = answers_of_run(run)
    if found is None:
        raise HTTPException(404, f"the test images of {run.name} are not here: alexnet evaluate packs them again")
    if isinstance(found, Answers):
        return found
    if found.problem is not None:
        raise HTTPException(409, f"the test images could not be looked through: {found.problem}")
    line = f"the net looks through its test images: {found.done:,} of {len(found.part.rows):,}"
    return JSONResponse({"detail": line}, 202, {"Retry-After": "2"})
