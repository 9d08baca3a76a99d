"""The commands probe, ensemble and show: what they print, what they write, what they refuse."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from alexnet.cli import main


@pytest.fixture
def work(tiny_run, cache, tmp_path, monkeypatch):
    """A folder with a copy of the tiny run, `a`, and its weights under another name, `b.safetensors`."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_run, tmp_path / "a")
    shutil.copy(tiny_run / "best.safetensors", tmp_path / "b.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path


def only_json(capsys):
    return json.loads(capsys.readouterr().out)


def test_probe_and_ensemble_print_one_document_or_a_table(work, capsys):
    assert main(["probe", "a", "--stage", "fc6, fc7", "--json"]) == 0
    result = only_json(capsys)
    assert [row["stage"] for row in result["stages"]] == ["fc6", "fc7"]
    assert {"images", "part_sizes", "grid", "seed", "views", "net", "trained_on"} <= set(result)
    assert main(["probe", "a"]) == 0
    assert "the net itself" in capsys.readouterr().out

    assert main(["ensemble", "a", "b.safetensors", "--views", "center", "--csv", "nets.csv", "--json"]) == 0
    result = only_json(capsys)
    assert {"images", "top1_error", "top5_error", "interval", "members", "averaged"} <= set(result)
    assert result["members"][0]["top1_error"] == result["top1_error"]
    assert len((work / "nets.csv").read_text().splitlines()) == 4
    assert main(["ensemble", "a", "b.safetensors", "--source", "digits", "--split", "val"]) == 0
    assert "the average" in capsys.readouterr().out


def test_show_draws_a_score_map_and_says_where(work, capsys):
    assert main(["show", "a", "score_map", "image.png"]) == 0
    assert capsys.readouterr().out == "image-score_map.png\n"
    with Image.open(work / "image-score_map.png") as picture:
        assert picture.format == "PNG"
    assert main(["show", "a", "score_map", "image.png", "--class", "3", "--size", "99", "--out", "three.svg"]) == 0
    assert "probability of 3" in (work / "three.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["probe", "nowhere"], ["nowhere"]),
        (["probe", "a", "--stage", "fc9"], ["fc9", "conv1"]),
        (["ensemble", "a"], ["two or more"]),
        (["ensemble", "a", "nowhere"], ["nowhere"]),
        (["ensemble", "a", "b.safetensors", "--source", "nowhere"], ["nowhere"]),
        (["show", "a", "score_mat", "image.png"], ["score_mat", "did you mean score_map?"]),
        (["show", "a", "everything"], ["everything", "score_map"]),
        (["show", "a", "score_map"], ["IMAGE"]),
        (["show", "a", "score_map", "image.png", "--class", "cat"], ["cat", "0, 1, 2"]),
        (["show", "a", "score_map", "image.png", "--size", "20"], ["--size 20", "67"]),
        (["show", "a", "score_map", "image.png", "--out", "map.gif"], ["map.gif", ".png or .svg"]),
        (["show", "a", "score_map", "none.png"], ["none.png", "no such file"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(work, capsys, arguments, words):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("alexnet: ")
    for word in words:
        assert word in last


def test_probe_and_ensemble_are_there_in_python(work):
    import alexnet

    assert alexnet.probe("a", stages="fc6")["stages"][0]["stage"] == "fc6"
    assert len(alexnet.ensemble(["a", "b.safetensors"])["members"]) == 2
