"""A run that is killed and resumed ends with the weights of one that was left alone, bit for bit."""

import json
import signal

import pytest
import torch

from forked import Command

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
def begin(tmp_path):
    """Start `alexnet train ...` in a process of its own."""
    return lambda *arguments: Command(["train", *arguments], tmp_path, ALEXNET_CACHE=str(tmp_path / "cache"))


def lines(run):
    path = run / "metrics.jsonl"
    return path.read_text().count("\n") if path.is_file() else 0


def without_times(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("case", ["practical", pytest.param("plateau", marks=pytest.mark.slow)])
def test_killed_at_several_moments_and_resumed_a_run_ends_bit_for_bit_the_same(tmp_path, begin, case):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    train = [*TRAIN, *CASES[case]]
    code, _, err = begin(*train, "--out", str(alone)).end()
    assert code == 0, err

    moments = [  # before the first state, within the first epoch, in the second, while a state is being written
        lambda: (killed / "run.json").is_file(),
        lambda: lines(killed) >= 1,
        lambda: lines(killed) >= 5,
        lambda: set(killed.glob(".state.pt.*")) - torn,
    ]
    arguments = [*train, "--out", str(killed)]
    for reached in moments:
        torn = set(killed.glob(".state.pt.*"))
        process = begin(*arguments)
        process.wait_until(reached)
        process.send(signal.SIGKILL)
        assert process.end()[0] == -signal.SIGKILL
        arguments = ["--resume", str(killed), "--save-every", "0"]
    code, out, err = begin(*arguments).end()
    assert code == 0, err
    for name in ("best.safetensors", "last.safetensors"):
        assert (killed / name).read_bytes() == (alone / name).read_bytes()
    assert without_times(killed) == without_times(alone)
    assert not list(killed.glob("*state.pt*"))
    assert "report" in out


def test_ctrl_c_saves_prints_how_to_go_on_and_loses_nothing(tmp_path, begin):
    run = tmp_path / "run"
    arguments = [*TINY, "--epochs", "2", "--out", str(run), "--save-every", "999"]
    process = begin(*arguments)
    process.wait_until(lambda: lines(run) >= 1)
    process.send(signal.SIGINT)
    code, _, err = process.end()
    assert code == 130
    assert f"to go on: alexnet train --resume {run}" in err
    assert "Traceback" not in err
    step = torch.load(run / "state.pt", weights_only=True)["position"]["step"]
    assert step >= 10

    code, out, err = begin("--resume", str(run), "--json").end()
    assert code == 0, err
    assert json.loads(out)["images"] == 359
    assert [row["step"] for row in without_times(run) if row["kind"] == "step"] == [10, 20, 30]
