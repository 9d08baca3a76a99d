import io

import numpy as np
import pytest
from PIL import Image

from alexnet.errors import InputError
from alexnet.pictures.sheets import augmented_sheet, filters_sheet, image_grid


def opened(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_each_filter_is_scaled_by_its_own_extreme_about_mid_grey():
    weights = np.zeros((2, 3, 2, 2), np.float32)
    weights[0, 0, 0, 0], weights[1, 0, 0, 0] = 5.0, -0.001
    sheet = opened(filters_sheet(weights, cell=2))
    assert sheet.shape == (2, 7, 4)
    assert sheet[0, 0].tolist() == [255, 128, 128, 255]
    assert sheet[0, 5].tolist() == [0, 128, 128, 255]
    assert sheet[0, 3, 3] == 0  # the gap is transparent


def test_a_filter_of_zeros_and_a_net_of_one_channel_are_drawn():
    sheet = opened(filters_sheet(np.zeros((6, 1, 5, 5), np.float32)))
    assert set(np.unique(sheet[..., :3][sheet[..., 3] == 255])) == {128}


def test_towers_stand_apart_under_captions():
    weights = np.random.default_rng(0).normal(size=(96, 3, 11, 11))
    one, two = opened(filters_sheet(weights)), opened(filters_sheet(weights, towers=2))
    assert one.shape[1] == two.shape[1]
    assert two.shape[0] > one.shape[0] + 60
    assert np.array_equal(two[26 : 26 + 44, :44], one[:44, :44])


@pytest.mark.parametrize(("shape", "towers"), [((96, 48, 5, 5), 1), ((95, 3, 11, 11), 2), ((0, 3, 3, 3), 1)])
def test_weights_that_are_no_pictures_are_an_error(shape, towers):
    with pytest.raises(InputError, match="give \\[filters"):
        filters_sheet(np.zeros(shape), towers)


def test_images_of_any_size_stand_in_squares_with_marks():
    images = [np.full((10, 20, 3), 200, np.uint8), np.full((30, 15, 1), 90, np.uint8), np.full((8, 8), 7, np.uint8)]
    sheet = opened(
        image_grid(images, ["a", "a very long caption that does not fit", "标"], [True, False, True], cell=40)
    )
    assert sheet.shape[1] == 3 * 46 + 2 * 6
    assert sheet[0, 0].tolist() == [0, 114, 178, 255]
    assert sheet[0, 52].tolist() == [213, 94, 0, 255]
    with pytest.raises(InputError, match="one for each"):
        image_grid(images, ["a"])


def test_augmented_values_outside_the_range_are_cut_off():
    augmented = np.full((1, 2, 3, 4, 4), 300.0)
    augmented[0, 1] = -20
    sheet = opened(augmented_sheet([np.full((4, 4, 3), 60, np.uint8)], augmented, cell=8))
    assert [int(sheet[6, left, 0]) for left in (7, 27, 47)] == [60, 255, 0]
