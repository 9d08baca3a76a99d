"""A folder of IDX files, the format of MNIST (LeCun, Cortes, Burges: big-endian header, then bytes)."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from alexnet.data.folders import short_name
from alexnet.data.source import NOT_GIVEN, TEST, TRAIN, Source
from alexnet.errors import InputError

UINT8 = 0x08
FASHION_CLASSES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]


def has_idx(folder: Path) -> bool:
    """Whether a folder holds IDX images, by their names."""
    return bool(_image_files(folder))


def open_idx(folder: Path) -> Source:
    """The images of a folder of IDX files, gzipped or not.

    `train-images...` are given as training part, `t10k-images...` and `test-images...` as test. Fashion-MNIST
    (so called by a folder on its path) has its class names; other sets are called after their labels and
    taken for characters, which are not mirrored.

    Raises:
        InputError: a file is damaged, or its partner with the labels is not there.
    """
    images, numbers, given, paths = [], [], [], []
    for path in _image_files(folder):
        name = path.name.lower()
        pixels = _read(path, 3)
        labels = _read(_labels_of(path), 1)
        if len(labels) != len(pixels):
            raise InputError(f"{path} has {len(pixels)} images and {len(labels)} labels; fetch both files again")
        if images and pixels.shape[1:] != images[0].shape[1:]:
            raise InputError(f"{path} has images of another size than {paths[0]}; give one set at a time")
        part = TRAIN if "train" in name else TEST if "t10k" in name or "test" in name else NOT_GIVEN
        prefix = name.split("images")[0].strip("-_.") or "images"
        images.append(pixels)
        numbers.append(labels.astype(np.int64))
        given.append(np.full(len(pixels), part, np.uint8))
        paths += [f"{prefix}/{row}" for row in range(len(pixels))]
    is_fashion = any("fashion" in part.lower() for part in folder.resolve().parts)
    all_numbers = np.concatenate(numbers)
    if is_fashion and all_numbers.max(initial=0) < len(FASHION_CLASSES):
        classes, labels = FASHION_CLASSES, all_numbers
    else:
        present, labels = np.unique(all_numbers, return_inverse=True)
        classes = [str(number) for number in present]
    return Source(
        name=short_name(folder),
        spec=str(folder.resolve()),
        kind="idx",
        classes=list(classes),
        labels=labels.astype(np.int64),
        given=np.concatenate(given),
        paths=paths,
        arrays=np.concatenate(images),
        characters=not is_fashion,
    )


def _image_files(folder: Path) -> list[Path]:
    """The files of images, training first; where one lies there twice, the one that is not gzipped."""
    found = {}
    for path in sorted(folder.iterdir(), reverse=True):
        name = path.name.lower()
        if "images" in name and "idx3" in name and path.is_file():
            found[name.removesuffix(".gz")] = path
    return [found[name] for name in sorted(found, key=lambda name: ("train" not in name, name))]


def _labels_of(images: Path) -> Path:
    plain = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    for name in (plain, plain + ".gz"):
        if (images.parent / name).is_file():
            return images.parent / name
    raise InputError(f"{images} has no labels: {plain} (or {plain}.gz) is not beside it; put it there")


def _read(path: Path, dimensions: int) -> np.ndarray:
    """The array in an IDX file: uint8, of so many dimensions."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); fetch it again") from error
    start = 4 + 4 * dimensions
    shape = np.frombuffer(data[4:start], ">u4").astype(np.int64)
    if data[:4] != bytes([0, 0, UINT8, dimensions]) or len(data) != start + np.prod(shape):
        raise InputError(f"{path} is no whole IDX file of bytes in {dimensions} dimensions; fetch it again")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
