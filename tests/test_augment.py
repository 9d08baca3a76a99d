"""Batches on their way to the net: crops, mirrors, colour noise and test views."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.augment import (
    VIEWS,
    ColourAxes,
    Draws,
    add_colour_noise,
    center_view,
    draw,
    drawn_sides,
    patches,
    patches_by_area,
    ten_views,
    to_planes,
    training_images,
    whole_views,
)
from alexnet.errors import InputError
from alexnet.planes import cut_at_once, cut_into, padded
from alexnet.recipe import Augmentation


def images(n=4, h=20, w=20, c=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, h, w, c), dtype=np.uint8)


def axes(seed=0):
    rgb = np.random.default_rng(seed).normal(120, (60, 50, 40), (5000, 3)) @ np.array(
        [[1, 0.8, 0.7], [0, 1, 0.6], [0, 0, 1]]
    )
    values, vectors = np.linalg.eigh(np.cov(rgb.T))
    return ColourAxes(values[::-1].copy(), vectors[:, ::-1].copy(), torch.full((3, 1, 1), 120.0))


@given(
    h=st.integers(8, 15),
    w=st.integers(8, 15),
    u=st.floats(0, 1, exclude_max=True),
    v=st.floats(0, 1, exclude_max=True),
    mirrored=st.booleans(),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_patch_is_a_part_of_its_image(h, w, u, v, mirrored):
    stored = images(1, h, w)
    position = torch.tensor([[u, v]], dtype=torch.float64)
    got = patches(to_planes(stored, min(h, w), "cpu"), position, torch.tensor([mirrored]), 8)[0]
    top, left = int(u * (h - 7)), int(v * (w - 7))
    wanted = stored[0, top : top + 8, left : left + 8].transpose(2, 0, 1).astype(np.float32)
    assert np.array_equal(got.numpy(), wanted[:, :, ::-1] if mirrored else wanted)


@pytest.mark.parametrize(("h", "w"), [(13, 13), (10, 17), (8, 8)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stored", [torch.uint8, torch.float32])
def test_a_batch_cut_at_once_is_the_batch_cut_one_by_one(h, w, channels, stored):
    planes = to_planes(images(20, h, w, channels), min(h, w), "cpu").to(stored)
    chance = torch.Generator().manual_seed(h)
    top = torch.randint(0, h - 7, (20,), generator=chance)
    left = torch.randint(0, w - 7, (20,), generator=chance)
    mirror = torch.rand(20, generator=chance) < 0.5
    one_by_one = cut_into(torch.empty(20, 3, 8, 8), planes, top, left, mirror)
    assert torch.equal(cut_at_once(planes, top, left, mirror, 8).float().expand(-1, 3, -1, -1), one_by_one)
    last = cut_into(torch.empty(20, 3, 8, 8, memory_format=torch.channels_last), planes, top, left, mirror)
    assert torch.equal(last, one_by_one)


def test_every_place_of_a_patch_is_equally_likely():
    drawn = draw(Augmentation(mirror=True), seed=3, step=0, n=20_000)
    places = (drawn.position * 33).long()
    counts = torch.bincount(places[:, 0] * 33 + places[:, 1], minlength=33 * 33)
    assert int(places.min()) == 0
    assert int(places.max()) == 32
    assert float(((counts - 20_000 / 1089) ** 2 / (20_000 / 1089)).sum()) < 1300  # chi-square, 1088 degrees: mean 1088
    assert abs(float(drawn.mirror.float().mean()) - 0.5) < 0.02


def test_draws_depend_on_seed_and_step_alone():
    once = draw(Augmentation(mirror=True), 1, 7, 64)
    torch.randn(100)
    again = draw(Augmentation(mirror=True), 1, 7, 64)
    other = draw(Augmentation(mirror=True), 1, 8, 64)
    assert torch.equal(once.position, again.position)
    assert torch.equal(once.colour, again.colour)
    assert not torch.equal(once.position, other.position)


def test_thirty_two_images_in_a_row_share_position_and_mirror_but_not_colour():
    drawn = draw(Augmentation(mirror=True, shared_by=32), 0, 0, 128)
    assert len(torch.unique(drawn.position, dim=0)) == 4
    for first in range(0, 128, 32):
        assert len(torch.unique(drawn.position[first : first + 32], dim=0)) == 1
        assert len(torch.unique(drawn.mirror[first : first + 32])) == 1
    assert len(torch.unique(drawn.colour, dim=0)) == 128


def test_mirror_and_crop_can_be_switched_off():
    drawn = draw(Augmentation(mirror=False, crop=False), 0, 0, 32)
    assert not drawn.mirror.any()
    stored = images(32, 12, 12)
    got = patches(to_planes(stored, 12, "cpu"), drawn.position, drawn.mirror, 8)
    assert torch.equal(got, center_view(to_planes(stored, 12, "cpu"), 8)[0])


def test_colour_noise_moves_all_pixels_of_an_image_alike_and_images_apart():
    batch = torch.from_numpy(images(8).transpose(0, 3, 1, 2).copy()).float()
    noise = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved = add_colour_noise(batch.clone(), axes(), noise, "paper", 0.1) - batch
    assert torch.allclose(moved, moved[:, :, :1, :1].expand_as(moved), atol=1e-4)
    assert len(torch.unique(moved[:, 0, 0, 0])) == 8


@pytest.mark.parametrize("kind", ["off", "paper", "source_2012"])
def test_no_deviation_means_no_noise(kind):
    batch = torch.rand(2, 3, 4, 4)
    assert add_colour_noise(batch, axes(), torch.ones(2, 3, dtype=torch.float64), kind, 0.0) is batch


def test_small_images_are_enlarged_like_torch_does_and_grey_ones_become_three_channels():
    stored = images(3, 8, 8, 1)
    planes = to_planes(stored, 76, "cpu")
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(stored.transpose(0, 3, 1, 2).copy()).float(), (76, 76), mode="bilinear"
    )
    assert torch.equal(planes, wanted)
    view = center_view(planes, 67)[0]
    assert view.shape == (3, 3, 67, 67)
    assert torch.equal(view[:, 0], view[:, 2])


def test_images_stored_at_the_right_side_stay_bytes():
    assert to_planes(images(2, 16, 16), 16, "cpu").dtype == torch.uint8


def test_images_of_different_shapes_make_one_batch():
    stored = [images(1, 16, 24)[0], images(1, 20, 16)[0], images(1, 16, 16)[0]]
    drawn = draw(Augmentation(mirror=True), 0, 0, 3)
    got = training_images(stored, drawn, Augmentation(mirror=True), axes(), 16, 12, 0.1)
    assert got.shape == (3, 3, 12, 12)


def test_the_shorter_side_is_brought_to_the_side_asked_for():
    planes = to_planes([images(1, 40, 60)[0]], 20, "cpu")
    assert planes[0].shape == (3, 20, 30)


def test_training_images_follow_their_draws():
    stored = images(2, 10, 10)
    still = torch.zeros(2, 3, dtype=torch.float64)
    drawn = Draws(still[:, :2], torch.tensor([False, True]), still, still[:, :2])
    got = training_images(stored, drawn, Augmentation(), axes(), 10, 8, 0.1)
    wanted = torch.from_numpy(stored[:, :8, :8].transpose(0, 3, 1, 2).copy()).float()
    assert torch.equal(got[0], wanted[0])
    assert torch.equal(got[1], wanted[1].flip(-1))


@pytest.mark.parametrize("channels", [1, 3])
def test_padding_is_zero_once_the_mean_is_subtracted_and_patches_reach_every_place(channels):
    stored = images(300, 8, 8, channels)
    mean = torch.tensor([100.0, 120.0, 140.0])[:, None, None]
    planes = padded(to_planes(stored, 8, "cpu"), 4, mean)
    assert planes.shape == (300, 3, 16, 16)
    less = planes - mean
    assert torch.equal(
        less[:, :, 4:12, 4:12] + mean, torch.from_numpy(stored).movedim(-1, 1).float().expand(-1, 3, 8, 8)
    )
    less[:, :, 4:12, 4:12] = 0
    assert not less.any()

    # Each patch is one of the 9 x 9 places, and every place occurs as a top and as a left.
    drawn = draw(Augmentation(mirror=False), 0, 0, 300)
    flat = ColourAxes(np.ones(3), np.eye(3), mean)
    got = training_images(stored, drawn, Augmentation(pad=4, mirror=False, colour="off"), flat, 8, 8, 0.0)
    places = (drawn.position * 9).long()
    assert {int(place) for place in places.flatten()} == set(range(9))
    for image, plane, (top, left) in zip(got, planes, places.tolist()):
        assert torch.equal(image, plane[:, top : top + 8, left : left + 8])


def test_padding_photographs_of_different_shapes_takes_the_mean_images_colour():
    stored = [images(1, 16, 24)[0], images(1, 20, 16)[0]]
    mean = torch.arange(3 * 12 * 12, dtype=torch.float32).reshape(3, 12, 12)
    one, other = padded(to_planes(stored, 16, "cpu"), 2, mean)
    assert (one.shape, other.shape) == ((3, 20, 28), (3, 24, 20))
    assert torch.allclose(one[:, 0, 0], mean.mean((1, 2)))


def test_every_shorter_side_between_the_two_is_equally_likely():
    sides = drawn_sides((256 / 224, 259 / 224), 224, draw(Augmentation(), 0, 0, 4000).zoom)
    counts = torch.bincount(torch.tensor(sides))
    assert len(counts) == 260
    assert counts[:256].sum() == 0
    assert int(counts[256:].min()) > 900


def test_a_patch_of_a_scaled_image_is_cut_from_the_image_at_that_side():
    wanted = Augmentation(scale=(1, 2.5), mirror=True, colour="off")
    stored = [images(1, 30, 45)[0], images(1, 40, 30, seed=1)[0], images(1, 30, 30, seed=2)[0]]
    drawn = draw(wanted, 4, 0, 3)
    got = training_images(stored, drawn, wanted, axes(), 30, 12, 0.0)
    sides = drawn_sides((1, 2.5), 12, drawn.zoom)
    assert len(set(sides)) == 3
    for i in range(3):
        plane = to_planes([stored[i]], sides[i], "cpu")
        assert min(plane[0].shape[1:]) == sides[i]
        assert torch.equal(got[i], patches(plane, drawn.position[i : i + 1], drawn.mirror[i : i + 1], 12)[0])
    whole = training_images(np.stack([stored[2]] * 3), drawn, wanted, axes(), 30, 12, 0.0)  # a batch of one shape
    assert torch.equal(whole[2], got[2])


def test_patches_by_area_cover_the_shares_and_shapes_of_the_paper():
    n, h, w = 2000, 90, 120
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    ramps = torch.stack([rows, columns, rows * 0]).float()
    drawn = draw(Augmentation(mirror=False), 0, 0, n)
    cut = patches_by_area([ramps] * n, drawn, (0.08, 1.0), 8)
    # A ramp tells the sides of the patch that was brought to 8 x 8 pixels: its step, times 8.
    tall = (cut[:, 0, 5, 0] - cut[:, 0, 2, 0]) / 3 * 8
    wide = (cut[:, 1, 0, 5] - cut[:, 1, 0, 2]) / 3 * 8
    share = tall * wide / (h * w)
    free = share < 0.6  # nothing is cut short there
    low, middle, high = np.quantile(share[free], [0.01, 0.5, 0.99])
    assert 0.07 < low < 0.1
    assert abs(middle - 0.34) < 0.03
    assert high < 0.6
    ratio = (wide / tall)[free]
    assert 0.72 < float(ratio.min()) < 0.78
    assert 1.29 < float(ratio.max()) < 1.38
    assert abs(float(ratio.log().mean())) < 0.03
    assert float(share.max()) > 0.9
    assert float(cut[:, 1].max()) > w - 3
    assert float(cut[:, 1].min()) < 2


def test_a_patch_of_the_whole_square_image_is_the_image_resized_and_mirrored():
    stored = images(2, 16, 16)
    still = torch.full((2, 2), 0.5, dtype=torch.float64)
    drawn = Draws(still, torch.tensor([False, True]), torch.zeros(2, 3, dtype=torch.float64), still)
    got = patches_by_area(to_planes(stored, 16, "cpu"), drawn, (1.0, 1.0), 8)
    wanted = to_planes(stored, 8, "cpu")
    assert torch.equal(got[0], wanted[0])
    assert torch.equal(got[1], wanted[1].flip(-1))


def test_ten_views_of_an_odd_margin_reach_every_edge():
    stored = images(1, 13, 13)
    views = ten_views(to_planes(stored, 13, "cpu"), 8)[:, 0]
    whole = torch.from_numpy(stored[0].transpose(2, 0, 1).copy()).float()
    for view, (top, left) in zip(views[:5], [(0, 0), (0, 5), (5, 0), (5, 5), (2, 2)]):
        assert torch.equal(view, whole[:, top : top + 8, left : left + 8])


def test_dense_views_are_the_image_and_its_mirror():
    stored = images(2, 9, 12)
    views = whole_views(to_planes(stored, 9, "cpu"), 8)
    assert views.shape == (2, 2, 3, 9, 12)
    assert torch.equal(views[1].flip(-1), views[0])


@pytest.mark.parametrize("view", list(VIEWS))
def test_too_small_an_image_says_how_to_pack_it(view):
    with pytest.raises(InputError, match=r"stored 8x8, the net takes 12x12: pack again"):
        VIEWS[view](to_planes(images(1, 8, 8), 8, "cpu"), 12)
