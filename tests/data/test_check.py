import json
import shutil

import numpy as np
import pytest
from PIL import Image

from alexnet.data import check, open_source, pack
from alexnet.errors import InputError


def kinds(report, *without: str) -> dict[str, str]:
    return {problem.path: problem.kind for problem in report.problems if problem.kind not in without}


def test_every_odd_file_is_read_or_named(odd_folder):
    report = check(open_source(odd_folder.path))
    assert kinds(report, "same-pixels", "duplicate") == odd_folder.problems
    assert report.images == len(odd_folder.readable)
    assert sum(report.classes.values()) == report.images
    assert report.usable
    assert [p.path for p in report.problems if p.kind == "duplicate"] == ["blue/linked.png"]


def test_the_report_is_one_json_document(odd_folder):
    report = check(open_source(odd_folder.path)).to_dict()
    assert {"images", "classes", "problems", "parts"} <= set(report)
    assert set(report["problems"][0]) == {"path", "kind", "detail"}
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_good_folder_has_no_problem_and_its_parts_are_counted(photo_folder):
    report = check(open_source(photo_folder))
    assert report.problems == []
    assert report.classes == {"astronaut": 15, "china": 15, "coffee": 15, "flower": 15}
    assert report.parts == {"train": 40, "validation": 8, "test": 12, "left_out": 0}
    assert report.usable


@pytest.fixture
def folder(photo_folder, tmp_path):
    shutil.copytree(photo_folder, tmp_path / "set")
    return tmp_path / "set"


def test_equal_bytes_name_the_other(folder):
    shutil.copyfile(folder / "china/03.jpg", folder / "china/zz.jpg")
    report = check(open_source(folder))
    assert kinds(report) == {"china/zz.jpg": "duplicate"}
    assert "china/03.jpg" in report.problems[0].detail
    assert report.usable


def test_equal_pixels_in_other_bytes_are_reported(folder):
    with Image.open(folder / "china/03.jpg") as image:
        image.save(folder / "china/zz.png")
    assert kinds(check(open_source(folder))) == {"china/zz.png": "same-pixels"}


def test_equal_bytes_in_training_and_test_are_reported_and_left_out(folder, tmp_path):
    given = tmp_path / "given"
    shutil.copytree(folder, given / "train")
    for name in ("astronaut", "china", "coffee", "flower"):
        (given / "test" / name).mkdir(parents=True)
        (given / "train" / name / "00.jpg").rename(given / "test" / name / "00.jpg")
    shutil.copyfile(given / "test/china/00.jpg", given / "train/china/zz.jpg")
    report = check(open_source(given))
    assert kinds(report) == {"test/china/00.jpg": "in-two-parts"}
    assert report.parts["left_out"] == 1
    assert report.parts["test"] == 4
    assert report.usable


def test_an_empty_class_is_fatal_and_pack_refuses_it(folder, tmp_path):
    (folder / "empty").mkdir()
    report = check(open_source(folder))
    assert kinds(report) == {"empty": "empty-class"}
    assert report.classes["empty"] == 0
    assert not report.usable
    with pytest.raises(InputError, match="'empty' without a readable image"):
        pack(open_source(folder), tmp_path / "out")
    assert not (tmp_path / "out.partial").exists()


def test_a_class_of_which_nothing_can_be_read_is_fatal_too(folder, tmp_path):
    (folder / "broken").mkdir()
    (folder / "broken/1.jpg").write_bytes(b"no picture")
    report = check(open_source(folder))
    assert kinds(report) == {"broken": "empty-class", "broken/1.jpg": "not-an-image"}
    assert not report.usable
    with pytest.raises(InputError, match=r"'broken' without.*broken/1\.jpg"):
        pack(open_source(folder), tmp_path / "out", stored=16)


def test_one_class_only_is_fatal(folder, tmp_path):
    for name in ("astronaut", "china", "coffee"):
        shutil.rmtree(folder / name)
    report = check(open_source(folder))
    assert kinds(report) == {"flower": "one-class"}
    assert not report.usable
    with pytest.raises(InputError, match="'flower' is the only class"):
        pack(open_source(folder), tmp_path / "out")


def test_no_readable_image_at_all_is_fatal(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "1.png").write_bytes(b"")
    report = check(open_source(tmp_path / "set"))
    assert "no-image" in {problem.kind for problem in report.problems}
    assert report.images == 0
    assert not report.usable
    with pytest.raises(InputError, match="not one readable image"):
        pack(open_source(tmp_path / "set"), tmp_path / "out")


def test_tiny_and_unbalanced_classes_are_reported(folder):
    for i in range(2, 15):
        (folder / f"flower/{i:02}.jpg").unlink()
    for i in range(15):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"coffee/more{i}.png")
    report = check(open_source(folder))
    found = [(problem.path, problem.kind) for problem in report.problems]
    assert found == [("flower", "tiny-class"), ("flower", "unbalanced")]
    assert report.usable


def test_shares_that_leave_a_class_untrained_are_fatal(folder):
    for i in range(1, 15):
        (folder / f"flower/{i:02}.jpg").unlink()
    report = check(open_source(folder), test=0.6, validation=0.1)
    assert "no-split" in {problem.kind for problem in report.problems}
    assert not report.usable


def test_equal_arrays_under_two_labels_are_only_reported(array_source):
    source = array_source()
    source.arrays[1] = source.arrays[0]
    report = check(source)
    assert kinds(report) == {"noise/1": "same-pixels"}
    assert report.usable


def test_a_packed_folder_is_checked_with_its_checksums(photo_folder, tmp_path):
    pack(open_source(photo_folder), tmp_path / "packed", stored=32)
    report = check(open_source(tmp_path / "packed"))
    assert report.images == 60
    assert report.usable
    with (tmp_path / "packed/images.npy").open("r+b") as file:
        file.seek(5000)
        file.write(b"\0\1\2\3\4")
    report = check(open_source(tmp_path / "packed"))
    assert kinds(report) == {"images.npy": "checksum"}
    assert not report.usable
