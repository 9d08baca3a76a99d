"""Processes that are killed, hang or are stopped: what was trained is not lost, and somebody says what happened."""

import signal

import pytest
import torch

from parallel.commands import Command, lines, without_times
from parallel.launching import launched

TINY = ["train", "digits", "--model", "tiny", "--optimiser.batch", "100", "--epochs", "2", "--net.start", "he"]

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
