"""Sets that go by a name: digits, which scikit-learn brings along, and those that torchvision fetches."""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TypeVar

import numpy as np

from alexnet.data.cache import cache_folder
from alexnet.data.idx import FASHION_CLASSES, has_idx, open_idx
from alexnet.data.imagenet import open_imagenet
from alexnet.data.source import TEST, TRAIN, VALIDATION, Source
from alexnet.errors import InputError
from alexnet.progress import note

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist

Set = TypeVar("Set")


def open_named(name: str, root: Path | None) -> Source:
    """The set called `name`, fetched into `root` where it is not there yet.

    Args:
        name: one of NAMED.
        root: where torchvision keeps its sets, by default `datasets` in the cache folder; or where
            ImageNet lies.

    Raises:
        InputError: it is not there and cannot be fetched.
    """
    source = NAMED[name](root or cache_folder() / "datasets")
    if name == "imagenet":
        return source
    source.name = name
    source.spec = name if root is None else f"{name}@{root.resolve()}"
    source.kind = "named"
    return source


def digits(root: Path) -> Source:
    """1,797 handwritten digits of 8 x 8 pixels (Alpaydin and Kaynak 1998), bundled with scikit-learn."""
    from sklearn.datasets import load_digits

    grey, labels = load_digits(return_X_y=True)  # 0..16 [n, 64]
    images = np.floor(grey.reshape(-1, 8, 8) * (255 / 16) + 0.5).astype(np.uint8)
    return _of_arrays("digits", [str(digit) for digit in range(10)], [(0, images, np.asarray(labels))], characters=True)


def mnist(root: Path) -> Source:
    """70,000 handwritten digits of 28 x 28 pixels (LeCun et al. 1998)."""
    from torchvision.datasets import MNIST

    sets = _fetched(
        "mnist",
        root,
        lambda download: [MNIST(str(root), train, download=download) for train in (True, False)],
    )
    parts = [(part, set_.data.numpy(), set_.targets.numpy()) for part, set_ in zip((TRAIN, TEST), sets)]
    return _of_arrays("mnist", [str(digit) for digit in range(10)], parts, characters=True)


def fashion_mnist(root: Path) -> Source:
    """70,000 pieces of clothing of 28 x 28 pixels (Xiao et al. 2017); Debian's copy where it is installed."""
    from torchvision.datasets import FashionMNIST

    if DEBIAN_FASHION_MNIST.is_dir() and has_idx(DEBIAN_FASHION_MNIST):
        return open_idx(DEBIAN_FASHION_MNIST)
    sets = _fetched(
        "fashion-mnist",
        root,
        lambda download: [FashionMNIST(str(root), train, download=download) for train in (True, False)],
    )
    parts = [(part, set_.data.numpy(), set_.targets.numpy()) for part, set_ in zip((TRAIN, TEST), sets)]
    return _of_arrays("fashion-mnist", FASHION_CLASSES, parts)


def cifar10(root: Path) -> Source:
    """60,000 colour photographs of 32 x 32 pixels (Krizhevsky 2009)."""
    from torchvision.datasets import CIFAR10

    sets = _fetched(
        "cifar10",
        root,
        lambda download: [CIFAR10(str(root), train, download=download) for train in (True, False)],
    )
    parts = [(part, set_.data, np.array(set_.targets)) for part, set_ in zip((TRAIN, TEST), sets)]
    return _of_arrays("cifar10", sets[0].classes, parts)


def imagenette(root: Path) -> Source:
    """Ten easy classes of ImageNet, 13,394 photographs, here with a shorter side of 320 (fast.ai 2019)."""
    from torchvision.datasets import Imagenette

    sets = _fetched(
        "imagenette",
        root,
        lambda download: [Imagenette(root, part, size="320px", download=download) for part in ("train", "val")],
    )
    parts = [(part, *zip(*set_._samples)) for part, set_ in zip((TRAIN, VALIDATION), sets)]
    return _of_files([names[0] for names in sets[0].classes], parts, root)


def flowers102(root: Path) -> Source:
    """102 kinds of flowers, 8,189 photographs in three parts (Nilsback and Zisserman 2008)."""
    from torchvision.datasets import Flowers102

    sets = _fetched(
        "flowers102",
        root,
        lambda download: [Flowers102(root, part, download=download) for part in ("train", "val", "test")],
    )
    parts = [(part, set_._image_files, set_._labels) for part, set_ in zip((TRAIN, VALIDATION, TEST), sets)]
    return _of_files(list(sets[0].classes), parts, root)


NAMED: dict[str, Callable[[Path], Source]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
    "imagenette": imagenette,
    "flowers102": flowers102,
    "imagenet": open_imagenet,
}


def _fetched(name: str, root: Path, make: Callable[[bool], Set]) -> Set:
    """What `make` gives without a download, or else with one."""
    try:
        return make(False)
    except (RuntimeError, OSError):  # torchvision's way to say that it is not there, or not whole
        note(f"{name}: fetching it into {root}")
    try:
        root.mkdir(parents=True, exist_ok=True)
        with redirect_stdout(sys.stderr):  # torchvision prints there, where results alone belong
            return make(True)
    except (RuntimeError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{name} is not in {root} and cannot be fetched ({reason}); put torchvision's files of it there, "
            "name their folder with --root, or use `digits`, which is bundled"
        ) from error


def _of_arrays(
    name: str, classes: list[str], parts: list[tuple[int, np.ndarray, np.ndarray]], characters: bool = False
) -> Source:
    names = {0: name, TRAIN: "train", TEST: "test"}
    return Source(
        name=name,
        spec=name,
        kind="named",
        classes=list(classes),
        labels=np.concatenate([labels for _, _, labels in parts]).astype(np.int64),
        given=np.concatenate([np.full(len(images), part, np.uint8) for part, images, _ in parts]),
        paths=[f"{names[part]}/{row}" for part, images, _ in parts for row in range(len(images))],
        arrays=np.concatenate([images for _, images, _ in parts]),
        characters=characters,
    )


def _of_files(classes: list[str], parts: list[tuple], root: Path) -> Source:
    paths = [Path(path) for _, files, _ in parts for path in files]
    return Source(
        name="",
        spec="",
        kind="named",
        classes=classes,
        labels=np.concatenate([np.array(labels) for _, _, labels in parts]).astype(np.int64),
        given=np.concatenate([np.full(len(files), part, np.uint8) for part, files, _ in parts]),
        paths=[str(path.relative_to(root)) for path in paths],
        folder=root,
    )
