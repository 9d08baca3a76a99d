import gc
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.data import Batches, Packed, open_source, pack
from alexnet.errors import InputError


@pytest.fixture
def packed(array_source, tmp_path):
    return pack(array_source((50, 8, 8)), tmp_path / "out")


def rows_of(batches, epoch: int = 0, start: int = 0) -> list[list[int]]:
    return [batch.rows.tolist() for batch in batches.epoch(epoch, start)]


def test_for_testing_every_row_comes_once_and_in_order(packed):
    rows = np.array([3, 5, 9, 20, 21, 40, 49])
    batches = Batches(packed, rows, 3, seed=None)
    assert batches.steps == 3
    assert rows_of(batches) == [[3, 5, 9], [20, 21, 40], [49]]
    assert rows_of(batches, 7) == rows_of(batches)


def test_for_training_every_row_comes_at_most_once_and_the_rest_is_dropped(packed):
    rows = np.arange(1, 48)
    batches = Batches(packed, rows, 10, seed=3)
    assert batches.steps == 4
    seen = rows_of(batches)
    assert [len(batch) for batch in seen] == [10] * 4
    flat = [row for batch in seen for row in batch]
    assert len(set(flat)) == 40
    assert set(flat) <= set(rows.tolist())
    assert flat != sorted(flat)


def test_every_row_has_its_turn_over_the_epochs(packed):
    batches = Batches(packed, np.arange(47), 10, seed=3)
    assert {row for epoch in range(6) for batch in rows_of(batches, epoch) for row in batch} == set(range(47))


def test_fewer_images_than_a_batch_are_one_batch(packed):
    batches = Batches(packed, np.arange(4), 10, seed=0)
    assert batches.steps == 1
    assert sorted(rows_of(batches)[0]) == [0, 1, 2, 3]


def test_images_and_labels_belong_to_the_rows(packed):
    for seed in (None, 0):
        for batch in Batches(packed, np.arange(50), 16, seed).epoch(2):
            assert batch.images.shape == (len(batch.rows), 8, 8, 1)
            assert batch.images.dtype == np.uint8
            assert batch.labels.dtype == np.int64
            assert np.array_equal(batch.images, packed.read(batch.rows))
            assert np.array_equal(batch.labels, packed.labels[batch.rows])


def test_the_order_depends_on_seed_and_epoch_alone(packed):
    orders = {
        (seed, epoch): tuple(Batches(packed, np.arange(50), 8, seed).order(epoch))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4
    assert tuple(Batches(packed, np.arange(50), 5, 1).order(1)) == orders[1, 1]


def test_the_order_is_the_same_on_every_machine_and_for_ever(packed):
    assert Batches(packed, np.arange(10), 5, seed=2012).order(3).tolist() == [7, 4, 8, 5, 1, 3, 2, 9, 6, 0]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 50), st.integers(1, 60), st.integers(0, 2**31), st.integers(0, 1000))
def test_every_order_is_a_permutation(count, batch, seed, epoch):
    class Sizes:  # all that an order needs
        layout = "raw"

    rows = np.arange(count) * 3
    batches = Batches(Sizes(), rows, batch, seed)
    assert sorted(batches.order(epoch).tolist()) == rows.tolist()
    assert batches.steps == max(1, count // batch)


@pytest.mark.parametrize("start", [0, 1, 4, 5])
def test_a_later_start_gives_the_rest_and_reads_nothing_before(packed, monkeypatch, start):
    whole = rows_of(Batches(packed, np.arange(50), 10, seed=1), 2)
    read = []
    original = Packed.read
    monkeypatch.setattr(
        Packed, "read", lambda self, rows, pool=None: read.append(rows.tolist()) or original(self, rows, pool)
    )
    assert rows_of(Batches(packed, np.arange(50), 10, seed=1), 2, start) == whole[start:]
    assert read == whole[start:]


def test_batches_are_read_ahead_but_only_a_few(packed, monkeypatch):
    read = []
    original = Packed.read
    monkeypatch.setattr(Packed, "read", lambda self, rows, pool=None: read.append(0) or original(self, rows, pool))
    epoch = Batches(packed, np.arange(50), 2, seed=0).epoch(0)
    next(epoch)
    time.sleep(0.2)
    assert 2 <= len(read) <= 5
    epoch.close()


@pytest.mark.parametrize("format", ["raw", "jpeg"])
def test_an_abandoned_epoch_leaves_no_thread(photo_folder, tmp_path, format):
    packed = pack(open_source(photo_folder), tmp_path / "out", stored=16, format=format)
    before = set(threading.enumerate())
    for leave in ("close", "drop", "break"):
        epoch = Batches(packed, np.arange(60), 4, seed=0).epoch(0)
        next(epoch)
        assert set(threading.enumerate()) - before
        if leave == "close":
            epoch.close()
        elif leave == "break":
            for _ in epoch:
                break
        del epoch
        gc.collect()
        assert set(threading.enumerate()) == before


def test_an_epoch_that_ran_out_leaves_no_thread(packed):
    before = set(threading.enumerate())
    list(Batches(packed, np.arange(50), 7, seed=0).epoch(0))
    assert set(threading.enumerate()) == before


def test_an_error_while_reading_ahead_comes_out(packed):
    with pytest.raises(IndexError):
        list(Batches(packed, np.array([0, 1, 5000]), 2, seed=None).epoch(0))


@pytest.mark.parametrize("crop", ["centre", "none"])
def test_jpeg_is_decoded_to_what_the_pack_reads(photo_folder, tmp_path, crop):
    packed = pack(open_source(photo_folder), tmp_path / "out", stored=24, crop=crop, format="jpeg")
    for batch in Batches(packed, np.arange(60), 16, seed=5).epoch(0):
        assert isinstance(batch.images, list) == (crop == "none")
        for image, row in zip(batch.images, batch.rows):
            assert np.array_equal(image, packed.read(np.array([row]))[0])


def test_no_images_and_no_batch_size_are_errors(packed):
    with pytest.raises(InputError, match="without images"):
        Batches(packed, np.array([], np.int64), 8, seed=0)
    with pytest.raises(InputError, match="give 1 or more"):
        Batches(packed, np.arange(5), 0, seed=0)
