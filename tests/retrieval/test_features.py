"""Features as a folder of vectors: whose output, in which order, and what becomes of a run that is killed."""

import errno
import json
import shutil
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.augment import center_view, to_planes
from alexnet.checkpoint import load_weights
from alexnet.data import dataset_source, open_packed, split
from alexnet.errors import InputError
from alexnet.retrieval import embed as room
from alexnet.retrieval import vectors as folder
from alexnet.retrieval.embed import embed
from alexnet.retrieval.features import query_reader
from alexnet.retrieval.vectors import open_vectors


@pytest.fixture(scope="session")
def digits(tiny_run):
    """Where the tiny run's own images lie packed: no test packs them anew."""
    return Path(json.loads((tiny_run / "run.json").read_text())["packed"])


@pytest.fixture(scope="session")
def written(tiny_run, digits, tmp_path_factory):
    """The 359 digits of the test part as vectors; not to be changed."""
    return embed(tiny_run, digits, tmp_path_factory.mktemp("vectors") / "written", split="test")


@pytest.fixture
def copied(written, tmp_path):
    """The same, to be spoiled."""
    return open_vectors(shutil.copytree(written.path, tmp_path / "copied"))


@pytest.fixture
def plain(tmp_path, noise_images):
    """A folder with nothing but seven photographs in it, and a text."""
    folder = tmp_path / "plain"
    folder.mkdir()
    for i, image in enumerate(noise_images):
        Image.fromarray(image).save(folder / f"{i}.png")
    (folder / "read me.txt").write_text("no picture")
    return folder


@pytest.fixture
def noise_images():
    """Seven images of unlike sizes, uint8 [h, w, 3]."""
    chance = np.random.default_rng(0)
    return [chance.integers(0, 256, (90 + i, 110, 3)).astype(np.uint8) for i in range(7)]


def by_hand(run, packed, rows, stage):
    """The stage's output, flattened, of the centre views of packed images: float32 [n, d]."""
    net, card = load_weights(run / "best.safetensors")
    images = center_view(to_planes(packed.read(rows), card.side, "cpu"), card.size)[0]
    with torch.inference_mode():
        return net.features(images, stage).flatten(1).numpy()


def test_vectors_are_the_stages_output_in_the_order_of_the_pack(tiny_run, digits, tmp_path):
    vectors = embed(tiny_run, digits, tmp_path / "out", batch=100)
    packed = open_packed(vectors.manifest["packed"])
    wanted = by_hand(tiny_run, packed, np.arange(len(packed)), "fc7")
    assert vectors.array.shape == (1797, 32)
    assert vectors.array.dtype == np.float32
    assert wanted.min() == 0  # after the ReLU
    assert np.abs(wanted[:-1] - wanted[1:]).max() > 0.1 * wanted.max()
    assert np.abs(vectors.array - wanted).max() <= 1e-5 * wanted.max()
    assert vectors.manifest["stage"] == "fc7"
    assert vectors.manifest["normalised"] == "none"
    assert vectors.paths == list(packed.paths)
    assert (vectors.labels == packed.labels).all()
    assert (vectors.digests == packed.digests).all()
    assert vectors.label(5) == packed.classes[packed.labels[5]]
    assert np.array_equal(np.load(vectors.path / "vectors.npy", mmap_mode="r"), vectors.array)  # without this package
    assert vectors.verify() == []


def test_a_part_is_the_part_that_training_has(tiny_run, digits, tmp_path):
    vectors = embed(tiny_run, digits, tmp_path / "out", stage="pool5", split="val")
    packed = open_packed(vectors.manifest["packed"])
    rows = split(packed, 0.2, 0.1).validation
    assert (vectors.rows == rows).all()
    assert (vectors.labels == packed.labels[rows]).all()
    assert vectors.paths == [packed.paths[row] for row in rows]
    wanted = by_hand(tiny_run, packed, rows, "pool5")
    assert np.abs(vectors.array - wanted).max() <= 1e-5 * wanted.max()


def test_vectors_can_have_length_one_and_sixteen_bits(tiny_run, digits, written, tmp_path):
    halves = embed(tiny_run, digits, tmp_path / "halves", split="test", float16=True)
    unit = embed(tiny_run, digits, tmp_path / "unit", split="test", normalise=True)
    assert halves.array.dtype == np.float16
    assert (halves.array == written.array.astype(np.float16)).all()
    lengths = np.linalg.norm(written.array.astype(np.float64), axis=1, keepdims=True)
    assert lengths.std() > 0.01 * lengths.mean()
    assert np.abs(unit.array - written.array / lengths).max() < 1e-6
    assert unit.manifest["normalised"] == "l2"


def test_numbers_beyond_float16_are_an_error_that_says_so(tiny_run, digits, tmp_path, monkeypatch):
    large = np.full((1, 32), 70_000, np.float32)
    monkeypatch.setattr(room.FeatureReader, "of_stored", lambda self, images: np.repeat(large, len(images), axis=0))
    with pytest.raises(InputError, match="beyond float16: leave --float16 out"):
        embed(tiny_run, digits, tmp_path / "out", split="test", float16=True)


def test_a_folder_of_images_alone_has_no_labels(tiny_run, plain, tmp_path):
    vectors = embed(tiny_run, plain, tmp_path / "out")
    assert (len(vectors), vectors.labels, vectors.label(0), vectors.classes) == (7, None, None, [])
    assert vectors.paths == [f"{i}.png" for i in range(7)]
    assert not (vectors.path / "labels.npy").exists()
    assert [problem["path"] for problem in vectors.manifest["skipped"]] == ["read me.txt"]


def test_a_query_goes_the_way_of_the_images_that_were_embedded(tiny_run, plain, noise_images, tmp_path):
    vectors = embed(tiny_run, plain, tmp_path / "out", normalise=True)
    reader = query_reader(tiny_run, vectors.manifest)
    file = (plain / "2.png").read_bytes()
    found = reader.vectors([plain / "0.png", Image.fromarray(noise_images[1]), file, noise_images[3]])
    assert found.shape == (4, 32)
    assert np.abs(vectors.array[0] - vectors.array[1]).max() > 1e-3
    assert np.abs(found - vectors.array[:4]).max() < 1e-6


def test_a_query_is_brought_to_the_size_of_a_small_set(tiny_run, written):
    image = open_packed(written.manifest["packed"]).read(written.rows[:1])[0, :, :, 0]
    assert image.shape == (8, 8)
    large = np.kron(image, np.ones((10, 10), np.uint8))
    small = np.asarray(Image.fromarray(large).resize((8, 8), Image.Resampling.BILINEAR))
    found = query_reader(tiny_run, written.manifest).vectors([image, large, small])
    close = 1e-5 * np.abs(written.array).max()
    assert np.abs(found[0] - written.array[0]).max() <= close
    assert np.abs(found[1] - found[2]).max() <= close


def test_a_query_by_other_weights_is_refused(tiny_run, written, tmp_path):
    other = tmp_path / "other.safetensors"
    whole = bytearray((tiny_run / "best.safetensors").read_bytes())
    whole[-1] ^= 1
    other.write_bytes(whole)
    with pytest.raises(InputError, match=r"of other weights than those in .*other.safetensors"):
        query_reader(other, written.manifest)


def test_an_embedding_that_is_killed_goes_on_and_gives_the_same_bytes(tiny_run, digits, tmp_path, monkeypatch, capsys):
    whole = embed(tiny_run, digits, tmp_path / "whole", batch=64)
    monkeypatch.setattr(room, "BLOCK", 256)
    embedded = killed_at(7, tiny_run, digits, tmp_path, monkeypatch, seen=[])
    assert embedded == 7 * 64
    with pytest.raises(InputError, match=r"out is not finished \(out.partial\)"):
        open_vectors(tmp_path / "out")
    capsys.readouterr()
    seen = []
    counted(monkeypatch, seen)
    again = embed(tiny_run, digits, tmp_path / "out", batch=64)
    assert sum(seen) == 1797 - 256  # what was flushed is not done again
    assert "256 of 1,797 images are there" in capsys.readouterr().err
    assert (again.path / "vectors.npy").read_bytes() == (whole.path / "vectors.npy").read_bytes()
    assert sorted(path.name for path in again.path.iterdir()) == sorted(path.name for path in whole.path.iterdir())
    assert not (tmp_path / "out.partial").exists()


def test_what_another_stage_left_behind_is_not_taken_over(tiny_run, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "BLOCK", 256)
    killed_at(7, tiny_run, digits, tmp_path, monkeypatch, seen=[], stage="fc6")
    again = embed(tiny_run, digits, tmp_path / "out")
    wanted = by_hand(tiny_run, open_packed(again.manifest["packed"]), np.arange(100), "fc7")
    assert np.abs(again.array[:100] - wanted).max() <= 1e-5 * wanted.max()


def test_the_same_images_in_another_order_are_begun_anew(tiny_run, tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8)).astype(np.uint8)
    pairs = [(image, i % 2) for i, image in enumerate(images)]
    monkeypatch.setattr(room, "BLOCK", 64)
    killed_at(3, tiny_run, dataset_source(pairs), tmp_path, monkeypatch, seen=[])
    again = embed(tiny_run, dataset_source(pairs[::-1]), tmp_path / "out", batch=64)
    wanted = by_hand(tiny_run, open_packed(again.manifest["packed"]), np.arange(300), "fc7")
    assert np.abs(wanted - wanted[::-1]).max() > 0.01 * wanted.max()
    assert np.abs(again.array - wanted).max() <= 1e-5 * wanted.max()


def counted(monkeypatch, seen, stop=None):
    """Let the reader count its images, and stop after `stop` batches as Ctrl-C does."""
    plain = room.FeatureReader.of_stored

    def of_stored(self, images):
        if stop is not None and len(seen) == stop:
            raise KeyboardInterrupt
        if len(images) > 1:  # one alone is asked for the width of the vectors
            seen.append(len(images))
        return plain(self, images)

    monkeypatch.setattr(room.FeatureReader, "of_stored", of_stored)


def killed_at(batches, run, digits, tmp_path, monkeypatch, seen, **options):
    """Embed the digits into `out` and stop on the way; the images that went through the net."""
    with monkeypatch.context() as patched:
        counted(patched, seen, batches)
        with pytest.raises(KeyboardInterrupt):
            embed(run, digits, tmp_path / "out", batch=64, **options)
    return sum(seen)


def test_an_existing_folder_is_never_overwritten(tiny_run, digits, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists and is not overwritten"):
        embed(tiny_run, digits, tmp_path / "out")


def test_an_unknown_stage_is_named_with_those_that_are_there(tiny_run, digits, tmp_path):
    with pytest.raises(InputError, match=r"tiny has no stage 'fc9'; it has conv1, .*fc8"):
        embed(tiny_run, digits, tmp_path / "out", stage="fc9")


def test_a_small_disk_is_an_error_before_the_net_runs(tiny_run, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"the vectors take 230.0 kB and .* has 1.0 kB free"):
        embed(tiny_run, digits, tmp_path / "out")


def test_a_place_that_cannot_be_written_and_a_full_disk_are_one_line(tiny_run, digits, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"out.partial cannot be written \(Not a directory\); choose another place"):
        embed(tiny_run, digits, tmp_path / "file" / "out")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(room, "BLOCK", 256)
    monkeypatch.setattr(room.os, "fsync", full)
    with pytest.raises(InputError, match=r"No space left on device.*goes on where it stopped"):
        embed(tiny_run, digits, tmp_path / "out")


@pytest.mark.parametrize("name", ["vectors", "labels", "digests", "paths"])
def test_a_truncated_file_is_an_error_that_names_it(copied, name):
    path = copied.path / f"{name}.npy"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match=rf"{name}.npy has .* bytes of .*; copy it again or embed again"):
        open_vectors(copied.path)


def test_a_foreign_folder_and_another_version_are_errors(copied, tmp_path):
    with pytest.raises(InputError, match="is no folder of vectors"):
        open_vectors(tmp_path)
    manifest = json.loads((copied.path / "manifest.json").read_text())
    (copied.path / "manifest.json").write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(InputError, match="version 99"):
        open_vectors(copied.path)


def test_changed_bytes_are_found_when_asked_for(copied):
    whole = bytearray((copied.path / "vectors.npy").read_bytes())
    whole[-1] ^= 1
    (copied.path / "vectors.npy").write_bytes(whole)
    assert [(problem.path, problem.kind) for problem in copied.verify()] == [("vectors.npy", "checksum")]


def test_thumbnails_come_from_the_pack_as_long_as_it_is_there(tiny_run, plain, written, tmp_path, monkeypatch):
    packed = open_packed(written.manifest["packed"])
    digit = Image.open(BytesIO(written.thumbnail(3)))
    assert (digit.format, digit.size) == ("PNG", (8, 8))
    assert (np.asarray(digit) == packed.read(written.rows[3:4])[0, :, :, 0]).all()
    photographs = embed(tiny_run, plain, tmp_path / "photographs")
    monkeypatch.setattr(folder, "THUMBNAIL", 40)
    photograph = Image.open(BytesIO(photographs.thumbnail(0)))
    assert (photograph.format, photograph.size) == ("JPEG", (40, 40))
    (Path(photographs.manifest["packed"]) / "manifest.json").unlink()
    assert open_vectors(photographs.path).thumbnail(0) is None
