import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data import is_packed, open_packed, open_source, pack
from alexnet.data.journal import Journal
from alexnet.data.lock import only_process
from alexnet.data.stored import storage_for
from alexnet.errors import InputError
from alexnet.images import centre_square, read_image, shorter_side_to

pack_module = sys.modules["alexnet.data.pack"]


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a pack."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_digits_keep_their_size_and_their_one_channel(tmp_path):
    source = open_source("digits")
    packed = pack(source, tmp_path / "digits")
    assert packed.shape == (8, 8, 1)
    assert packed.native
    assert packed.stored == 8
    assert packed.characters
    assert (packed.name, packed.spec, packed.kind) == ("digits", "digits", "named")
    assert np.array_equal(packed.read(np.arange(1797))[..., 0], source.arrays)
    assert np.array_equal(packed.labels, source.labels)
    assert packed.digests[5].tobytes() == hashlib.sha256(source.arrays[5].tobytes()).digest()


def test_colour_arrays_keep_their_channels(array_source, tmp_path):
    source = array_source((10, 32, 32, 3))
    packed = pack(source, tmp_path / "out")
    assert packed.shape == (32, 32, 3)
    assert np.array_equal(packed.read(np.arange(10)), source.arrays)


def test_large_arrays_are_stored_like_photographs(array_source, tmp_path):
    packed = pack(array_source((6, 90, 70)), tmp_path / "out", size=56)
    assert packed.shape == (64, 64, 3)
    assert not packed.native


def test_small_files_of_one_shape_keep_it(tmp_path):
    images = {}
    for i in range(6):
        path = tmp_path / "set" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        images[path] = np.random.default_rng(i).integers(0, 256, (20, 28, 3)).astype(np.uint8)
        Image.fromarray(images[path]).save(path)
    packed = pack(open_source(tmp_path / "set"), tmp_path / "out")
    assert packed.native
    assert packed.shape == (20, 28, 3)
    assert packed.stored == 20
    for row, name in enumerate(packed.paths):
        assert np.array_equal(packed.read(np.array([row]))[0], images[tmp_path / "set" / name])
    asked = pack(open_source(tmp_path / "set"), tmp_path / "asked", stored=16)
    assert not asked.native
    assert asked.shape == (16, 16, 3)


def test_one_image_of_another_shape_makes_photographs_of_them_all(tmp_path):
    for i in range(6):
        path = tmp_path / "set" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (28, 20 + (i == 5))).save(path)
    packed = pack(open_source(tmp_path / "set"), tmp_path / "out", size=28)
    assert not packed.native
    assert packed.shape == (32, 32, 3)


def test_photographs_are_centre_squares_of_the_stored_side(photo_folder, tmp_path):
    packed = pack(open_source(photo_folder), tmp_path / "out", size=56)
    assert packed.shape == (64, 64, 3)
    assert packed.stored == 64
    assert packed.layout == "raw"
    for row in (0, 20, 59):
        data = (photo_folder / packed.paths[row]).read_bytes()
        expected = centre_square(shorter_side_to(read_image(data), 64))
        assert np.array_equal(packed.read(np.array([row]))[0], expected)
        assert packed.digests[row].tobytes() == hashlib.sha256(data).digest()


def test_the_stored_side_is_256_for_a_net_of_224(photo_folder, tmp_path):
    assert pack(open_source(photo_folder), tmp_path / "a").stored == 256
    assert pack(open_source(photo_folder), tmp_path / "b", size=227).stored == 259
    assert pack(open_source(photo_folder), tmp_path / "c", stored=40).stored == 40


def test_whole_images_keep_their_aspect(photo_folder, tmp_path):
    packed = pack(open_source(photo_folder), tmp_path / "out", stored=32, crop="none")
    assert packed.shape is None
    rows = np.array([0, 14, 59])
    for row, image in zip(rows, packed.read(rows)):
        assert min(image.shape[:2]) == 32
        assert np.array_equal(image, shorter_side_to(read_image(photo_folder / packed.paths[row]), 32))


@pytest.mark.parametrize("crop", ["centre", "none"])
def test_jpeg_holds_the_same_images_nearly(photo_folder, tmp_path, crop):
    raw = pack(open_source(photo_folder), tmp_path / "raw", stored=64, crop=crop)
    jpeg = pack(open_source(photo_folder), tmp_path / "jpeg", stored=64, crop=crop, format="jpeg")
    assert jpeg.layout == "jpeg"
    assert raw.fingerprint == jpeg.fingerprint
    assert (tmp_path / "jpeg/images.npy").stat().st_size < (tmp_path / "raw/images.npy").stat().st_size / 2
    rows = np.arange(len(raw))
    for ours, theirs in zip(raw.read(rows), jpeg.read(rows)):
        assert ours.shape == theirs.shape
        assert np.abs(ours.astype(float) - theirs).mean() < 4


def test_anybody_can_read_a_pack_with_numpy(photo_folder, tmp_path):
    packed = pack(open_source(photo_folder), tmp_path / "raw", stored=32)
    images = np.load(tmp_path / "raw/images.npy", mmap_mode="r")
    assert images.shape == (60, 32, 32, 3)
    assert np.array_equal(images[7], packed.read(np.array([7]))[0])
    pack(open_source(photo_folder), tmp_path / "jpeg", stored=32, crop="none", format="jpeg")
    files = np.load(tmp_path / "jpeg/images.npy", mmap_mode="r")
    offsets, shapes = (np.load(tmp_path / f"jpeg/{name}.npy") for name in ("offsets", "shapes"))
    with Image.open(BytesIO(files[offsets[7] : offsets[8]].tobytes())) as image:
        assert np.asarray(image).shape == tuple(shapes[7])


def test_the_manifest_tells_what_is_there(odd_folder, tmp_path):
    packed = pack(open_source(odd_folder.path), tmp_path / "out", stored=32)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["images"] == len(packed) == len(odd_folder.readable)
    assert manifest["classes"] == ["blue", "red"]
    assert sum(manifest["counts"]) == len(packed)
    assert {p["path"]: p["kind"] for p in manifest["skipped"]} == odd_folder.problems
    assert {p.path: p.kind for p in packed.skipped} == odd_folder.problems
    assert sorted(packed.paths) == odd_folder.readable
    for name, facts in manifest["files"].items():
        data = (tmp_path / "out" / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == facts["sha256"]
        assert len(data) == facts["bytes"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*manifest["files"], "manifest.json"])


def test_raw_turns_to_jpeg_where_it_would_pass_the_limit(photo_folder, tmp_path, monkeypatch):
    stored = sys.modules["alexnet.data.stored"]
    monkeypatch.setattr(stored, "RAW_LIMIT", 60 * 32 * 32 * 3)  # just what they take
    assert pack(open_source(photo_folder), tmp_path / "a", stored=32).layout == "jpeg"
    assert pack(open_source(photo_folder), tmp_path / "b", stored=31).layout == "raw"
    assert pack(open_source(photo_folder), tmp_path / "c", stored=32, format="raw").layout == "raw"


def test_what_exists_is_never_overwritten(photo_folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("mine", "link"):
        with pytest.raises(InputError, match="not overwritten"):
            pack(open_source(photo_folder), tmp_path / name)


def test_a_pack_is_not_packed_again(array_source, tmp_path):
    pack(array_source(), tmp_path / "out")
    with pytest.raises(InputError, match="packed already"):
        pack(open_source(tmp_path / "out"), tmp_path / "again")


def test_a_full_disk_is_told_before_anything_is_decoded(photo_folder, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(pack_module.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 100_000))
    monkeypatch.setattr(pack_module, "prepare", lambda *arguments: pytest.fail("an image was decoded"))
    with pytest.raises(InputError, match=r"needs 184\.3 kB and .* has 100\.0 kB free.*--format jpeg"):
        pack(open_source(photo_folder), tmp_path / "out", stored=32)


def test_a_disk_that_fills_up_meanwhile_loses_nothing(photo_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pack_module, "BLOCK_IMAGES", 7)
    add = Journal.add

    def fail_late(journal, block):
        if journal.next >= 28:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(journal, block)

    monkeypatch.setattr(Journal, "add", fail_late)
    with pytest.raises(InputError, match="goes on where it stopped"):
        pack(open_source(photo_folder), tmp_path / "out", stored=32)
    monkeypatch.setattr(Journal, "add", add)
    packed = pack(open_source(photo_folder), tmp_path / "out", stored=32)
    assert len(packed) == 60
    assert packed.verify() == []


def test_two_processes_do_not_write_one_pack(array_source, tmp_path):
    with only_process(tmp_path / "out.partial", wait=False), pytest.raises(InputError, match="another process"):
        pack(array_source(), tmp_path / "out")
    assert is_packed(pack(array_source(), tmp_path / "out").path)


SLOW_PACKING = """
import sys, time
from alexnet.data import open_source, pack
module = sys.modules["alexnet.data.pack"]
prepare = module.prepare
def slowly(*arguments):
    time.sleep(0.02)
    return prepare(*arguments)
module.prepare = slowly
module.BLOCK_IMAGES = 4
pack(open_source(sys.argv[1]), sys.argv[2], stored=48, crop=sys.argv[3], format=sys.argv[4])
"""


def killed_after(blocks: int, *arguments: str) -> None:
    """Pack in a process of its own, and kill it when its journal has so many blocks."""
    child = subprocess.Popen([sys.executable, "-c", SLOW_PACKING, *arguments], stderr=subprocess.DEVNULL)
    journal = Path(arguments[1] + ".partial") / "journal.jsonl"
    deadline = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < blocks:
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()


@pytest.mark.parametrize(("blocks", "crop", "format"), [(1, "centre", "raw"), (7, "none", "jpeg"), (12, "none", "raw")])
def test_a_killed_packing_goes_on_where_it_stopped(odd_folder, tmp_path, monkeypatch, blocks, crop, format):
    source = open_source(odd_folder.path)
    whole = pack(source, tmp_path / "whole", stored=48, crop=crop, format=format)
    killed_after(blocks, str(odd_folder.path), str(tmp_path / "out"), crop, format)
    assert not (tmp_path / "out").exists()
    partial = tmp_path / "out.partial"
    done = [json.loads(line) for line in (partial / "journal.jsonl").read_bytes().splitlines(keepends=True)]
    with (partial / "images.npy").open("ab") as file:  # as if it had died while writing a block
        file.write(b"half an image")
    with (partial / "journal.jsonl").open("ab") as file:
        file.write(b'{"next": 99, "ima')
    decoded = []
    prepare = pack_module.prepare
    monkeypatch.setattr(
        pack_module, "prepare", lambda source, row, storage: decoded.append(row) or prepare(source, row, storage)
    )
    resumed = pack(open_source(odd_folder.path), tmp_path / "out", stored=48, crop=crop, format=format)
    assert min(decoded) == done[-1]["next"] >= 4 * blocks
    assert contents(resumed.path) == contents(whole.path)
    assert not partial.exists()


def test_a_packing_that_was_meant_otherwise_begins_anew(photo_folder, tmp_path, monkeypatch):
    def stop(journal, block):
        raise KeyboardInterrupt

    add = Journal.add
    monkeypatch.setattr(pack_module, "BLOCK_IMAGES", 10)
    monkeypatch.setattr(
        Journal, "add", lambda journal, block: stop(journal, block) if journal.next else add(journal, block)
    )
    with pytest.raises(KeyboardInterrupt):
        pack(open_source(photo_folder), tmp_path / "out", stored=32)
    monkeypatch.setattr(Journal, "add", add)
    packed = pack(open_source(photo_folder), tmp_path / "out", stored=24)
    assert packed.shape == (24, 24, 3)
    assert contents(packed.path) == contents(pack(open_source(photo_folder), tmp_path / "b", stored=24).path)


def test_files_changed_meanwhile_begin_anew(photo_folder, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    shutil.copytree(photo_folder, folder)
    add = Journal.add
    monkeypatch.setattr(pack_module, "BLOCK_IMAGES", 10)

    def stop(journal, block):
        if journal.next:
            raise KeyboardInterrupt
        add(journal, block)

    monkeypatch.setattr(Journal, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        pack(open_source(folder), tmp_path / "out", stored=32)
    monkeypatch.setattr(Journal, "add", add)
    shutil.copyfile(folder / "china/00.jpg", folder / "astronaut/00.jpg")
    os.utime(folder / "astronaut/00.jpg", ns=(1, 1))
    packed = pack(open_source(folder), tmp_path / "out", stored=32)
    assert packed.digests[0].tobytes() == hashlib.sha256((folder / "china/00.jpg").read_bytes()).digest()


def test_a_long_thin_image_is_stored_all_the_same(tmp_path):
    for name, size in (("a", (3, 9000)), ("b", (9000, 3))):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.new("RGB", size, (200, 10, 10)).save(tmp_path / "set" / name / "thin.png")
    packed = pack(open_source(tmp_path / "set"), tmp_path / "out")
    assert (packed.read(np.arange(2)) == [200, 10, 10]).all()
    whole = pack(open_source(tmp_path / "set"), tmp_path / "whole", stored=6, crop="none")
    assert [image.shape for image in whole.read(np.arange(2))] == [(18000, 6, 3), (6, 18000, 3)]


def test_another_version_is_refused_with_both_in_the_message(array_source, tmp_path):
    pack(array_source(), tmp_path / "out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    (tmp_path / "out/manifest.json").write_text(json.dumps(manifest | {"version": 7}))
    with pytest.raises(InputError, match="version 7 and this program reads 1"):
        open_packed(tmp_path / "out")


def test_what_is_no_pack_is_refused(tmp_path, photo_folder):
    (tmp_path / "manifest.json").write_text("[1]")
    assert not is_packed(tmp_path)
    assert not is_packed(photo_folder)
    assert not is_packed(tmp_path / "nowhere")
    with pytest.raises(InputError, match="alexnet pack"):
        open_packed(tmp_path)


def test_a_pack_with_a_damaged_file_is_refused(array_source, tmp_path):
    pack(array_source(), tmp_path / "out")
    (tmp_path / "out/labels.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"labels\.npy cannot be read"):
        open_packed(tmp_path / "out")


@pytest.mark.parametrize("stored", [0, -3])
def test_a_side_that_is_none_is_an_error(photo_folder, tmp_path, stored):
    with pytest.raises(InputError, match="give 1 or more"):
        pack(open_source(photo_folder), tmp_path / "out", stored=stored)


def test_rows_may_be_read_in_any_order_and_twice(photo_folder, tmp_path):
    for format in ("raw", "jpeg"):
        packed = pack(open_source(photo_folder), tmp_path / format, stored=16, format=format)
        every = packed.read(np.arange(60))
        rows = np.array([59, 0, 0, 31])
        assert np.array_equal(packed.read(rows), every[rows])
        assert packed.read(np.array([], np.int64)).shape == (0, 16, 16, 3)


def test_the_fingerprint_changes_with_a_label_and_with_an_image(array_source, tmp_path):
    first = pack(array_source(), tmp_path / "0").fingerprint
    assert pack(array_source(), tmp_path / "1").fingerprint == first
    relabelled, repainted, renamed = array_source(), array_source(), array_source()
    relabelled.labels[3] = 0
    repainted.arrays[3, 0, 0] ^= 1
    renamed.classes[1] = "another"
    for i, source in enumerate((relabelled, repainted, renamed), 2):
        assert pack(source, tmp_path / str(i)).fingerprint != first


def test_a_small_image_that_changes_its_shape_meanwhile_is_skipped_and_named(tmp_path):
    for i in range(6):
        path = tmp_path / "set" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (28, 20), (i, i, i)).save(path)
    source = open_source(tmp_path / "set")
    storage = storage_for(source, None, "centre", "auto", 224)
    Image.new("RGB", (20, 28)).save(tmp_path / "set/a/2.png")
    packed = pack_module.write_pack(source, tmp_path / "out", storage, wait=False)
    assert len(packed) == 5
    assert [problem.path for problem in packed.skipped] == ["a/2.png"]
    assert packed.verify() == []
