"""A look inside: stage by stage from the image to the softmax."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Query, Response
from torch import nn

from alexnet.errors import InputError
from alexnet.pictures.filters import first_filters
from alexnet.pictures.sheets import filters_sheet
from alexnet.web.answers import Maps, Patch, Patches, Stage, Unit, errors
from alexnet.web.drawing import CELL, COLUMNS, maps_sheet, scale_of, shown
from alexnet.web.explorer import All, ImageId, Run
from alexnet.web.looking import EACH, SOFTMAX, answers_to, box_of, patch_picture, stage_of, strongest_of_stage
from alexnet.web.png import PNG, png_response
from alexnet.web.routes.runs import tested
from alexnet.web.served import Loaded

router = APIRouter(tags=["inside"])
StageName = Annotated[str, Path(max_length=100, description="as the list of stages names it")]
UnitNumber = Annotated[int, Path(ge=0, le=10**9, description="of a map or unit, from 0")]
MOST = 512


@router.get("/api/runs/{run}/stages", responses=errors(404, 409, 422, 503))
def stages(run: Run) -> list[Stage]:
    """The stages of the net in their order; the last one, softmax, gives the probabilities."""
    found = run.loaded()
    filters = filters_stage(found)
    rows = [
        Stage(stage=row["name"], kind=row["kind"], output=row["output"], filters=row["name"] == filters)
        for row in found.layers
    ]
    return [*rows, Stage(stage=SOFTMAX, kind="softmax", output=[len(found.card.classes)], filters=False)]


@router.get("/api/runs/{run}/stages/{stage}/maps", responses=errors(404, 409, 422, 503))
def maps(
    explorer: All,
    run: Run,
    stage: StageName,
    image: ImageId,
    limit: Annotated[int, Query(ge=1, le=MOST, description="how many units at most")] = 64,
) -> Maps:
    """What a stage answers to an image: its units, the strongest first, and where there are maps a sheet of them."""
    found = run.loaded()
    answers = answers_to(run, found, image, explorer.gallery.pixels(image))[stage_of(found, stage)]
    values = farthest(answers)
    order = np.argsort(-np.abs(values), kind="stable")[:limit].tolist()
    names = found.card.classes if stage in (found.net.classifier_stage, SOFTMAX) else None
    units = [
        Unit(unit=unit, largest=float(values[unit]), label=names[unit] if names is not None else None) for unit in order
    ]
    sheet = None
    if answers.ndim == 3:
        chosen = ",".join(map(str, order))
        sheet = f"/api/runs/{run.number}/stages/{stage}/maps.png?image={image}&units={chosen}"
    return Maps(stage=stage, output=list(answers.shape), units=units, sheet=sheet, columns=COLUMNS, cell=CELL)


@router.get(
    "/api/runs/{run}/stages/{stage}/maps.png", response_class=Response, responses=PNG | errors(404, 409, 422, 503)
)
def maps_picture(
    explorer: All,
    run: Run,
    stage: StageName,
    image: ImageId,
    units: Annotated[
        str, Query(pattern=r"^[0-9]{1,6}(,[0-9]{1,6}){0,511}$", description="numbers with commas between")
    ],
) -> Response:
    """Some maps of a stage as squares of `cell` pixels, `columns` in a row, all in one scale of colours."""
    found = run.loaded()
    answers = answers_to(run, found, image, explorer.gallery.pixels(image))[stage_of(found, stage)]
    if answers.ndim != 3:
        raise HTTPException(404, f"{stage} has units without maps: their values come with the list of units")
    numbers = [int(number) for number in units.split(",")]
    if max(numbers) >= len(answers):
        raise HTTPException(404, f"{stage} has {len(answers)} maps, from 0")
    return png_response(maps_sheet(answers[numbers], *scale_of(answers)))


@router.get(
    "/api/runs/{run}/stages/{stage}/filters.png", response_class=Response, responses=PNG | errors(404, 409, 422, 503)
)
def filters(run: Run, stage: StageName) -> Response:
    """The filters of the first convolution, which sees the image; the towers apart."""
    found = run.loaded()
    if stage_of(found, stage) != filters_stage(found):
        raise HTTPException(404, f"{stage} has no filters over the image's colours to show")
    return Response(filters_sheet(*first_filters(found.net)), media_type="image/png")


@router.get("/api/runs/{run}/stages/{stage}/units/{unit}/patches", responses=errors(404, 409, 422, 503))
def patches(
    explorer: All,
    run: Run,
    stage: StageName,
    unit: UnitNumber,
    limit: Annotated[int, Query(ge=1, le=EACH, description="how many at most")] = 9,
) -> Patches:
    """The parts of test images that excite a unit most, at most one of each image."""
    found, part = run.loaded(), tested(run)
    seen = strongest_of_stage(run, found, part, stage_of(found, stage))
    known_unit(stage, unit, len(seen.found.answers))
    prefix = explorer.gallery.prefix(run)
    shown_ones = []
    for place, value in enumerate(seen.found.answers[unit, :limit].tolist()):
        row, column = seen.found.places[unit, place].tolist()
        shown_ones.append(
            Patch(
                image=f"{prefix}{seen.looked_at[int(seen.found.images[unit, place])]}",
                box=box_of((row, column), seen.at, found.card.size) if seen.at is not None else None,
                value=value,
                picture=f"/api/runs/{run.number}/stages/{stage}/units/{unit}/patches/{place}.png",
            )
        )
    return Patches(patches=shown_ones, looked_at=len(seen.looked_at))


@router.get(
    "/api/runs/{run}/stages/{stage}/units/{unit}/patches/{place}.png",
    response_class=Response,
    responses=PNG | errors(404, 409, 422, 503),
)
def patch_of(
    run: Run, stage: StageName, unit: UnitNumber, place: Annotated[int, Path(ge=0, lt=EACH, description="from 0")]
) -> Response:
    """One of these parts of images; transparent beyond the image's edge."""
    found, part = run.loaded(), tested(run)
    seen = strongest_of_stage(run, found, part, stage_of(found, stage))
    known_unit(stage, unit, len(seen.found.answers))
    if place >= seen.found.answers.shape[1]:
        raise HTTPException(404, f"{seen.found.answers.shape[1]} patches are known, from 0")
    return png_response(shown(patch_picture(run, found, part, seen, unit, place)))


def known_unit(stage: str, unit: int, units: int) -> None:
    """Raise a 404 where a stage has no unit of that number."""
    if unit >= units:
        raise HTTPException(404, f"there is no unit {unit}: {stage} has {units}, from 0")


def filters_stage(found: Loaded) -> str | None:
    """The stage whose convolution sees the image; None where the net does not begin with one."""
    try:
        first_filters(found.net)
    except InputError:
        return None
    stages = found.net.stages.items()
    return next(name for name, stage in stages if any(isinstance(layer, nn.Conv2d) for layer in stage.modules()))


def farthest(answers: np.ndarray) -> np.ndarray:
    """Of each unit the answer that is farthest from zero, with its sign: [units]."""
    flat = answers.reshape(len(answers), -1)
    return flat[np.arange(len(flat)), np.abs(flat).argmax(1)]
