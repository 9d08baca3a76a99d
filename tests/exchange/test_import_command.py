"""`alexnet import` and the run that it leaves, which the other commands take."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.cli import main


@pytest.fixture(scope="module")
def brought(graph, thin_nets, tmp_path_factory) -> Path:
    """A thin AlexNet of three classes that came in from an ONNX file."""
    folder = tmp_path_factory.mktemp("brought")
    (folder / "classes.txt").write_text("\n".join(["astronaut", "china", "coffee", "flower", *"abcdef"]))
    path = str(graph("bvlc_alexnet", True))
    given = ["--as", "thin_caffe_alexnet", "--preprocessing", "caffe", "--classes", str(folder / "classes.txt")]
    assert main(["import", path, str(folder / "run"), *given]) == 0
    return folder / "run"


def test_the_run_says_where_its_weights_are_from_and_what_was_compared(brought, graph):
    about = json.loads((brought / "run.json").read_text())
    assert about["command"].startswith("alexnet import ")
    assert about["from"].endswith(".onnx")
    assert len(about["sha256"]) == 64
    assert about["compared_with"].startswith("onnxruntime ")
    assert about["preprocessing"]["channels"] == "bgr"
    assert about["agreement"]["images"] == 3
    assert 0 < about["agreement"]["scores"] < 1e-5
    assert (about["model"], about["size"]) == ("thin_caffe_alexnet", 227)
    assert "model: thin_caffe_alexnet" in (brought / "recipe.yaml").read_text()


def test_it_predicts_and_is_measured_on_a_source_but_not_without(brought, photo_folder, tmp_path, capsys):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 250, 3), dtype=np.uint8)).save(tmp_path / "i.png")
    assert main(["predict", str(brought), str(tmp_path / "i.png"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)[0]["predictions"]) == 5
    assert main(["evaluate", str(brought), str(photo_folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["images"], result["split"], result["model"]) == (60, "all", "thin_caffe_alexnet")
    for command, words in {
        ("evaluate",): "say which images to take (SOURCE of evaluate and probe, --source of ensemble)",
        ("report",): f"alexnet evaluate {brought} SOURCE",
        ("train", "--resume"): f"--from {brought}",
    }.items():
        assert main([*command, str(brought)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert words in said


def test_training_starts_from_it_with_its_net_and_what_it_subtracts(brought, photo_folder, tmp_path, capsys):
    from alexnet.checkpoint import load_weights

    run = tmp_path / "fine"
    given = ["--from", str(brought), "--epochs", "1", "--optimiser.kept_rate", "0", "--optimiser.decay", "0"]
    assert main(["train", str(photo_folder), "--out", str(run), *given]) == 0
    before, after = (load_weights(folder / "best.safetensors")[0] for folder in (brought, run))
    assert after.classes == 4
    assert before.mean.equal(after.mean)
    assert before.get_submodule("conv3").weight.equal(after.get_submodule("conv3").weight)


def test_json_is_one_document_and_errors_are_one_line(graph, thin_nets, tmp_path, capsys):
    (tmp_path / "classes.txt").write_text("\n".join("abcdefghij"))
    path = str(graph("bvlc_alexnet", True))
    given = ["--as", "thin_caffe_alexnet", "--classes", str(tmp_path / "classes.txt")]
    mean = ["--mean", "123,117,104", "--scale", "1", "--channels", "bgr"]
    assert main(["import", *given, path, str(tmp_path / "run"), *mean, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {"run", "model", "size", "classes", "parameters", "from", "sha256", "agreement", "notes"} <= set(said)
    assert main(["import", *given, path, str(tmp_path / "other")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "give --preprocessing, one of torchvision" in said
    assert not (tmp_path / "other").exists()
