"""The JSON that the routes answer, as the OpenAPI document describes it. Errors are fractions 0..1."""

from typing import Any

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="one line")


class Limits(BaseModel):
    """What an upload may be, and how long an answer may take."""

    bytes: int
    pixels: int
    seconds: float


class Uploaded(BaseModel):
    """An image that is kept."""

    image: str = Field(description="its id, of its bytes' SHA-256")
    width: int
    height: int


class RunInfo(BaseModel):
    """A run that is served."""

    run: int = Field(description="its place, which the other routes take")
    name: str
    model: str
    classes: list[str]
    size: int = Field(description="side of the net's input in pixels")
    training: bool
    ready: bool = Field(description="whether there are weights, without which nothing is predicted")
    test_error: float | None
    interval: list[float] | None = Field(description="95 %")
    test_images: int = Field(description="0 where the run's images are not here")
    confusion: bool
    search: bool = Field(description="whether the index that is served is of this run's weights")
    views: list[str]


class Guess(BaseModel):
    """A class and its calibrated probability, 0..1."""

    label: str
    probability: float


class Predictions(BaseModel):
    """What a net says of an image."""

    predictions: list[Guess] = Field(description="the likeliest first")
    accepted: bool = Field(description="whether the first is likely enough not to be 'none of these'")
    label: str | None = Field(description="the right class, where it is known")
    views: str
    seconds: float = Field(description="that the net took, from the pixels to the probabilities")


class Compared(BaseModel):
    """What one of several nets says of an image."""

    run: int
    name: str
    predictions: list[Guess] = Field(default=[], description="the likeliest first")
    label: str | None = Field(default=None, description="the right class, where it is known")
    seconds: float | None = None
    problem: str | None = Field(default=None, description="why there are no predictions")


class TestedImage(BaseModel):
    """An image of a test part."""

    image: str
    label: str


class TestedImages(BaseModel):
    """Some of a test part's images."""

    images: list[TestedImage]
    total: int


class Curves(BaseModel):
    """How a run has learned so far."""

    lines: list[dict[str, Any]] = Field(description="of metrics.jsonl: kind 'step', 'validation', 'watchdog', 'layers'")
    next: int = Field(description="what to give as `after` the next time")
    training: bool
    watchdog: list[str] = Field(description="what the watchdog has said so far")


class Stage(BaseModel):
    """A stage of a net."""

    stage: str
    kind: str
    output: list[int] = Field(description="[maps, height, width] or [units]")
    filters: bool = Field(description="whether its filters can be shown: they see the image's colours")


class Unit(BaseModel):
    """What one map or unit answers to an image."""

    unit: int = Field(description="from 0")
    largest: float = Field(description="of its answers the one farthest from zero")
    label: str | None = Field(default=None, description="the class that it stands for")


class Maps(BaseModel):
    """What a stage answers to an image."""

    stage: str
    output: list[int]
    units: list[Unit] = Field(description="the strongest first")
    sheet: str | None = Field(description="address of a picture of these units' maps; null where they have none")
    columns: int = Field(description="maps in a row of the sheet")
    cell: int = Field(description="side of a map on the sheet in pixels")


class Patch(BaseModel):
    """A part of a test image that excites a unit."""

    image: str
    box: list[int] | None = Field(description="left, top, right, bottom in the net's input; null: the whole image")
    value: float
    picture: str = Field(description="its address")


class Patches(BaseModel):
    """The parts of test images that excite a unit most."""

    patches: list[Patch] = Field(description="the strongest first")
    looked_at: int = Field(description="test images that were looked at")


class Found(BaseModel):
    """An indexed image like the one that was asked about."""

    image: str
    path: str = Field(description="name of its file, with that of its folder")
    label: str | None
    distance: float


class Similar(BaseModel):
    """The indexed images most like one."""

    results: list[Found] = Field(description="the nearest first")
    distance: str = Field(description="what the distances are")


class Confusion(BaseModel):
    """How often each class was taken for each."""

    classes: list[str]
    matrix: list[list[int]] = Field(description="rows: right classes; columns: answers")
    views: str


class CellImage(BaseModel):
    """A test image behind a cell of the confusion matrix."""

    image: str
    probability: float = Field(description="of the answer, before calibration")


class Cell(BaseModel):
    """Test images behind a cell of the confusion matrix."""

    images: list[CellImage] = Field(description="the surest answers first")
    total: int


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of the errors that a route may answer."""
    return {status: {"model": Problem, "description": REASONS[status]} for status in statuses}


REASONS = {
    202: "not ready yet: ask again",
    404: "there is no such thing",
    409: "the run has no weights yet",
    413: "too large",
    415: "not an image that is read",
    422: "cannot be used",
    503: "busy: ask again",
}
