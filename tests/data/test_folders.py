import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data import check, open_source
from alexnet.errors import InputError


def lay(folder: Path, *paths: str) -> Path:
    """Small images of chance at `paths`, all different."""
    for i, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng([i, len(path)]).integers(0, 256, (9, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / path, "PNG")
    return folder


def test_the_first_level_is_the_class_and_deeper_files_belong_to_it(tmp_path):
    source = open_source(lay(tmp_path / "pets", "dog/1.png", "cat/b/c/2.png", "cat/a.png"))
    assert source.kind == "folder"
    assert source.name == "pets"
    assert source.classes == ["cat", "dog"]
    assert source.paths == ["cat/a.png", "cat/b/c/2.png", "dog/1.png"]
    assert source.labels.tolist() == [0, 0, 1]
    assert source.labels.dtype == np.int64
    assert not source.given.any()
    assert source.problems == []
    assert Path(source.spec).is_absolute()
    assert not source.characters


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_train_val_and_test_folders_are_given_parts(tmp_path, validation):
    paths = [f"{part}/{name}/{part}.png" for part in ("train", validation, "test") for name in ("a", "b")]
    source = open_source(lay(tmp_path, *paths))
    assert source.classes == ["a", "b"]
    assert source.given.tolist() == [1, 1, 2, 2, 3, 3]
    assert source.given.dtype == np.uint8


def test_train_beside_other_folders_is_a_class(tmp_path):
    source = open_source(lay(tmp_path, "train/1.png", "bus/1.png", "tram/1.png"))
    assert source.classes == ["bus", "train", "tram"]


def test_a_train_folder_without_class_folders_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no class folders"):
        open_source(lay(tmp_path, "train/1.png", "val/2.png"))


def test_parts_without_a_training_part_are_an_error(tmp_path):
    with pytest.raises(InputError, match="test/ and val/ and no train/"):
        open_source(lay(tmp_path, "val/a/1.png", "test/a/2.png"))


def test_folders_beside_the_parts_are_named(tmp_path):
    source = open_source(lay(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "notes/x/3.png"))
    assert len(source) == 3
    assert [(p.path, p.kind) for p in source.problems] == [("notes", "beside-classes")]


def test_files_beside_the_class_folders_are_named(tmp_path):
    source = open_source(lay(tmp_path, "a/1.png", "b/1.png", "lost.png"))
    assert [(p.path, p.kind) for p in source.problems] == [("lost.png", "beside-classes")]


def test_hidden_files_are_passed_over(tmp_path):
    source = open_source(lay(tmp_path, "a/1.png", "b/1.png", ".cache/x.png", "a/._1.png", "__MACOSX/a/1.png"))
    assert source.paths == ["a/1.png", "b/1.png"]
    assert source.problems == []


def test_links_are_followed_and_loops_are_named(tmp_path):
    lay(tmp_path / "elsewhere", "1.png")
    folder = lay(tmp_path / "set", "a/1.png", "b/1.png")
    (folder / "c").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "a/round").symlink_to(folder, target_is_directory=True)
    (folder / "b/self").symlink_to("self")
    (folder / "b/gone").symlink_to("nowhere")
    (folder / "d").symlink_to("nowhere")
    source = open_source(folder)
    assert source.paths == ["a/1.png", "b/1.png", "c/1.png"]
    assert {p.path: p.kind for p in source.problems} == {
        "a/round": "link-loop",
        "b/self": "link-loop",
        "b/gone": "broken-link",
        "d": "broken-link",
    }


def test_a_folder_of_loose_images_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no class folders"):
        open_source(lay(tmp_path, "1.png", "2.png"))


def test_class_folders_without_files_are_an_error(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="not one file"):
        open_source(tmp_path)


def test_what_is_not_there_is_an_error_that_names_the_choices(tmp_path):
    with pytest.raises(InputError, match=r"there is no .*digits, mnist"):
        open_source(tmp_path / "nothing")


def test_an_archive_is_to_be_unpacked_first(tmp_path):
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="unpack"):
        open_source(tmp_path / "set.zip")


def test_a_name_that_is_no_unicode_is_read_and_can_be_printed(tmp_path):
    folder = lay(tmp_path, "a/1.png", "b/1.png")
    odd = os.fsencode(folder) + b"/a/\xff.png"
    with open(odd, "wb") as file:  # noqa: PTH123
        file.write((folder / "a/1.png").read_bytes()[:100])
    report = check(open_source(folder))
    assert [p.path for p in report.problems if p.kind == "truncated"] == ["a/\\xff.png"]
    json.dumps(report.to_dict(), ensure_ascii=False).encode()


# Root may read everything, so that another user has to look: a child takes the user id of "nobody".
LOOK = """
import json, os, sys
from PIL import Image
from alexnet.data import check, open_source
Image.init()
if os.getuid() == 0:
    os.setuid(65534)
print(json.dumps(check(open_source(sys.argv[1])).to_dict()))
"""


def test_what_this_user_may_not_read_is_named_and_skipped():
    with tempfile.TemporaryDirectory(prefix="alexnet-permission-") as name:
        folder = lay(Path(name), "a/1.png", "a/2.png", "a/shut/3.png", "b/1.png", "b/2.png")
        folder.chmod(0o755)
        (folder / "a/2.png").chmod(0)
        (folder / "a/shut").chmod(0)
        try:
            done = subprocess.run([sys.executable, "-c", LOOK, name], capture_output=True, text=True, check=False)
        finally:
            (folder / "a/shut").chmod(0o755)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["images"] == 3
    assert {p["path"]: p["kind"] for p in report["problems"] if p["kind"] != "tiny-class"} == {
        "a/2.png": "no-permission",
        "a/shut": "no-permission",
    }
