"""What a net shows of itself: each stage's answer to an image, and the patches that excite a unit most."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from fastapi import HTTPException
from torch import Tensor

from alexnet.errors import InputError
from alexnet.evaluation.probe import outputs
from alexnet.models.alignment import Alignment, alignment
from alexnet.options import did_you_mean
from alexnet.pictures.patches import Strongest, corner, patch, strongest_of
from alexnet.pictures.subject import Subject, pixels_of_view
from alexnet.web.served import Loaded, Served, Tested

SOFTMAX = "softmax"
"""What is shown behind the last stage: the probabilities."""

LOOKING = 2.0  # seconds that looking through test images for strong patches may take
EACH = 16  # patches that are kept of each unit


@dataclass(frozen=True)
class Seen:
    """What excites the units of a stage.

    Attributes:
        found: the strongest answers of each unit; its images are places of `looked_at`.
        looked_at: int64 [n], which images of the test part.
        at: where the stage's positions look; None where each sees the whole image.
    """

    found: Strongest
    looked_at: np.ndarray
    at: Alignment | None


def stage_of(found: Loaded, stage: str) -> str:
    """The stage of that name.

    Raises:
        HTTPException: 404, the net has none.
    """
    names = [*found.net.stages, SOFTMAX]
    if stage not in names:
        raise HTTPException(
            404, f"{found.net.name} has no stage {stage!r}{did_you_mean([stage], names)}: it has {', '.join(names)}"
        )
    return stage


def answers_to(run: Served, found: Loaded, image: str, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Every stage's answer to an image, float32 [c, h, w] or [units], by the stage's name.

    Args:
        run: whose net.
        found: its weights.
        image: the id, by which the answers are kept for the questions that follow.
        pixels: uint8 [h, w, 3].
    """
    kept = found.outputs.get(image)
    if kept is None:
        subject = found.subject
        stored = subject.predictor.stored(pixels)
        kept = run.ask(lambda: _all_stages(subject, subject.views(stored[None])))
        found.outputs.put(image, kept, sum(answer.nbytes for answer in kept.values()))
    return kept


@torch.inference_mode()
def _all_stages(subject: Subject, view: Tensor) -> dict[str, np.ndarray]:
    kept = {name: _kept(x) for name, x in outputs(subject.net, view, list(subject.net.stages))}
    return kept | {SOFTMAX: subject.probabilities(view)[0].astype(np.float32)}


def _kept(x: Tensor) -> np.ndarray:
    """The only row, copied: the next stage may write into what it is given. Maps of one position are units."""
    one = x[0].flatten() if x.dim() == 4 and x.shape[2:] == (1, 1) else x[0]
    return one.float().cpu().numpy().copy()


def strongest_of_stage(run: Served, found: Loaded, part: Tested, stage: str) -> Seen:
    """The patches of test images that excite each unit of a stage most, of as many as are looked at in two seconds."""
    with found.looking:
        seen = found.strongest.get(stage)
        if seen is None:
            looked_at = [0]
            maps = _maps_of(run, found, part, stage, looked_at)
            strongest = strongest_of(maps, EACH)
            seen = Seen(strongest, part.mixed[: looked_at[0]], _alignment(found, stage))
            found.strongest.put(stage, seen, sum(x.nbytes for x in vars(strongest).values()))
        return seen


def _maps_of(run: Served, found: Loaded, part: Tested, stage: str, looked_at: list[int]) -> Iterator[Tensor]:
    """A stage's answers to test images, [n units h w] at a time, until the time is over."""
    subject, began = found.subject, time.monotonic()

    @torch.inference_mode()
    def answers(places: np.ndarray) -> Tensor:
        views = subject.views(part.packed.read(part.rows[places]))
        if stage == SOFTMAX:
            x = torch.from_numpy(subject.probabilities(views))
        else:
            x = subject.net.features(views, stage)
        return (x if x.dim() == 4 else x[:, :, None, None]).float().cpu()

    for start in range(0, len(part.mixed), found.at_once):
        places = part.mixed[start : start + found.at_once]
        yield run.ask(lambda some=places: answers(some))
        looked_at[0] += len(places)
        if time.monotonic() - began > LOOKING:
            return


def _alignment(found: Loaded, stage: str) -> Alignment | None:
    try:
        at = None if stage == SOFTMAX else alignment(found.net, stage)
    except InputError:  # behind an adaptive pooling
        return None
    return at if at is not None and at.field <= found.card.size else None


def box_of(place: tuple[int, int], at: Alignment, size: int) -> list[int]:
    """Left, top, right and bottom edge of what a position sees, within an image of `size` pixels."""
    top, left = corner(place, at)
    edges = (left, top, left + at.field, top + at.field)
    return [min(max(edge, 0), size) for edge in edges]


def patch_picture(run: Served, found: Loaded, part: Tested, seen: Seen, unit: int, place: int) -> np.ndarray:
    """One of a unit's strongest patches: uint8 [h, w, 4], transparent beyond the image's edge."""
    n = seen.looked_at[int(seen.found.images[unit, place])]
    view = run.ask(lambda: found.subject.views(part.packed.read(part.rows[[n]])))
    pixels = pixels_of_view(view)
    if seen.at is None:
        return pixels
    row, column = seen.found.places[unit, place].tolist()
    return patch(pixels, (row, column), seen.at)
