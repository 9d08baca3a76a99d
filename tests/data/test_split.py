import hashlib
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.data import check, open_source, pack, split
from alexnet.data.split import split_rows
from alexnet.errors import InputError

CLASSES = ["a", "b", "c"]


def digests_of(contents) -> np.ndarray:
    """uint8 [n, 32] of things that have a repr."""
    hashes = [hashlib.sha256(repr(content).encode()).digest() for content in contents]
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)


def parted(parts) -> dict[str, np.ndarray]:
    return {"train": parts.train, "validation": parts.validation, "test": parts.test, "left out": parts.left_out}


def slow_split(labels, digests, test, validation) -> dict[str, set[bytes]]:
    """The split of images that are all different, by sorting hexadecimal text class by class."""
    sides = {"test": set(), "validation": set(), "train": set()}
    for label in set(labels.tolist()):
        texts = sorted(bytes(d).hex() for d, own in zip(digests, labels) if own == label)
        tests, validations = round(test * len(texts)), round(validation * len(texts))
        sides["test"] |= set(texts[:tests])
        sides["validation"] |= set(texts[tests : tests + validations])
        sides["train"] |= set(texts[tests + validations :])
    return sides


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 2), min_size=3, max_size=80),
    st.sampled_from([0.0, 0.2, 0.31]),
    st.sampled_from([0.0, 0.1, 0.25]),
)
def test_the_first_of_each_class_by_hash_are_the_test_and_the_next_the_validation(own, test, validation):
    labels = np.array([0, 1, 2, *own])
    digests = digests_of(range(len(labels)))
    parts = parted(split_rows(labels, np.zeros(len(labels), np.uint8), digests, CLASSES, test, validation))
    expected = slow_split(labels, digests, test, validation)
    for name, texts in expected.items():
        assert {digests[row].tobytes().hex() for row in parts[name]} == texts


labelled = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(labelled, st.randoms(use_true_random=False), st.booleans())
def test_laws_of_every_split(images, random, parts_given):
    # 40 different ones a class first, so that every class keeps something to train on
    images = [(label, 1000 * (label + 1) + i, 1) for label in range(3) for i in range(40)] + images
    labels = np.array([label for label, _, _ in images])
    digests = digests_of(content for _, content, _ in images)
    given_ = np.array([part if parts_given else 0 for _, _, part in images], np.uint8)
    parts = parted(split_rows(labels, given_, digests, CLASSES, 0.2, 0.1))
    rows = np.concatenate(list(parts.values()))
    assert sorted(rows.tolist()) == list(range(len(images)))  # each image in one part
    for part in parts.values():
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    sides = {name: {digests[row].tobytes() for row in part} for name, part in parts.items()}
    assert not sides["train"] & sides["test"]
    assert not sides["train"] & sides["validation"]
    assert not sides["validation"] & sides["test"]
    order = list(range(len(images)))
    random.shuffle(order)
    again = parted(split_rows(labels[order], given_[order], digests[order], CLASSES, 0.2, 0.1))
    for name, part in again.items():
        assert sorted(order[row] for row in part) == parts[name].tolist()


def test_equal_bytes_go_to_one_side_whole():
    labels = np.zeros(30, np.int64)
    digests = digests_of([row // 3 for row in range(30)])  # ten images, three times each
    parts = split_rows(labels, np.zeros(30, np.uint8), digests, ["a"], 0.2, 0.1)
    assert len(parts.test) == 6
    assert len(parts.validation) == 3
    for part in (parts.train, parts.validation, parts.test):
        assert (np.bincount(part // 3)[np.unique(part // 3)] == 3).all()


def test_a_given_validation_part_without_a_test_is_the_test_and_validation_is_cut_from_training():
    labels = np.arange(60) % 2
    given_ = np.array([1] * 40 + [2] * 20, np.uint8)
    parts = split_rows(labels, given_, digests_of(range(60)), CLASSES[:2], 0.2, 0.1)
    assert parts.test.tolist() == list(range(40, 60))
    assert len(parts.validation) == 4
    assert len(parts.train) == 36
    assert any("given as validation" in note for note in parts.notes)


def test_three_given_parts_stay_as_they_are():
    given_ = np.array([1] * 10 + [2] * 4 + [3] * 6, np.uint8)
    parts = split_rows(np.arange(20) % 2, given_, digests_of(range(20)), CLASSES[:2], 0.5, 0.2)
    assert parts.train.tolist() == list(range(10))
    assert parts.validation.tolist() == list(range(10, 14))
    assert parts.test.tolist() == list(range(14, 20))
    assert parts.notes == []


def test_a_given_training_part_alone_is_parted_like_any_other_set():
    digests = digests_of(range(20))
    alone = split_rows(np.arange(20) % 2, np.ones(20, np.uint8), digests, CLASSES[:2], 0.2, 0.1)
    none = split_rows(np.arange(20) % 2, np.zeros(20, np.uint8), digests, CLASSES[:2], 0.2, 0.1)
    assert len(alone.test) == 4
    assert np.array_equal(alone.test, none.test)


def test_training_images_that_equal_a_test_image_are_left_out_and_counted():
    given_ = np.array([1] * 40 + [3] * 10, np.uint8)
    contents = [*range(40), *range(5), *range(100, 105)]
    parts = split_rows(np.arange(50) % 2, given_, digests_of(contents), CLASSES[:2], 0.2, 0.25)
    assert parts.left_out.tolist() == [0, 1, 2, 3, 4]
    assert len(parts.test) == 10
    assert len(parts.validation) == round(0.25 * 17) + round(0.25 * 18)  # of what is left in each class
    assert any(note.startswith("5 training images left out") for note in parts.notes)


def test_a_test_part_without_training_is_an_error():
    with pytest.raises(InputError, match="none for training"):
        split_rows(np.arange(4) % 2, np.full(4, 3, np.uint8), digests_of(range(4)), CLASSES[:2], 0.2, 0.1)


def test_a_class_without_a_training_image_is_an_error():
    labels = np.array([0] * 10 + [1])
    given_ = np.array([1] * 8 + [3] * 3, np.uint8)
    with pytest.raises(InputError, match="'b' has no training image"):
        split_rows(labels, given_, digests_of(range(11)), CLASSES[:2], 0.2, 0.1)


@pytest.mark.parametrize(("test", "validation"), [(0.6, 0.4), (1.0, 0.0), (-0.1, 0.1), (0.2, 1.5)])
def test_shares_that_leave_nothing_are_an_error(test, validation):
    with pytest.raises(InputError, match="leave nothing to train on"):
        split_rows(np.arange(9) % 3, np.zeros(9, np.uint8), digests_of(range(9)), CLASSES, test, validation)


def test_a_renamed_folder_with_renamed_files_has_the_same_split(photo_folder, tmp_path):
    first = pack(open_source(photo_folder), tmp_path / "first", stored=32)
    other = tmp_path / "elsewhere" / "other name"
    for path in sorted(photo_folder.rglob("*.jpg")):
        renamed = other / path.parent.name / "deeper" / f"{99 - int(path.stem)}.bin"  # in the opposite order
        renamed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, renamed)
    second = pack(open_source(other), tmp_path / "second", stored=32)
    assert first.fingerprint == second.fingerprint
    assert not np.array_equal(first.digests, second.digests)
    ours, theirs = parted(split(first)), parted(split(second))
    for name in ours:
        assert {first.digests[row].tobytes() for row in ours[name]} == {
            second.digests[row].tobytes() for row in theirs[name]
        }


def test_the_split_of_the_bundled_digits_never_changes(tmp_path):
    parts = split(pack(open_source("digits"), tmp_path / "digits"))
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (1259, 179, 359)
    # Of this order depends every figure that was ever reported on them.
    rows = np.concatenate([parts.train, parts.validation, parts.test]).astype("<i8")
    assert hashlib.sha256(rows.tobytes()).hexdigest()[:16] == "441e54c39a847720"


@pytest.mark.parametrize("kind", ["named", "idx", "imagenet", "dataset"])
def test_in_arrays_and_published_sets_equal_images_may_have_two_labels(array_source, tmp_path, kind):
    source = array_source((40, 8, 8))
    source.kind = kind
    source.arrays[1] = source.arrays[0]
    parts = split(pack(source, tmp_path / "out"))
    assert sum(len({0, 1} & set(part.tolist())) == 2 for part in parted(parts).values()) == 1  # on one side


def test_equal_files_under_two_labels_are_an_error_that_names_both(photo_folder, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(photo_folder, folder)
    shutil.copyfile(folder / "china/03.jpg", folder / "coffee/again.jpg")
    packed = pack(open_source(folder), tmp_path / "packed", stored=32)
    with pytest.raises(InputError, match=r"china/03\.jpg and coffee/again\.jpg"):
        split(packed)
    report = check(open_source(folder))
    assert not report.usable
    assert [p.path for p in report.problems if p.kind == "conflicting-labels"] == ["coffee/again.jpg"]
