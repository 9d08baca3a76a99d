"""The runs that are served: what they are, how they learn, and the images they were tested on."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from alexnet.training.journal import read_journal
from alexnet.web.answers import Curves, RunInfo, TestedImage, TestedImages, errors
from alexnet.web.explorer import All, Explorer, Offset, Run
from alexnet.web.records import evaluation_of, facts_of, is_training
from alexnet.web.served import Served, Tested

router = APIRouter(tags=["runs"])
Limit = Annotated[int, Query(ge=1, le=200, description="how many at most")]
LINES = 2000
"""Lines of metrics.jsonl in one answer."""


@router.get("/api/runs")
def runs(explorer: All) -> list[RunInfo]:
    """The runs that are served, in their order."""
    return [described(explorer, run) for run in explorer.runs]


@router.get("/api/runs/{run}/test", responses=errors(404, 409, 422))
def images_tested(
    explorer: All,
    run: Run,
    offset: Offset = 0,
    limit: Limit = 24,
    label: Annotated[str | None, Query(max_length=1000, description="of this class alone")] = None,
) -> TestedImages:
    """Images of the test part, mixed: as good as in random order, and always the same one."""
    found, part = run.loaded(), tested(run)
    places = part.mixed
    if label is not None:
        if label not in found.card.classes:
            raise HTTPException(
                404, f"there is no class {label!r}: {run.name} knows {', '.join(found.card.classes[:20])}"
            )
        places = places[part.labels[places] == found.card.classes.index(label)]
    prefix = explorer.gallery.prefix(run)
    shown = [
        TestedImage(image=f"{prefix}{n}", label=found.card.classes[part.labels[n]])
        for n in places[offset : offset + limit].tolist()
    ]
    return TestedImages(images=shown, total=len(places))


@router.get("/api/runs/{run}/curves", responses=errors(404, 422))
def curves(
    run: Run, after: Annotated[int, Query(ge=0, le=10**9, description="lines that are known already")] = 0
) -> Curves:
    """The lines of metrics.jsonl from one on, at most 2000: ask again with `after` = `next` for more.

    Where `next` is smaller than `after`, the run was cut back to where it was resumed: begin anew at 0.
    """
    lines = read_journal(run.folder)
    some = lines[after : after + LINES]
    warned = [str(line.get("message", "")) for line in lines if line.get("kind") == "watchdog"]
    return Curves(
        lines=some, next=min(after + len(some), len(lines)), training=is_training(run.folder), watchdog=warned
    )


def described(explorer: Explorer, run: Served) -> RunInfo:
    """What a page must know of a run before it asks more."""
    found, about = run.loaded_or_none(), facts_of(run.folder)
    evaluation = evaluation_of(run.folder) or {}
    images = len(found.part.rows) if found is not None and found.part is not None else 0
    return RunInfo(
        run=run.number,
        name=run.name,
        model=found.card.model if found is not None else about.get("model", ""),
        classes=found.card.classes if found is not None else about.get("classes", []),
        size=found.card.size if found is not None else about.get("size", 0),
        training=is_training(run.folder),
        ready=found is not None,
        test_error=evaluation.get("top1_error"),
        interval=evaluation.get("interval"),
        test_images=images,
        confusion="confusion" in evaluation or images > 0,
        search=explorer.searches(run),
        views=["center", "ten"],
    )


def tested(run: Served) -> Tested:
    """The test part of a run.

    Raises:
        HTTPException: 404, its images are not here.
    """
    part = run.loaded().part
    if part is None:
        raise HTTPException(404, f"the test images of {run.name} are not here: alexnet evaluate packs them again")
    return part
