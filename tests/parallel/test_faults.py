"""Processes that are killed, hang or are stopped: what was trained is not lost, and somebody says what happened."""

import json
import signal
import time
from pathlib import Path

import pytest
import torch

from parallel.commands import Command, lines, without_times
from parallel.launching import launched

TINY = ["train", "digits", "--model", "tiny", "--optimiser.batch", "100", "--epochs", "2", "--net.start", "he"]

KILLED_AFTER = 30  # seconds that torch's agent leaves a process that does not end when told
WEIGHTS = ("best.safetensors", "last.safetensors")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_a_killed_process_is_replaced_and_ctrl_c_saves_and_the_end_is_that_of_a_run_left_alone(tmp_path, cache):
    run, arguments = tmp_path / "run", TINY[1:]
    command = Command(cache, *TINY, "--save_every", "0", "--devices", "2", "--out", run)
    command.wait_until(lambda: lines(run, "step") >= 1)
    command.send(signal.SIGKILL, rank=1)
    command.wait_until(lambda: "restarted" if lines(run, "validation") else "")
    command.send(signal.SIGINT)
    code, out, err = command.end()
    assert (code, out) == (130, ""), err
    said = err.splitlines()
    assert "alexnet: process 1 of 2 was killed (SIGKILL)" in said
    assert f"a process died: going on with {run}" in said
    assert said[-1] == f"stopped and saved; to go on: alexnet train --resume {run}"
    assert "Traceback" not in err
    assert torch.load(run / "state.pt", weights_only=True)["position"]["step"] < 26

    launched(2, "parallel.working_on_faults:fitted", cache, ["--resume", str(run)])
    launched(2, "parallel.working_on_faults:fitted", cache, [*arguments, "--out", str(tmp_path / "alone")])
    for name in WEIGHTS:
        assert (run / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert without_times(run) == without_times(tmp_path / "alone")


@pytest.mark.slow
def test_a_killed_tower_is_replaced_by_torchrun_and_the_run_ends_bit_for_bit_the_same(tmp_path, cache):
    arguments = [*TINY, "--towers", "2"]
    run = tmp_path / "run"
    command = Command(cache, *arguments, "--save_every", "0", "--out", run, starter="torchrun")
    command.wait_until(lambda: lines(run, "step") >= 1)
    command.send(signal.SIGKILL, rank=0)
    code, _, err = command.end()
    assert code == 0, err
    assert err.count(f"a process died: going on with {run}") == 1
    launched(2, "parallel.working_on_faults:fitted", cache, [*arguments[1:], "--out", str(tmp_path / "alone")])
    for name in WEIGHTS:
        assert (run / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


@pytest.mark.slow
def test_a_process_that_hangs_is_noticed_within_the_timeout_and_replaced(tmp_path, cache):
    run = tmp_path / "run"
    command = Command(cache, *TINY, "--save_every", "0", "--devices", "2", "--timeout", "15", "--out", run)
    command.wait_until(lambda: lines(run, "step") >= 1)
    hanging, began = command.ranks()[1], time.monotonic()
    command.send(signal.SIGSTOP, rank=1)
    command.wait_until(lambda: command.ranks().get(1, hanging) != hanging)
    assert 15 <= time.monotonic() - began < 15 + KILLED_AFTER + 20
    code, _, err = command.end()
    assert code == 0, err
    assert "process 0 of 2" in err
    assert "did not answer within 15 s" in err
    assert f"a process died: going on with {run}" in err


@pytest.mark.slow
def test_sigterm_saves_and_the_resumed_run_prints_one_document(tmp_path, cache):
    run = tmp_path / "run"
    command = Command(cache, *TINY, "--json", "--devices", "2", "--out", run)
    command.wait_until(lambda: lines(run, "step") >= 1)
    command.send(signal.SIGTERM)
    code, out, err = command.end()
    assert (code, out) == (130, ""), err
    assert err.splitlines()[-1] == f"stopped and saved; to go on: alexnet train --resume {run}"
    code, out, err = Command(cache, "train", "--resume", run, "--devices", "2", "--json").end()
    assert code == 0, err
    assert json.loads(out)["images"] == 359


@pytest.mark.slow
def test_wrong_input_is_one_line_and_not_tried_again(tmp_path, cache):
    cases = {
        ("train", "digits", "--epohcs", "2"): "did you mean --epochs?",
        ("train", str(tmp_path / "nowhere")): "nowhere",
        ("train", "digits", "--model", "caffenet", "--towers", "2"): "--towers",
        ("evaluate", str(tmp_path / "nowhere")): "nowhere",
    }
    commands = [(Command(cache, *words, "--devices", "2"), said) for words, said in cases.items()]
    odd = Command(cache, "train", "digits", "--model", "tiny", "--towers", "2", "--devices", "3")
    for command, said in [*commands, (odd, "3")]:
        code, out, err = command.end()
        complaints = [line for line in err.splitlines() if line.startswith("alexnet:")]
        assert (code, out, len(complaints)) == (2, "", 1), err
        assert said in complaints[0]
        assert "Traceback" not in err
        assert "died" not in err


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_all_processes_with_one_line(tmp_path, cache):
    command = Command(cache, *TINY, "--optimiser.rate", "1e30", "--devices", "2", "--out", tmp_path / "run")
    code, out, err = command.end()
    said = [line for line in err.splitlines() if line.startswith("alexnet:")]
    assert (code, out, len(said)) == (1, "", 1), err
    assert "is nan at step" in said[0]
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_process_that_dies_again_and_again_ends_with_a_line(tmp_path, cache):
    run = tmp_path / "run"
    command = Command(cache, *TINY, "--save_every", "0", "--devices", "2", "--restarts", "0", "--out", run)
    command.wait_until(lambda: lines(run, "step") >= 1)
    command.send(signal.SIGKILL, rank=1)
    code, _, err = command.end()
    assert code == 1
    assert "alexnet: process 1 of 2 was killed (SIGKILL)" in err
    assert "alexnet train --resume" in err.splitlines()[-1]


@pytest.mark.slow
def test_no_process_works_on_when_the_one_that_started_them_is_killed(tmp_path, cache):
    run = tmp_path / "run"
    command = Command(cache, *TINY, "--epochs", "200", "--devices", "2", "--out", run)
    command.wait_until(lambda: lines(run, "step") >= 1)
    ranks = command.ranks().values()
    command.send(signal.SIGKILL)
    _, err = command.process.communicate()  # ends when nobody holds the pipe any more
    until = time.monotonic() + 60
    while any(Path(f"/proc/{number}").exists() for number in ranks):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert (run / "state.pt").is_file(), err
