"""A run that is killed and resumed ends with the weights of one that was left alone, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

RUNNER = Path(__file__).parents[1] / "runner.py"
TINY = ["digits", "--model", "tiny", "--optimiser.batch", "64"]
TRAIN = [*TINY, "--epochs", "3", "--save-every", "0", "--optimiser.micro_batch", "40"]
CASES = {
    "practical": [],
    "plateau": [
        *("--schedule.kind", "plateau", "--schedule.patience", "1", "--optimiser.velocity", "paper"),
        *("--data.class_weights", "true", "--evaluation.views", "ten"),
    ],
}


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"ALEXNET_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def begin(environment, *arguments):
    return subprocess.Popen(
        [sys.executable, str(RUNNER), "train", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(process, condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


def lines(run):
    path = run / "metrics.jsonl"
    return path.read_text().count("\n") if path.is_file() else 0


def without_times(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("case", ["practical", pytest.param("plateau", marks=pytest.mark.slow)])
def test_killed_at_several_moments_and_resumed_a_run_ends_bit_for_bit_the_same(tmp_path, environment, case):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    train = [*TRAIN, *CASES[case]]
    undisturbed = begin(environment, *train, "--out", str(alone))
    out, err = undisturbed.communicate(timeout=280)
    assert undisturbed.returncode == 0, err

    moments = [  # before the first state, within the first epoch, in the second, while a state is being written
        lambda: (killed / "run.json").is_file(),
        lambda: lines(killed) >= 1,
        lambda: lines(killed) >= 5,
        lambda: set(killed.glob(".state.pt.*")) - torn,
    ]
    arguments = [*train, "--out", str(killed)]
    for reached in moments:
        torn = set(killed.glob(".state.pt.*"))
        process = begin(environment, *arguments)
        wait_until(process, reached)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        arguments = ["--resume", str(killed), "--save-every", "0"]
    last = begin(environment, *arguments)
    out, err = last.communicate(timeout=280)
    assert last.returncode == 0, err
    for name in ("best.safetensors", "last.safetensors"):
        assert (killed / name).read_bytes() == (alone / name).read_bytes()
    assert without_times(killed) == without_times(alone)
    assert not list(killed.glob("*state.pt*"))
    assert "report" in out


def test_ctrl_c_saves_prints_how_to_go_on_and_loses_nothing(tmp_path, environment):
    run = tmp_path / "run"
    arguments = [*TINY, "--epochs", "2", "--out", str(run), "--save-every", "999"]
    process = begin(environment, *arguments)
    wait_until(process, lambda: lines(run) >= 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"to go on: alexnet train --resume {run}" in err
    assert "Traceback" not in err
    step = torch.load(run / "state.pt", weights_only=True)["position"]["step"]
    assert step >= 10

    again = begin(environment, "--resume", str(run), "--json")
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert json.loads(out)["images"] == 359
    assert [row["step"] for row in without_times(run) if row["kind"] == "step"] == [10, 20, 30]
