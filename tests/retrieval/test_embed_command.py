"""embed and evaluate-search on the command line, and embed from Python."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import alexnet
from alexnet.cli import main


@pytest.fixture(scope="module")
def digits(tiny_run):
    """Where the tiny run's own images lie packed."""
    return Path(json.loads((tiny_run / "run.json").read_text())["packed"])


@pytest.fixture(scope="module")
def folders(tiny_run, digits, tmp_path_factory):
    """Vectors of the training and of the test part, by the command."""
    folder = tmp_path_factory.mktemp("folders")
    for split in ("train", "test"):
        assert main(["embed", str(tiny_run), str(digits), str(folder / split), "--split", split]) == 0
    return folder


def test_embed_prints_one_document(tiny_run, digits, tmp_path, capsys):
    words = [str(tiny_run), str(digits), str(tmp_path / "out"), "--split", "test", "--stage", "fc6", "--json"]
    assert main(["embed", "--float16", "--normalise", "--batch", "50", *words]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "vectors": str(tmp_path / "out"),
        "images": 359,
        "features": 32,
        "stage": "fc6",
        "dtype": "float16",
        "normalised": "l2",
        "labelled": True,
    }
    assert np.load(tmp_path / "out" / "vectors.npy").shape == (359, 32)


def test_embed_tells_people_what_it_wrote_and_how_fast(tiny_run, digits, tmp_path, capsys):
    assert main(["embed", str(tiny_run), str(digits), str(tmp_path / "out"), "--split", "test"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'out'}: 359 vectors of 32 numbers, fc7, float32\n"
    assert "embedded 359 images in" in err
    assert "a second" in err


def test_a_missing_run_and_a_bad_batch_are_one_line(tiny_run, digits, tmp_path, capsys):
    assert main(["embed", str(tmp_path / "none"), str(digits), str(tmp_path / "out")]) == 2
    assert main(["embed", str(tiny_run), str(digits), str(tmp_path / "out"), "--batch", "0"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "does not exist" in lines[0]
    assert lines[1] == "alexnet: a batch of 0 images; give 1 or more"


def test_from_python_a_dataset_is_embedded(tiny_run, tmp_path):
    images, labels = load_digits(return_X_y=True)
    pairs = [((image.reshape(8, 8) * 15).astype(np.uint8), label) for image, label in zip(images[:60], labels[:60])]
    vectors = alexnet.embed(tiny_run, pairs, tmp_path / "out")
    assert isinstance(vectors, alexnet.Vectors)
    assert vectors.array.shape == (60, 32)
    assert (vectors.labels == labels[:60]).all()


def test_search_is_measured_by_one_command(folders, capsys):
    words = [str(folders / "train"), str(folders / "test"), "--codes", "16,32", "--method", "itq,hyperplanes"]
    assert main(["evaluate-search", *words, "--top", "5", "--shortlist", "50", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["indexed"], result["queries"], result["k"], result["shortlist"]) == (1259, 359, 5, 50)
    assert (result["model"], result["stage"], result["normalised"]) == ("tiny", "fc7", "none")
    rows = [(row["method"], row["bits"]) for row in result["codes"]]
    assert rows == [("itq", 16), ("itq", 32), ("hyperplanes", 16), ("hyperplanes", 32)]
    assert 0.5 < result["exact"]["precision"] < 0.9
    for row in result["codes"]:
        assert 0.3 < row["precision"] < 0.9  # by chance 0.1
        assert row["precision_kept"] > 0.9


def test_without_queries_each_image_is_asked_among_the_others(folders, capsys):
    assert main(["evaluate-search", str(folders / "test"), "--codes", "32", "--method", "itq"]) == 0
    out = capsys.readouterr().out
    assert "359 queries among 359 images, vectors of 32 numbers" in out
    assert "exact, L2" in out
    assert "itq" in out


def test_vectors_of_another_stage_cannot_be_the_queries(tiny_run, digits, folders, tmp_path, capsys):
    assert main(["embed", str(tiny_run), str(digits), str(tmp_path / "six"), "--split", "test", "--stage", "fc6"]) == 0
    assert main(["evaluate-search", str(folders / "train"), str(tmp_path / "six")]) == 2
    assert "has stage fc6 and" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--codes", "12"], "codes of 12 bits came; give a multiple of 8"),
        (["--codes", "32,many"], "many is no number of bits"),
        (["--method", "lsh"], "there are no codes by 'lsh'"),
        (["--top", "0"], "k 0 and a short-list of"),
    ],
)
def test_wrong_options_are_one_line(folders, capsys, words, told):
    assert main(["evaluate-search", str(folders / "train"), str(folders / "test"), *words]) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]
