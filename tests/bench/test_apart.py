"""A way in a process of its own."""

import os

import pytest
import torch

from alexnet.bench.apart import apart
from alexnet.bench.timing import busy_seconds
from alexnet.errors import JobFailed


class Pids:
    """Gives its process; works for a while at every call."""

    def __init__(self, calls, fails):
        self.left, self.fails = calls, fails

    def __call__(self):
        begun = os.times().user
        while os.times().user < begun + 0.2:
            pass
        self.left -= 1
        if self.left < 0 and self.fails:
            raise ValueError("no more")
        if self.left < 0:
            os._exit(1)
        return os.getpid(), torch.get_num_threads(), self.left


def test_it_answers_from_there_keeps_its_state_and_its_work_counts_as_ours_until_what_it_raises_is_raised_here():
    with apart(Pids, 2, True) as call:
        before = busy_seconds()
        first, second = call(), call()
        after = busy_seconds()
        with pytest.raises(ValueError, match="no more"):
            call()
    assert first[0] == second[0] != os.getpid()
    assert first[1] == torch.get_num_threads()
    assert (first[2], second[2]) == (1, 0)
    if before and after:
        assert after[1] - before[1] >= 0.35


def test_its_end_is_said():
    with apart(Pids, 0, False) as call, pytest.raises(JobFailed, match="ended by itself"):
        call()
