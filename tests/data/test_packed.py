"""Reading a pack: whole images or only patches, by one thread or many."""

import numpy as np
import pytest

from alexnet.data import Cut, open_source, pack
from alexnet.data.parallel import decoders

ROWS = np.array([41, 0, 7, 7, 59, 12, 30, 31, 2, 58, 3])


@pytest.fixture(scope="module", params=["raw-centre", "raw-none", "jpeg-centre", "jpeg-none"])
def packed(request, photo_folder, tmp_path_factory):
    layout, crop = request.param.split("-")
    return pack(open_source(photo_folder), tmp_path_factory.mktemp("pack") / "out", 24, crop, layout)


@pytest.fixture(scope="module")
def cut(packed):
    chance = np.random.default_rng(0)
    h, w = packed.sizes(ROWS).T
    return Cut(chance.integers(0, h - 16), chance.integers(0, w - 16), 17)


def test_a_patch_is_the_part_of_the_image_that_was_asked_for(packed, cut):
    whole = packed.read(ROWS)
    patches = packed.read(ROWS, cut=cut)
    assert patches.shape == (11, 17, 17, 3)
    assert patches.dtype == np.uint8
    for image, patch, top, left in zip(whole, patches, cut.top, cut.left):
        assert np.array_equal(patch, image[top : top + 17, left : left + 17])


def test_threads_read_what_one_thread_reads(packed, cut):
    with decoders() as pool:
        for wanted in (None, cut):
            for one, many in zip(packed.read(ROWS, None, wanted), packed.read(ROWS, pool, wanted)):
                assert np.array_equal(one, many)


def test_a_buffer_is_filled_and_given_back(packed, cut):
    buffer = np.zeros((11, 17, 17, 3), np.uint8)
    assert packed.read(ROWS, cut=cut, out=buffer) is buffer
    assert np.array_equal(buffer, packed.read(ROWS, cut=cut))


def test_sizes_are_those_of_the_images(packed):
    assert packed.sizes(ROWS).tolist() == [list(image.shape[:2]) for image in packed.read(ROWS)]


def test_images_may_be_changed_by_who_reads_them(packed):
    images = packed.read(ROWS[:2])
    images[0][:] = 0  # the pack itself is mapped, and must not be what is given out
    assert packed.read(ROWS[:1])[0].any()


def test_grey_images_keep_their_one_channel(array_source, tmp_path):
    packed = pack(array_source((20, 8, 8)), tmp_path / "grey")
    assert packed.channels == 1
    cut = Cut(np.array([1, 2]), np.array([3, 0]), 5)
    assert packed.read(np.array([3, 4]), cut=cut).shape == (2, 5, 5, 1)
