"""All that a server shows: its runs, its index, its images; and how a route gets hold of them."""

from dataclasses import dataclass
from pathlib import Path as File
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Query, Request

from alexnet.errors import InputError
from alexnet.retrieval.index import Index
from alexnet.web.gallery import Gallery
from alexnet.web.searching import searches
from alexnet.web.served import Served
from alexnet.web.settings import Settings


@dataclass(frozen=True)
class Explorer:
    """What is served.

    Attributes:
        runs: in the order in which they were given.
        index: of images to search; None for none.
        gallery: the images that can be asked about.
        settings: limits.
    """

    runs: list[Served]
    index: Index | None
    gallery: Gallery
    settings: Settings

    def searches(self, run: Served) -> bool:
        """Whether similar images can be looked for with this run's net."""
        return searches(run, self.index)

    def close(self) -> None:
        """Let go of threads and files."""
        for run in self.runs:
            run.close()
        if self.index is not None:
            self.index.close()


def open_explorer(runs: list[File], index: File | None, settings: Settings) -> Explorer:
    """Open runs, with their nets where there are weights, and an index.

    Raises:
        InputError: no such run or index.
    """
    if not runs:
        raise InputError("no run came: give one or more, such as runs/digits-alexnet-1")
    served = [Served(number, path, settings) for number, path in enumerate(runs)]
    for run in served:
        run.loaded_or_none()
    found = Index(index) if index is not None else None
    return Explorer(served, found, Gallery(served, found, settings), settings)


async def explorer_of(request: Request) -> Explorer:
    """What the server that got this request shows."""
    return request.app.state.explorer


All = Annotated[Explorer, Depends(explorer_of)]


async def run_of(explorer: All, run: Annotated[int, Path(ge=0, description="place of the run, from 0")]) -> Served:
    """The run that a request names by its place."""
    if run >= len(explorer.runs):
        raise HTTPException(404, f"there is no run {run}: {len(explorer.runs)} are served, from 0")
    return explorer.runs[run]


Run = Annotated[Served, Depends(run_of)]
ImageId = Annotated[str, Query(description="id of an image, as the routes give them", max_length=64)]
Offset = Annotated[int, Query(ge=0, le=10**9, description="how many to pass over")]
