"""ImageNet's classification set of 2012 as it is distributed.

Training images lie in a folder for each synset, validation images flat, their classes in a file
apart: in the development kit, or in the table of the distribution by Kaggle.
"""

import csv
import re
from pathlib import Path

import numpy as np

from alexnet.data.folders import class_folders
from alexnet.data.source import TRAIN, VALIDATION, Problem, Source, printable
from alexnet.errors import InputError

SYNSET = re.compile(r"n\d{8}$")
VALIDATION_IMAGE = re.compile(r"ILSVRC2012_val_(\d{8})\.", re.IGNORECASE)
TRAIN_FOLDERS = ("train", "ILSVRC2012_img_train", "Data/CLS-LOC/train", "ILSVRC/Data/CLS-LOC/train")
VALIDATION_FOLDERS = ("val", "ILSVRC2012_img_val", "Data/CLS-LOC/val", "ILSVRC/Data/CLS-LOC/val")
KIT_FOLDERS = ("ILSVRC2012_devkit_t12/data", "devkit/data", "data", ".")
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def is_imagenet(folder: Path) -> bool:
    """Whether `folder` has class folders by synset and flat validation images."""
    train, validation = _first(folder, TRAIN_FOLDERS), _first(folder, VALIDATION_FOLDERS)
    return bool(
        train
        and validation
        and any(SYNSET.match(path.name) for path in train.iterdir())
        and any(VALIDATION_IMAGE.match(path.name) for path in validation.iterdir())
    )


def open_imagenet(folder: Path) -> Source:
    """ImageNet 2012 in `folder`: training images by synset, validation images given as validation.

    Classes are in the order of their synset's id, and called "n01440764 tench" where the synset's words
    are known. Needed beside the images: the development kit's ground truth with its meta.mat, or
    LOC_val_solution.csv; neither where the validation images lie in folders by synset.

    Raises:
        InputError: there is no training folder, or the validation images' classes are nowhere told.
    """
    folder = Path(folder).resolve()
    train = _first(folder, TRAIN_FOLDERS)
    if train is None:
        raise InputError(
            f"{folder} has no training images of ImageNet ({', '.join(TRAIN_FOLDERS)}); unpack "
            "ILSVRC2012_img_train.tar and the archives in it, each into a folder named after its synset"
        )
    problems: list[Problem] = []
    found: list[tuple[str, int, str]] = []  # synset, part, path
    synsets = []
    for name, paths in class_folders(folder, train, problems):
        if not SYNSET.match(name):
            problems.append(Problem(name, "beside-classes", "is named after no synset: passed over"))
            continue
        synsets.append(name)
        found += [(name, TRAIN, path) for path in paths]
    if not found:
        raise InputError(f"{train} has no folder of images named after a synset (n01440764); unpack the archives")
    kit = _kit(folder)
    validation = _first(folder, VALIDATION_FOLDERS)
    if validation:
        found += _validation(folder, validation, kit, set(synsets), problems)
    number = {synset: label for label, synset in enumerate(sorted(synsets))}
    words = _words(folder, kit)
    return Source(
        name="imagenet",
        spec=str(folder),
        kind="imagenet",
        classes=[f"{synset} {words[synset]}" if synset in words else synset for synset in number],
        labels=np.array([number[synset] for synset, _, _ in found], np.int64),
        given=np.array([part for _, part, _ in found], np.uint8),
        paths=[path for _, _, path in found],
        folder=folder,
        problems=problems,
    )


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _kit(folder: Path) -> list[tuple[int, str, str]]:
    """Number, synset and first word of each class, as the development kit numbers them; [] without it.

    Above 1,000 it numbers kinds of kinds too, which no image is labelled with.
    """
    from scipy.io import loadmat

    for place in KIT_FOLDERS:
        if (folder / place / "meta.mat").is_file():
            table = loadmat(folder / place / "meta.mat", squeeze_me=True)["synsets"]
            return [
                (int(row["ILSVRC2012_ID"]), str(row["WNID"]), str(row["words"]).split(",")[0])
                for row in np.atleast_1d(table)
            ]
    return []


def _validation(
    folder: Path,
    validation: Path,
    kit: list[tuple[int, str, str]],
    synsets: set[str],
    problems: list[Problem],
) -> list[tuple[str, int, str]]:
    """Synset, part and path of each validation image."""
    images = sorted(path for path in validation.iterdir() if VALIDATION_IMAGE.match(path.name))
    if images:
        synset_of = _ground_truth(folder, kit)
        known = [(synset_of.get(int(VALIDATION_IMAGE.match(path.name)[1]), ""), path) for path in images]  # type: ignore[index]
    else:
        sorted_folders = class_folders(folder, validation, problems)
        known = [(name, folder / path) for name, paths in sorted_folders for path in paths]
    for synset, path in known:
        if synset not in synsets:
            reason = f"its class {synset} has no training folder" if synset else "the ground truth does not have it"
            problems.append(Problem(printable(path.name), "unknown-class", f"{reason}: passed over"))
    return [(synset, VALIDATION, str(path.relative_to(folder))) for synset, path in known if synset in synsets]


def _ground_truth(folder: Path, kit: list[tuple[int, str, str]]) -> dict[int, str]:
    """The synset of validation image 1, 2, ..."""
    table = folder / "LOC_val_solution.csv"
    if table.is_file():
        with table.open(newline="") as file:
            rows = [(row["ImageId"], row["PredictionString"].split()[0]) for row in csv.DictReader(file)]
        return {int(name.rsplit("_", 1)[1]): synset for name, synset in rows}
    synset_of = {number: synset for number, synset, _ in kit}
    for place in KIT_FOLDERS:
        path = folder / place / GROUND_TRUTH
        if path.is_file() and kit:
            numbers = path.read_text().split()
            return {image: synset_of.get(int(number), "") for image, number in enumerate(numbers, 1)}
    raise InputError(
        f"{folder} does not tell the classes of its validation images; put ILSVRC2012_devkit_t12 "
        f"({GROUND_TRUTH} and meta.mat) or LOC_val_solution.csv there"
    )


def _words(folder: Path, kit: list[tuple[int, str, str]]) -> dict[str, str]:
    """The first word of each synset."""
    mapping = folder / "LOC_synset_mapping.txt"
    if mapping.is_file():
        pairs = (line.partition(" ") for line in mapping.read_text(encoding="utf-8").splitlines())
        return {synset: words.split(",")[0] for synset, _, words in pairs}
    return {synset: word for _, synset, word in kit}
