import gzip
from pathlib import Path

import numpy as np
import pytest

from alexnet.data import open_source
from alexnet.errors import InputError


def write_idx(path: Path, array: np.ndarray) -> None:
    """`array` as an IDX file of bytes, gzipped where the name says so."""
    data = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def lay(folder: Path, suffix: str = "", count: int = 20, top: int = 10) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A training and a test part of `count` and half as many images."""
    parts = {}
    for seed, (part, n) in enumerate({"train": count, "t10k": count // 2}.items()):
        images = np.random.default_rng(seed).integers(0, 256, (n, 7, 5)).astype(np.uint8)
        labels = np.arange(n) % top
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", labels)
        parts[part] = images, labels
    return parts


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_train_and_t10k_files_are_given_parts(tmp_path, suffix):
    parts = lay(tmp_path / "letters", suffix)
    source = open_source(tmp_path / "letters")
    assert source.kind == "idx"
    assert np.array_equal(source.arrays, np.concatenate([parts["train"][0], parts["t10k"][0]]))
    assert np.array_equal(source.labels, np.concatenate([parts["train"][1], parts["t10k"][1]]))
    assert source.given.tolist() == [1] * 20 + [3] * 10
    assert source.classes == [str(digit) for digit in range(10)]
    assert source.paths[0] == "train/0"
    assert source.paths[20] == "t10k/0"


def test_a_folder_called_fashion_has_the_names_and_may_be_mirrored(tmp_path):
    lay(tmp_path / "my-fashion-set")
    source = open_source(tmp_path / "my-fashion-set")
    assert source.classes[0] == "T-shirt/top"
    assert source.classes[9] == "Ankle boot"
    assert not source.characters


def test_other_sets_are_taken_for_characters(tmp_path):
    lay(tmp_path / "letters")
    assert open_source(tmp_path / "letters").characters


def test_labels_that_do_not_begin_at_nought_keep_their_names(tmp_path):
    images, labels = np.zeros((6, 4, 4)), np.array([1, 26, 1, 26, 5, 5])
    write_idx(tmp_path / "letters-images-idx3-ubyte", images)
    write_idx(tmp_path / "letters-labels-idx1-ubyte", labels)
    source = open_source(tmp_path)
    assert source.classes == ["1", "5", "26"]
    assert source.labels.tolist() == [0, 2, 0, 2, 1, 1]
    assert not source.given.any()


def test_of_a_plain_and_a_gzipped_file_one_is_read(tmp_path):
    lay(tmp_path, ".gz")
    lay(tmp_path)
    assert len(open_source(tmp_path)) == 30


def test_images_without_labels_are_an_error(tmp_path):
    lay(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte"):
        open_source(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_cut_short_is_an_error(tmp_path, suffix):
    lay(tmp_path, suffix)
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="fetch it again"):
        open_source(tmp_path)


def test_another_number_of_labels_than_images_is_an_error(tmp_path):
    lay(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(3))
    with pytest.raises(InputError, match="20 images and 3 labels"):
        open_source(tmp_path)
