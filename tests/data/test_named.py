import hashlib
import pickle
import urllib.request
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import load_digits

from alexnet.data import NAMED, named, open_source
from alexnet.errors import InputError


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*arguments, **options):
        raise URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(named, "DEBIAN_FASHION_MNIST", named.Path("/nowhere"))


def test_digits_are_bundled_and_reach_from_black_to_white():
    source = open_source("digits")
    assert source.arrays.shape == (1797, 8, 8)
    assert source.arrays.dtype == np.uint8
    assert (source.arrays.min(), source.arrays.max()) == (0, 255)
    assert np.abs(source.arrays - load_digits().images * 255 / 16).max() <= 0.5
    assert np.array_equal(source.labels, load_digits().target)
    assert (source.name, source.spec, source.kind) == ("digits", "digits", "named")
    assert source.characters


@pytest.mark.parametrize("name", [name for name in NAMED if name not in ("digits", "imagenet")])
def test_without_a_network_the_folder_to_put_the_files_is_named(name, tmp_path):
    with pytest.raises(InputError, match="cannot be fetched") as caught:
        open_source(name, tmp_path / "sets")
    assert str(tmp_path / "sets") in str(caught.value)
    assert "\n" not in str(caught.value)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_and_fashion_mnist_come_from_torchvisions_files(name, folder, tmp_path):
    raw = tmp_path / folder / "raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28)).astype(np.uint8)
    labels = np.arange(30) % 10
    for part, rows in (("train", slice(0, 20)), ("t10k", slice(20, 30))):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images[rows]))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels[rows]))
    source = open_source(name, tmp_path)
    assert np.array_equal(source.arrays, images)
    assert np.array_equal(source.labels, labels)
    assert source.given.tolist() == [1] * 20 + [3] * 10
    assert source.characters == (name == "mnist")
    assert source.name == name
    assert np.array_equal(open_source(source.spec).arrays, images)  # its spec knows the folder


def test_debians_fashion_mnist_serves_where_it_is_installed(tmp_path, monkeypatch):
    for part, n in (("train", 20), ("t10k", 10)):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(np.zeros((n, 28, 28))))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(n) % 10))
    monkeypatch.setattr(named, "DEBIAN_FASHION_MNIST", tmp_path)
    source = open_source("fashion-mnist")
    assert (source.name, source.spec, len(source)) == ("fashion-mnist", "fashion-mnist", 30)
    assert source.classes[1] == "Trouser"


def test_cifar10_comes_from_torchvisions_files(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10

    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    rng = np.random.default_rng(0)
    batches = {}
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batches[name] = {"data": rng.integers(0, 256, (4, 3072)).astype(np.uint8), "labels": [0, 1, 2, 3]}
    batches["batches.meta"] = {"label_names": [f"kind {i}" for i in range(10)]}
    sums = {}
    for name, content in batches.items():
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [[f"data_batch_{i}", sums[f"data_batch_{i}"]] for i in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(
        CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    )
    source = open_source("cifar10", tmp_path)
    assert source.arrays.shape == (24, 32, 32, 3)
    first = batches["data_batch_1"]["data"][0].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(source.arrays[0], first)
    assert source.given.tolist() == [1] * 20 + [3] * 4
    assert source.classes[3] == "kind 3"


def test_imagenette_comes_from_torchvisions_files(tmp_path):
    from torchvision.datasets import Imagenette

    for part in ("train", "val"):
        for synset in Imagenette._WNID_TO_CLASS:
            folder = tmp_path / "imagenette2-320" / part / synset
            folder.mkdir(parents=True)
            Image.new("RGB", (9, 8)).save(folder / f"{part}.JPEG")
    source = open_source("imagenette", tmp_path)
    assert len(source) == 20
    assert source.classes[0] == "tench"
    assert source.given.tolist() == [1] * 10 + [2] * 10
    assert all(source.file(row).is_file() for row in range(20))


def test_flowers102_comes_from_torchvisions_files(tmp_path, monkeypatch):
    from torchvision.datasets import Flowers102

    folder = tmp_path / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    for number in range(1, 7):
        Image.new("RGB", (9, 8)).save(folder / f"jpg/image_{number:05}.jpg")
    savemat(folder / "setid.mat", {"trnid": [1, 4], "valid": [2, 5], "tstid": [3, 6]})
    savemat(folder / "imagelabels.mat", {"labels": [1, 1, 1, 102, 102, 102]})
    files = {"image": ("102flowers.tgz", "")}
    for key, name in (("label", "imagelabels.mat"), ("setid", "setid.mat")):
        files[key] = (name, hashlib.md5((folder / name).read_bytes()).hexdigest())
    monkeypatch.setattr(Flowers102, "_file_dict", files)
    source = open_source("flowers102", tmp_path)
    assert len(source.classes) == 102
    assert source.labels.tolist() == [0, 101] * 3
    assert source.given.tolist() == [1, 1, 2, 2, 3, 3]
    assert source.paths[0] == "flowers-102/jpg/image_00001.jpg"


def test_what_torchvision_prints_stays_off_standard_output(tmp_path, monkeypatch, capsys):
    def make(download: bool) -> str:
        if not download:
            raise RuntimeError("not found")
        print("Downloading")
        return "set"

    assert named._fetched("mnist", tmp_path, make) == "set"
    out, err = capsys.readouterr()
    assert out == ""
    assert "Downloading" in err


def test_a_name_wins_over_a_folder_and_says_so(tmp_path, monkeypatch, capsys):
    (tmp_path / "digits/a").mkdir(parents=True)
    Image.new("RGB", (9, 8)).save(tmp_path / "digits/a/1.png")
    monkeypatch.chdir(tmp_path)
    assert len(open_source("digits")) == 1797
    assert "./digits" in capsys.readouterr().err
    assert len(open_source("./digits")) == 1
