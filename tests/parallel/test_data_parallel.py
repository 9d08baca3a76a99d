"""Data-parallel training is training by one process, but for rounding: steps, whole runs, and runs taken up again."""

import json
import re
import warnings
from functools import cache

import numpy as np
import pytest
import torch

from parallel.launching import launched
from parallel.working_on_data_parallel import stopped, trained, weights_after

WORK = "parallel.working_on_data_parallel"
CASES = [
    ("tiny", 20, torch.float32, 7),
    ("tiny", 20, torch.float64, 7),
    ("tiny", 2, torch.float64, 9, 2),
    ("lenet5", 2, torch.float64, 5),
    ("resnet20_cifar", 2, torch.float64, 5),
]
SLOW = pytest.mark.slow
WITH_FOUR = [CASES[0], CASES[4]]


def difference(one, other):
    """The largest difference of a weight, as a share of the largest weight of its kind."""
    return max(
        np.abs(value.astype(float) - other[name]).max() / max(np.abs(value).max(), 1e-30) for name, value in one.items()
    )


SIDES = ("googlenet_bn", 1, torch.float64, 3)  # classifiers beside the row, and a process with one image of 1 x 1


@cache
def alone(case):
    return weights_after(*case)


@pytest.mark.parametrize(("count", "cases"), [(2, CASES), (4, WITH_FOUR), pytest.param(2, [SIDES], marks=SLOW)])
def test_steps_of_several_processes_are_those_of_one(count, cases):
    found = launched(count, f"{WORK}:steps_of_many", cases)
    for at, case in enumerate(cases):
        weights, losses = alone(case)
        bound = 1e-4 if case[2] == torch.float32 else 1e-11 if case == SIDES else 1e-12
        for theirs, theirs_losses in (answer[at] for answer in found):
            assert difference(weights, theirs) < bound, case
            assert theirs_losses == pytest.approx(losses, rel=bound), case
        assert all(np.array_equal(value, found[1][at][0][name]) for name, value in found[0][at][0].items()), case


def journal(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_run_by_two_processes_is_the_run_of_one_and_goes_on_with_any_number(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = trained(tmp_path, "one")
        stopped(tmp_path, "handed_over")
    two = launched(2, f"{WORK}:several_runs", tmp_path)
    four = launched(4, f"{WORK}:gone_on_with", tmp_path, "handed_over")
    whole = two[0]["whole"]
    assert difference(one["weights"], whole["weights"]) < 1e-4
    assert whole["temperature"] == pytest.approx(one["temperature"], rel=1e-3)
    assert difference(one["weights"], four[0]["weights"]) < 1e-4
    for answer in two:
        resumed = answer["resumed"]["weights"]
        assert all(np.array_equal(value, resumed[name]) for name, value in whole["weights"].items())
        assert answer["stopped"]["state"]
        assert answer["stopped"]["reason"] == "1e-09 minutes are over"
        assert not answer["resumed"]["state"]
    assert journal(tmp_path / "whole") == journal(tmp_path / "stopped")
    for ours, theirs in zip(journal(tmp_path / "one"), journal(tmp_path / "whole"), strict=True):
        assert ours.keys() == theirs.keys()
        if ours["kind"] == "step":
            assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-4)
            assert theirs["error"] == ours["error"]
        if ours["kind"] == "validation":
            assert theirs["images"] == ours["images"]
            assert theirs["error"] == ours["error"]
    environment = json.loads((tmp_path / "whole" / "run.json").read_text())["environment"]
    assert (environment["processes"], environment["layout"]) == (2, "data")


def test_a_batch_with_fewer_images_than_processes_is_refused(tmp_path):
    with pytest.raises(AssertionError, match=re.escape("a batch of 1 images cannot be shared by 2 processes")):
        launched(2, f"{WORK}:too_small", tmp_path)
