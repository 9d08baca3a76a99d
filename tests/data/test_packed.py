"""Reading a pack: whole images or only patches, by one thread or many."""

import hashlib
import json
import mmap
import os
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from alexnet.data import Batches, Cut, open_packed, open_source, pack, split
from alexnet.data.packed import fingerprint_of
from alexnet.data.parallel import decoders
from alexnet.errors import InputError

ROWS = np.array([41, 0, 7, 7, 59, 12, 30, 31, 2, 58, 3])


@pytest.fixture(scope="module", params=["raw-centre", "raw-none", "jpeg-centre", "jpeg-none"])
def packed(request, photo_folder, tmp_path_factory):
    layout, crop = request.param.split("-")
    return pack(open_source(photo_folder), tmp_path_factory.mktemp("pack") / "out", 24, crop, layout)


@pytest.fixture(scope="module")
def cut(packed):
    chance = np.random.default_rng(0)
    h, w = packed.sizes(ROWS).T
    return Cut(chance.integers(0, h - 16), chance.integers(0, w - 16), 17)


def test_a_patch_is_the_part_of_the_image_that_was_asked_for(packed, cut):
    whole = packed.read(ROWS)
    patches = packed.read(ROWS, cut=cut)
    assert patches.shape == (11, 17, 17, 3)
    assert patches.dtype == np.uint8
    for image, patch, top, left in zip(whole, patches, cut.top, cut.left):
        assert np.array_equal(patch, image[top : top + 17, left : left + 17])


def test_threads_read_what_one_thread_reads(packed, cut):
    with decoders() as pool:
        for wanted in (None, cut):
            for one, many in zip(packed.read(ROWS, None, wanted), packed.read(ROWS, pool, wanted)):
                assert np.array_equal(one, many)


def test_a_buffer_is_filled_and_given_back(packed, cut):
    buffer = np.zeros((11, 17, 17, 3), np.uint8)
    assert packed.read(ROWS, cut=cut, out=buffer) is buffer
    assert np.array_equal(buffer, packed.read(ROWS, cut=cut))


def test_sizes_are_those_of_the_images(packed):
    assert packed.sizes(ROWS).tolist() == [list(image.shape[:2]) for image in packed.read(ROWS)]


def test_images_may_be_changed_by_who_reads_them(packed):
    images = packed.read(ROWS[:2])
    images[0][:] = 0  # the pack itself is mapped, and must not be what is given out
    assert packed.read(ROWS[:1])[0].any()


def test_grey_images_keep_their_one_channel(array_source, tmp_path):
    packed = pack(array_source((20, 8, 8)), tmp_path / "grey")
    assert packed.channels == 1
    cut = Cut(np.array([1, 2]), np.array([3, 0]), 5)
    assert packed.read(np.array([3, 4]), cut=cut).shape == (2, 5, 5, 1)


def test_the_system_is_asked_for_all_bytes_of_the_images(packed, monkeypatch):
    monkeypatch.setattr(mmap, "PAGESIZE", 512)  # of which these small images have several
    asked = []
    monkeypatch.setattr(packed, "_map", SimpleNamespace(madvise=lambda what, start, size: asked.append((start, size))))
    images = packed.read(ROWS)
    file = (packed.path / "images.npy").read_bytes()
    assert len(asked) == len(ROWS)
    for (start, size), image in zip(asked, images):
        assert start % 512 == 0
        data = file[start : start + size]
        if packed.layout == "raw":
            assert data.endswith(image.tobytes())
        else:
            assert np.array_equal(np.asarray(Image.open(BytesIO(data[data.rindex(b"\xff\xd8\xff") :]))), image)


@pytest.mark.parametrize("alike", [0, 9, 32], ids=["all differ", "first bytes equal", "all equal"])
def test_the_fingerprint_is_of_the_sorted_lines_of_class_and_digest(alike):
    chance = np.random.default_rng(alike)
    classes = ["b", "a b", "a", "é", "a-c"]
    labels, digests = chance.integers(0, 5, 5000), chance.integers(0, 256, (5000, 32), dtype=np.uint8)
    digests[:, :alike] = digests[0, :alike]
    lines = sorted(f"{classes[label]}\0{bytes(digest).hex()}" for label, digest in zip(labels, digests))
    wanted = hashlib.sha256("\n".join([json.dumps(classes), *lines]).encode()).hexdigest()
    assert fingerprint_of(classes, labels, digests) == wanted
    other = chance.permutation(5000)
    assert fingerprint_of(classes, labels[other], digests[other]) == wanted


def test_paths_are_read_as_they_are_asked_for(packed, photo_folder):
    assert len(packed.paths) == 60
    assert packed.paths[3] == list(packed.paths)[3] == "astronaut/03.jpg"
    assert (photo_folder / packed.paths[-1]).is_file()


@pytest.mark.slow
def test_images_of_imagenets_number_are_opened_parted_and_read_without_holding_them(tmp_path):
    """As many rows as ImageNet has, in a sparse file of 252 GB; the first pixel is written of what is read."""
    n, size = 1_281_167, 256 * 256 * 3
    chance = np.random.default_rng(0)
    labels = np.sort(chance.integers(0, 1000, n))
    arrays = {
        "labels": labels,
        "given": np.where(np.arange(n) % 26, 1, 3).astype(np.uint8),
        "digests": chance.integers(0, 256, (n, 32), dtype=np.uint8),
        "paths": np.array(
            [b"train/n%08d/n%08d_%d.JPEG" % (label, label, i) for i, label in enumerate(labels.tolist())]
        ),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (n, 256, 256, 3)})
    about = {
        "format": "alexnet-packed", "version": 1, "name": "many", "spec": "many", "kind": "folder", "characters": False,
        "classes": [f"n{i:08}" for i in range(1000)], "layout": "raw", "shape": [256, 256, 3], "native": False,
        "stored": 256, "crop": "centre", "skipped": [], "fingerprint": "", "files": {},
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(about))
    with (tmp_path / "images.npy").open("wb") as file:
        file.write(header.getvalue())
        file.truncate(header.tell() + n * size)
        del labels, arrays, array
        before = anonymous_bytes()
        packed = open_packed(open_source(tmp_path).spec)
        parts = split(packed)
        batches = Batches(packed, parts.train, 128, seed=1)
        rows = batches.rows_of(batches.order(3), batches.steps - 1)
        for row in rows.tolist():
            file.seek(header.tell() + row * size)
            file.write(bytes([row % 251]))
    read = next(batches.epoch(3, start=batches.steps - 1))
    assert len(parts.train) + len(parts.validation) + len(parts.test) == n
    assert np.array_equal(read.rows, rows)
    assert read.images[:, 0, 0, 0].tolist() == (rows % 251).tolist()
    assert anonymous_bytes() - before < 300e6


def anonymous_bytes() -> int:
    """Memory of this process that no file stands behind."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def test_a_damaged_image_is_named(photo_folder, tmp_path):
    packed = pack(open_source(str(photo_folder)), tmp_path / "packed", format="jpeg")
    with (packed.path / "images.npy").open("r+b") as file:
        file.seek(int(packed._offsets[7] - packed._offsets[-1]), os.SEEK_END)
        file.write(bytes(100))
    assert len(packed.read(np.array([6, 8]))) == 2
    with pytest.raises(InputError, match=r"image 7 of .*packed is damaged"):
        packed.read(np.array([6, 7, 8]))
