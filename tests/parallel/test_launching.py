import time

import pytest

from parallel.launching import launched


def test_processes_are_joined_and_answer_in_their_order():
    assert launched(2, "parallel.working_on_launching:add", 2.0) == [(0, 6.0), (1, 6.0)]


def test_one_that_fails_is_told_with_its_traceback_at_once():
    began = time.monotonic()
    with pytest.raises(AssertionError, match="fail_in_the_second"):
        launched(2, "parallel.working_on_launching:fail_in_the_second", seconds=60)
    assert time.monotonic() - began < 30


def test_one_that_hangs_is_stopped():
    with pytest.raises(AssertionError, match="process 1 was stopped after 1 s"):
        launched(2, "parallel.working_on_launching:sleep", seconds=1)
