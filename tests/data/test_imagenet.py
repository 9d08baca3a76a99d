from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from alexnet.data import open_source, pack, split
from alexnet.errors import InputError

SYNSETS = {"n01440764": "tench, Tinca tinca", "n01443537": "goldfish", "n03045698": "cloak", "n02012849": "crane"}
# The development kit numbers synsets otherwise than by their ids; a validation image's number is the kit's.
KIT_NUMBERS = {"n03045698": 1, "n01443537": 2, "n02012849": 3, "n01440764": 4}
TRUTH = [4, 1, 3, 2, 2, 4]  # of validation images 1 to 6


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (80, 70, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path, "JPEG")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """ImageNet in miniature: four synsets, three training images each and six validation images."""
    for i, synset in enumerate(SYNSETS):
        for j in range(3):
            picture(tmp_path / f"train/{synset}/{synset}_{j}.JPEG", 10 * i + j)
    for number in range(1, 7):
        picture(tmp_path / f"val/ILSVRC2012_val_{number:08}.JPEG", 100 + number)
    return tmp_path


def add_kit(folder: Path) -> None:
    kit = folder / "ILSVRC2012_devkit_t12/data"
    kit.mkdir(parents=True)
    table = np.zeros(5, [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")])
    for row, (synset, number) in zip(table, KIT_NUMBERS.items()):
        row["ILSVRC2012_ID"], row["WNID"], row["words"] = number, synset, SYNSETS[synset]
        row["gloss"], row["num_children"] = "", 0
    table[4] = (5, "n00015388", "animal", "", 3)  # an inner node of the tree, which no image shows
    savemat(kit / "meta.mat", {"synsets": table})
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(map(str, TRUTH)) + "\n")


def synset_of_validation() -> list[str]:
    by_number = {number: synset for synset, number in KIT_NUMBERS.items()}
    return [by_number[number] for number in TRUTH]


def test_the_development_kit_tells_the_validation_images_classes(folder):
    add_kit(folder)
    source = open_source(folder)
    assert source.kind == "imagenet"
    assert source.classes == ["n01440764 tench", "n01443537 goldfish", "n02012849 crane", "n03045698 cloak"]
    assert source.given.tolist() == [1] * 12 + [2] * 6
    assert [source.classes[label].split()[0] for label in source.labels[12:]] == synset_of_validation()
    assert [path.split("/")[1] for path in source.paths[:12]] == [
        source.classes[label].split()[0] for label in source.labels[:12]
    ]


def test_kaggles_tables_tell_it_too(folder):
    lines = [
        f"ILSVRC2012_val_{i:08},{synset} 1 2 3 4 {synset} 5 6 7 8" for i, synset in enumerate(synset_of_validation(), 1)
    ]
    (folder / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "\n".join(lines[::-1]) + "\n")
    (folder / "LOC_synset_mapping.txt").write_text("".join(f"{synset} {words}\n" for synset, words in SYNSETS.items()))
    source = open_source("imagenet", folder)
    assert source.classes[0] == "n01440764 tench"
    assert [source.classes[label].split()[0] for label in source.labels[12:]] == synset_of_validation()


def test_validation_images_in_folders_by_synset_need_no_table(folder):
    for number, synset in enumerate(synset_of_validation(), 1):
        name = f"ILSVRC2012_val_{number:08}.JPEG"
        (folder / "val" / synset).mkdir(exist_ok=True)
        (folder / "val" / name).rename(folder / "val" / synset / name)
    source = open_source(f"imagenet@{folder}")
    assert source.classes == sorted(SYNSETS)
    assert sorted(source.classes[label] for label in source.labels[12:]) == sorted(synset_of_validation())


def test_a_missing_validation_image_does_not_shift_the_others(folder):
    add_kit(folder)
    (folder / "val/ILSVRC2012_val_00000002.JPEG").unlink()
    source = open_source(folder)
    expected = synset_of_validation()
    del expected[1]
    assert [source.classes[label].split()[0] for label in source.labels[12:]] == expected


def test_the_given_validation_part_is_the_test(folder):
    add_kit(folder)
    packed = pack(open_source(folder), folder / "packed", size=56)
    parts = split(packed, validation=0.34)
    assert parts.test.tolist() == list(range(12, 18))
    assert len(parts.validation) == 4
    assert packed.shape == (64, 64, 3)


def test_without_a_table_what_is_missing_is_named(folder):
    with pytest.raises(InputError, match="ILSVRC2012_devkit_t12"):
        open_source(folder)


def test_images_of_classes_without_training_folder_are_named(folder):
    add_kit(folder)
    (folder / "train/n03045698").rename(folder / "gone")
    source = open_source(folder)
    assert [(p.path, p.kind) for p in source.problems] == [("ILSVRC2012_val_00000002.JPEG", "unknown-class")]
    assert len(source) == 9 + 5


def test_the_name_alone_asks_for_the_folder():
    with pytest.raises(InputError, match="--root"):
        open_source("imagenet")


def test_archives_that_were_not_unpacked_are_an_error(tmp_path):
    (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(b"")
    with pytest.raises(InputError, match="unpack"):
        open_source("imagenet", tmp_path)
