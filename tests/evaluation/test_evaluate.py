"""Evaluation of a run: which images, which classes, what may be compared."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from alexnet.cli import main
from alexnet.errors import InputError
from alexnet.evaluation.evaluate import evaluate, trained_on


def digits_folder(folder, classes, each=3, value=15):
    images, labels = load_digits(return_X_y=True)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i, row in enumerate(np.flatnonzero(labels == int(name))[:each]):
            pixels = (images[row].reshape(8, 8) * value).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def test_another_source_is_measured_whole_with_classes_matched_by_name(tiny_run, tmp_path, cache):
    folder = digits_folder(tmp_path / "few", ["7", "3", "0"])
    result = evaluate(tiny_run, str(folder))
    assert (result["images"], result["split"], result["trained_on"]) == (9, "all", 0)
    confusion = np.array(result["confusion"])
    assert confusion.shape == (10, 10)
    assert confusion.sum(1).tolist() == [3, 0, 0, 3, 0, 0, 0, 3, 0, 0]
    assert "by_views" in json.loads((tiny_run / "evaluation.json").read_text())  # the run's own result is left alone


def test_a_class_the_net_does_not_know_is_named(tiny_run, tmp_path, cache):
    folder = digits_folder(tmp_path / "few", ["7", "3"])
    (folder / "3").rename(folder / "three")
    with pytest.raises(InputError, match=r"does not know \(three\)"):
        evaluate(tiny_run, str(folder))


def test_images_that_were_trained_on_are_counted(tmp_path):
    digests = np.random.default_rng(0).integers(0, 256, (10, 32), dtype=np.uint8)
    np.save(tmp_path / "trained_on.npy", digests[:4])
    assert trained_on(tmp_path, digests[2:8]) == 2
    assert trained_on(tmp_path / "elsewhere", digests) is None


def test_one_class_alone_and_a_test_folder_alone_can_be_measured(tiny_run, tmp_path, cache):
    result = evaluate(tiny_run, str(digits_folder(tmp_path / "sevens", ["7"])))
    assert (result["images"], result["split"]) == (3, "all")
    digits_folder(tmp_path / "kept" / "test", ["7", "3"])
    result = evaluate(tiny_run, str(tmp_path / "kept"))
    assert (result["images"], result["split"]) == (6, "test")


def test_images_that_are_no_longer_those_of_the_training_are_not_measured_unasked(tiny, tmp_path, cache):
    folder = digits_folder(tmp_path / "grows", ["7", "3"], each=20)
    train = ["train", str(folder), "--model", tiny, "--epochs", "1", "--size", "67", "--optimiser.batch", "8"]
    assert main([*train, "--out", str(tmp_path / "run")]) == 0
    Image.new("L", (8, 8), 77).save(folder / "3" / "new.png")
    shutil.rmtree(cache)
    with pytest.raises(InputError, match="no longer holds the images"):
        evaluate(tmp_path / "run")
    assert evaluate(tmp_path / "run", str(folder))["trained_on"] > 0


def test_figures_of_weights_that_were_trained_on_are_dropped(tiny_run, tmp_path, cache):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    evaluate(run, views="ten")
    kept = json.loads((run / "evaluation.json").read_text())
    assert set(kept["by_views"]) == {"center", "ten"}
    (run / "evaluation.json").write_text(json.dumps(kept | {"step": kept["step"] - 1}))
    evaluate(run, views="center")
    assert set(json.loads((run / "evaluation.json").read_text())["by_views"]) == {"center"}


def test_weights_alone_are_measured_on_what_they_were_trained_on(tiny_run, tmp_path, cache):
    shutil.copy(tiny_run / "best.safetensors", tmp_path / "a.safetensors")
    result = evaluate(tmp_path / "a.safetensors")
    own = json.loads((tiny_run / "evaluation.json").read_text())
    assert result["top1_error"] == own["top1_error"]
    assert result["images"] == 359


def test_a_result_says_everything_the_report_shows(tiny_run):
    result = json.loads((tiny_run / "evaluation.json").read_text())
    assert set(result["by_views"]) == {"center"}
    assert result["baselines"]["majority"]["error"] > 0.85
    assert result["baselines"]["nearest_pixel"]["error"] < 0.1
    assert len(result["mistakes"]) == 48
    worst = [m["true_probability"] - m["probability"] for m in result["mistakes"]]
    assert worst == sorted(worst)
    assert sum(row["images"] for row in result["per_class"]) == result["images"] == 359
    assert 0.25 <= result["calibration"]["temperature"] <= 10
    low, high = result["interval"]
    assert low < result["top1_error"] < high
