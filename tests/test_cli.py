"""The command line: each form that must hold, exit codes, one JSON document, one-line errors."""

import csv
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.cli import COMMANDS, main

QUICK = ["--model", "tiny", "--epochs", "2"]


@pytest.fixture
def run(tiny_run, cache, tmp_path, monkeypatch):
    """A copy of the tiny run, in the folder where the test works."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(tiny_run, tmp_path / "runs" / "digits-tiny-1"))


@pytest.fixture
def digit(tmp_path):
    from sklearn.datasets import load_digits

    path = tmp_path / "seven.png"
    Image.fromarray((load_digits().images[7] * 15).astype(np.uint8)).save(path)
    return path


def only_json(capsys):
    captured = capsys.readouterr()
    return json.loads(captured.out)


def test_one_command_trains_tests_and_reports_and_the_others_use_what_it_left(run, digit, capsys, tmp_path):
    for name in ("recipe.yaml", "run.json", "metrics.jsonl", "best.safetensors", "last.safetensors", "report.html"):
        assert (run / name).stat().st_size > 0, name
    assert not (run / "state.pt").exists()

    assert main(["evaluate", str(run), "--views", "ten", "--json", "--csv", str(tmp_path / "classes.csv")]) == 0
    result = only_json(capsys)
    assert {"images", "top1_error", "top5_error", "interval", "views", "averaged", "comparable_to"} <= set(result)
    assert (result["images"], result["views"], result["averaged"], result["trained_on"]) == (359, "ten", "softmax", 0)
    assert result["interval"][0] <= result["top1_error"] <= result["interval"][1]
    assert len(list(csv.DictReader((tmp_path / "classes.csv").read_text().splitlines()))) == 10
    assert set(json.loads((run / "evaluation.json").read_text())["by_views"]) == {"center", "ten"}

    assert main(["evaluate", str(run), "--split", "train", "--json"]) == 0
    result = only_json(capsys)
    assert result["trained_on"] == result["images"] == 1259

    assert main(["predict", str(run), str(digit), "missing.png", "--top", "3", "--json"]) == 0
    good, bad = only_json(capsys)
    assert len(good["predictions"]) == 3
    assert sum(p["probability"] for p in good["predictions"]) <= 1 + 1e-9
    assert "missing" in bad["error"]
    assert main(["predict", str(run), "missing.png"]) == 1
    assert "missing.png: missing" in capsys.readouterr().out

    # A second run gets a number of its own; fine-tuning takes over all but the classifier.
    assert main(["train", *QUICK[2:], "--from", str(run), "--freeze", "conv1,conv2", "--epochs", "1", "--json"]) == 0
    second = only_json(capsys)
    assert second["run"] == "runs/digits-tiny-2"


def test_an_existing_run_is_never_overwritten(run, capsys):
    before = (run / "best.safetensors").read_bytes()
    assert main(["train", *QUICK, "--out", str(run)]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert (run / "best.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["digits", "--epochs", "1", "--optimiser.rate", "0.5", "--model", "tiny", "--recipe", "caffe"],
        ["--recipe", "caffe", "--optimiser.rate=0.5", "--model=tiny", "digits", "--epochs", "1"],
        ["--optimiser.rate", "0.5", "--epochs", "1", "--model", "tiny", "--recipe=caffe"],
    ],
)
def test_an_override_wins_wherever_it_stands(tiny, cache, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    import yaml

    assert main(["train", *arguments, "--size", "67", "--max-minutes", "0.0001"]) == 0
    recipe = yaml.safe_load((tmp_path / "runs" / "digits-tiny-1" / "recipe.yaml").read_text())
    assert recipe["optimiser"]["rate"] == 0.5
    assert recipe["optimiser"]["batch"] == 256  # Caffe's
    assert (recipe["name"], recipe["epochs"]) == ("caffe", 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], ["trian", "did you mean train?"]),
        (["train", "digits", "--epoch", "3"], ["--epoch", "did you mean --epochs?"]),
        (["train", "--optimiser.rat", "3"], ["did you mean --optimiser.rate?"]),
        (["train", "--epochs", "three"], ["--epochs", "three", "int"]),
        (["train", "--recipe", "papper"], ["papper", "paper"]),
        (["train", "nowhere/at/all"], ["nowhere/at/all"]),
        (["train", "--model", "alexnet_2013"], ["alexnet_2013"]),
        (["train", "--device", "tpu"], ["tpu", "cpu"]),
        (["train", "--device", "cuda"], ["cuda", "--device"]),
        (["train", "--source", "photos"], ["--source", "SOURCE"]),
        (["train", "--from", "run", "--size", "131"], ["--from brings its own net", "--size"]),
        (["train", "--freeze", "pool1", "--model", "tiny"], ["pool1 has no weights", "conv1"]),
        (["train", "--optimiser.micro-batch", "0"], ["--optimiser.micro_batch 0"]),
        (["train", "--from", "nowhere"], ["nowhere"]),
        (["train", "--resume", "nowhere"], ["nowhere", "run"]),
        (["train", "--epochs", "0", "--model", "tiny"], ["--epochs 0"]),
        (["train", "--freeze", "conv7", "--model", "tiny"], ["conv7", "conv1"]),
        (["train", "--size", "20"], ["20"]),
        (["evaluate", "nowhere"], ["nowhere"]),
        (["evaluate"], ["run", "alexnet evaluate --help"]),
        (["predict", "nowhere", "a.png"], ["nowhere"]),
        (["summary", "alexnet", "--size", "20"], ["20"]),
        (["summary", "lenet9"], ["lenet9"]),
        (["check", "nowhere"], ["nowhere"]),
        (["report", "nowhere"], ["nowhere"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(tiny, cache, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("alexnet: ")
    for word in words:
        assert word in last
    assert not (tmp_path / "runs").exists()


def test_resume_takes_no_other_recipe(run, capsys):
    assert main(["train", "--resume", str(run)]) == 2
    assert f"--from {run}" in capsys.readouterr().err
    assert main(["train", "--resume", str(run), "--epochs", "5"]) == 2
    assert "--epochs cannot be changed" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_a_line_in_the_overview(command, capsys):
    assert main([command, "--help"]) == 0
    assert "usage" in capsys.readouterr().out.lower()
    assert main([]) == 0
    assert f"  {command} " in capsys.readouterr().out


def test_models_summary_and_compare_speak_json(capsys):
    assert main(["models", "--json"]) == 0
    assert {"name": "alexnet", "parameters": 60965224, "year": 2012}.items() <= only_json(capsys)[0].items()
    assert main(["summary", "--json", "alexnet"]) == 0
    table = only_json(capsys)
    assert (table["parameters"], table["multiply_adds"]) == (60965224, 724406816)
    assert {"name", "kind", "output", "parameters", "multiply_adds", "receptive_field"} <= set(table["layers"][0])
    assert main(["compare", "alexnet", "alexnet_2014", "--json"]) == 0
    assert len(only_json(capsys)) > 5


def test_summary_and_compare_print_tables(capsys):
    assert main(["summary", "alexnet"]) == 0
    assert "60,965,224" in capsys.readouterr().out
    assert main(["compare", "alexnet", "caffe_alexnet"]) == 0
    assert "prototxt" in capsys.readouterr().out


def test_help_takes_less_than_three_tenths_of_a_second():
    command = [sys.executable, "-c", "import sys; from alexnet.cli import main; sys.exit(main(['--help']))"]
    times = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.3  # the least of five: other work on the machine is not ours to measure
    code = (
        "import sys; from alexnet.cli import main; main(['--help']); assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_check_names_every_problem_and_says_whether_training_can_go_on(odd_folder, capsys):
    code = main(["check", str(odd_folder.path), "--json"])
    report = only_json(capsys)
    named = {problem["path"] for problem in report["problems"]}
    assert set(odd_folder.problems) <= named
    assert report["images"] >= len(odd_folder.readable)
    assert code == 0
    assert main(["check", str(odd_folder.path)]) == 0
    assert "ready to train" in capsys.readouterr().out


def test_a_folder_of_odd_files_is_packed_trained_on_and_evaluated(
    odd_folder, tiny, cache, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["pack", str(odd_folder.path), "packed", "--stored", "77"]) == 0
    assert capsys.readouterr().out == "47 images of 2 classes in packed, 10 skipped\n"
    assert main(["train", "packed", *QUICK, "--size", "67", "--optimiser.batch", "16", "--out", "run", "--json"]) == 0
    result = only_json(capsys)
    assert Path(result["report"]).is_file()
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert set(odd_folder.problems) <= {problem["path"] for problem in about["skipped"]}
    assert main(["evaluate", "run", str(odd_folder.path), "--json"]) == 0
    assert only_json(capsys)["images"] == about["parts"]["test"]


def test_what_is_printed_at_the_end_names_the_error_and_the_report(tiny, cache, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--model", "tiny", "--epochs", "1", "--max-minutes", "5"]) == 0
    said = capsys.readouterr()
    assert "report runs/digits-tiny-1/report.html" in said.out
    assert "test error" in said.out
    assert "recipe   practical" in said.err

    # The cache holds what was packed; dropped, it is made again when it is needed.
    assert main(["cache", "--json"]) == 0
    shown = only_json(capsys)
    assert len(shown["packs"]) == 1
    assert shown["bytes"] > 100_000
    assert main(["cache", "--clear"]) == 0
    assert main(["cache", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["packs"] == []
    assert main(["evaluate", "runs/digits-tiny-1", "--json"]) == 0
