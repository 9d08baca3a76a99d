"""The way in: every image as the slow way makes it, in the same order, with nothing left behind."""

import io
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.augment import CENTRE, ColourAxes, draw, training_images
from alexnet.data import Batches, Packed, open_source, pack
from alexnet.data.parallel import AHEAD
from alexnet.recipe import Augmentation, Recipe
from alexnet.training.feed import Buffers, feed

BATCH, SIDE = 16, 30
AXES = ColourAxes(
    np.array([900.0, 200.0, 30.0]),
    np.linalg.qr(np.arange(9.0).reshape(3, 3) + np.eye(3))[0],
    torch.full((3, 1, 1), 99.0),
)


@pytest.fixture(scope="module")
def packs(photo_folder, tmp_path_factory):
    """The same photographs as squares or whole, raw or as JPEG."""
    folder = tmp_path_factory.mktemp("packs")
    return {
        (layout, crop): pack(open_source(photo_folder), folder / f"{layout}-{crop}", SIDE, crop, layout)
        for layout in ("raw", "jpeg")
        for crop in ("centre", "none")
    }


def a_run(packed, augmentation, size=24, side=SIDE, seed=5, order="contiguous"):
    """All of a run that the feed looks at."""
    return SimpleNamespace(
        packed=packed,
        recipe=replace(Recipe(), seed=seed, augmentation=augmentation),
        device=torch.device("cpu"),
        colour_axes=AXES,
        size=size,
        side=side,
        speed=SimpleNamespace(memory_format=order),
    )


def fed(run, epoch=0, start=0, deviation=0.0):
    batches = Batches(run.packed, np.arange(len(run.packed)), BATCH, run.recipe.seed)
    return list(feed(run, batches, epoch, start, lambda step: deviation * (step + 1)))


def whole_images(packed, rows):
    """The stored images, read from the pack's files without the package."""
    data = np.load(packed.path / "images.npy")
    if packed.layout == "raw" and packed.shape:
        return [data[row] for row in rows]
    offsets, shapes = (np.load(packed.path / f"{name}.npy") for name in ("offsets", "shapes"))
    parts = [data[offsets[row] : offsets[row + 1]] for row in rows]
    if packed.layout == "raw":
        return [part.reshape(shapes[row]) for part, row in zip(parts, rows)]
    return [np.asarray(Image.open(io.BytesIO(part.tobytes()))).reshape(shapes[row]) for part, row in zip(parts, rows)]


def slow_patch(image, u, v, mirrored, size):
    """A patch of one image in plain Python, float64 [3, size, size]."""
    h, w = image.shape[:2]
    top, left = int(u * (h - size + 1)), int(v * (w - size + 1))
    patch = image[top : top + size, left : left + size].astype(np.float64).transpose(2, 0, 1)
    return np.broadcast_to(patch[:, :, ::-1] if mirrored else patch, (3, size, size))


def slow_noise(patch, z, kind, deviation):
    if kind == "off":
        return patch
    strength = AXES.eigenvalues / 255 if kind == "paper" else np.sqrt(AXES.eigenvalues)
    offset = (AXES.eigenvectors @ (z * deviation * strength))[:, None, None]
    return patch + offset if kind == "paper" else 99 + (patch - 99 + offset) / (1 + deviation)


KINDS = {
    "crop and mirror": Augmentation(mirror=True),
    "shared": Augmentation(mirror=True, shared_by=8),
    "centre": Augmentation(mirror=False, crop=False),
    "upright": Augmentation(mirror=False),
    "paper's noise": Augmentation(mirror=True, colour="paper"),
    "2012's noise": Augmentation(mirror=True, colour="source_2012", shared_by=4),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", ["raw", "jpeg"])
@pytest.mark.parametrize(("crop", "size"), [("centre", 24), ("none", 23), ("centre", SIDE)])
def test_every_pixel_is_that_of_the_slow_way(packs, kind, layout, crop, size):
    packed, wanted = packs[layout, crop], KINDS[kind]
    run = a_run(packed, wanted, size)
    batches = Batches(packed, np.arange(60), BATCH, 5)
    deviation = 0.1 if wanted.colour != "off" else 0.0
    got = fed(run, epoch=1, deviation=deviation)
    assert len(got) == 3
    for step, batch in enumerate(got):
        rows = batches.order(1)[step * BATCH : (step + 1) * BATCH]
        assert batch.labels.tolist() == packed.labels[rows].tolist()
        drawn = draw(wanted, 5, 3 + step, BATCH)
        for i, image in enumerate(whole_images(packed, rows)):
            u, v = drawn.position[i].tolist()
            patch = slow_patch(image, u, v, bool(drawn.mirror[i]), size)
            patch = slow_noise(patch, drawn.colour[i].numpy(), wanted.colour, deviation * (4 + step))
            if wanted.colour == "off":
                assert np.array_equal(batch.images[i].numpy(), patch)
            else:
                assert np.abs(batch.images[i].numpy() - patch).max() < 1e-4


@pytest.mark.parametrize(
    ("kind", "side"),
    [
        (Augmentation(mirror=True, pad=3), SIDE),
        (Augmentation(mirror=True, scale=(1.0, 1.5)), SIDE),
        (Augmentation(mirror=True, area=(0.2, 1.0)), SIDE),
        (Augmentation(mirror=True), 27),  # stored larger than what patches are cut from
        (Augmentation(mirror=True), 41),  # and smaller
    ],
    ids=["pad", "scale", "area", "shrunk", "enlarged"],
)
@pytest.mark.parametrize("layout", ["raw", "jpeg"])
@pytest.mark.parametrize("crop", ["centre", "none"])
def test_what_is_resized_or_padded_first_is_cut_from_whole_images(packs, kind, side, layout, crop):
    packed = packs[layout, crop]
    run = a_run(packed, kind, 24, side)
    rows = Batches(packed, np.arange(60), BATCH, 5).order(0)
    for step, batch in enumerate(fed(run)):
        here = rows[step * BATCH : (step + 1) * BATCH]
        drawn = draw(kind, 5, step, BATCH)
        wanted = training_images(whole_images(packed, here), drawn, kind, AXES, side, 24, 0.0)
        assert torch.equal(batch.images, wanted)


def test_small_grey_images_are_enlarged_and_cut_on_the_device(array_source, tmp_path):
    packed = pack(array_source((60, 8, 8)), tmp_path / "grey")
    wanted = Augmentation(mirror=False)
    rows = Batches(packed, np.arange(60), BATCH, 5).order(0)[:BATCH]
    (first, *_) = fed(a_run(packed, wanted, 67, 76))
    assert torch.equal(
        first.images, training_images(packed.read(rows), draw(wanted, 5, 0, BATCH), wanted, AXES, 76, 67, 0.0)
    )
    same = fed(a_run(packed, wanted, 8, 8))[0].images  # as they are: cut early, one channel three times
    assert torch.equal(same, torch.from_numpy(packed.read(rows)).movedim(-1, 1).float().expand(-1, 3, 8, 8))


def test_only_the_patches_are_read_where_images_are_cut_as_they_are_stored(packs, monkeypatch):
    asked = []
    original = Packed.read

    def spy(self, rows, pool=None, cut=None, out=None):
        asked.append((cut and cut.size, None if out is None else out.shape))
        return original(self, rows, pool, cut, out)

    monkeypatch.setattr(Packed, "read", spy)
    fed(a_run(packs["raw", "centre"], KINDS["crop and mirror"]))
    fed(a_run(packs["jpeg", "none"], KINDS["crop and mirror"]))
    assert asked == [(24, (BATCH, 24, 24, 3))] * 6
    asked.clear()
    fed(a_run(packs["raw", "centre"], Augmentation(mirror=True, pad=2)))
    fed(a_run(packs["raw", "none"], Augmentation(mirror=True, scale=(1.0, 1.2))))
    assert asked == [(None, (BATCH, SIDE, SIDE, 3))] * 3 + [(None, None)] * 3


def test_a_later_start_gives_the_rest_of_the_epoch(packs):
    run = a_run(packs["raw", "centre"], KINDS["paper's noise"])
    whole = fed(run, epoch=2, deviation=0.1)
    rest = fed(run, epoch=2, start=1, deviation=0.1)
    assert len(rest) == 2
    for one, other in zip(whole[1:], rest):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_a_batch_lies_in_memory_as_the_run_wants_it(packs):
    contiguous = fed(a_run(packs["raw", "centre"], KINDS["crop and mirror"]))
    last = fed(a_run(packs["raw", "centre"], KINDS["crop and mirror"], order="channels_last"))
    assert contiguous[0].images.is_contiguous()
    assert last[0].images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(contiguous[0].images, last[0].images)


def test_batches_stay_what_they_were_while_later_ones_are_read(packs):
    for layout in ("raw", "jpeg"):
        run = a_run(packs[layout, "centre"], KINDS["crop and mirror"])
        many = Batches(run.packed, np.arange(60), 4, 5)
        kept, copies = [], []
        for batch in feed(run, many, 0, 0, lambda step: 0.0):
            kept.append(batch.images)
            copies.append(batch.images.clone())
        assert len(kept) == 15
        assert all(torch.equal(one, other) for one, other in zip(kept, copies))


def test_an_error_in_the_reading_thread_reaches_the_loop(packs, monkeypatch):
    original = Packed.read

    def failing(self, rows, pool=None, cut=None, out=None):
        if len(failing.calls) == 2:
            raise OSError(5, "the disk has failed")
        failing.calls.append(0)
        return original(self, rows, pool, cut, out)

    failing.calls = []
    monkeypatch.setattr(Packed, "read", failing)
    run, seen = a_run(packs["raw", "centre"], KINDS["upright"]), []
    batches = feed(run, Batches(run.packed, np.arange(60), BATCH, 5), 0, 0, lambda step: 0.0)
    with pytest.raises(OSError, match="the disk has failed"):
        seen.extend(batches)
    assert len(seen) == 2


@pytest.mark.parametrize("leave", ["break", "error", "end"])
def test_no_thread_is_left_behind(packs, leave):
    before = set(threading.enumerate())
    run = a_run(packs["jpeg", "centre"], KINDS["upright"])

    def consume():
        for _ in feed(run, Batches(run.packed, np.arange(60), 4, 5), 0, 0, lambda step: 0.0):
            assert set(threading.enumerate()) - before
            if leave == "break":
                break
            if leave == "error":
                raise KeyboardInterrupt

    if leave == "error":
        with pytest.raises(KeyboardInterrupt):
            consume()
    else:
        consume()
    assert set(threading.enumerate()) == before


def test_a_buffer_is_not_read_into_before_its_last_copy_has_left_it():
    waited = []
    buffers = Buffers(torch.device("cpu"), (2, 4, 4, 3))
    buffers.copies[1] = SimpleNamespace(synchronize=lambda: waited.append(1))
    assert buffers.free(1 + AHEAD + 1) is not None
    assert waited == [1]
    assert buffers.free(2).base is not buffers.free(1).base


def test_the_centre_is_what_the_test_views_take(packs):
    run = a_run(packs["raw", "centre"], KINDS["centre"], size=23)  # an odd margin: 7
    drawn = draw(KINDS["centre"], 5, 0, BATCH)
    assert bool((drawn.position == CENTRE).all())
    rows = Batches(run.packed, np.arange(60), BATCH, 5).order(0)
    image = whole_images(run.packed, rows[:1])[0]
    assert np.array_equal(fed(run)[0].images[0].numpy(), image[3:26, 3:26].transpose(2, 0, 1).astype(np.float32))
