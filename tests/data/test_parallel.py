import threading
import time

import pytest

from alexnet.data.parallel import cores, in_threads


def test_results_come_in_order_and_not_far_ahead():
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.001 * (item % 3))
        return item * item

    for i, result in enumerate(in_threads(work, range(100))):
        assert result == i * i
        if i == 0:
            time.sleep(0.3)  # time enough to begin them all, were they handed out
        assert len(begun) <= i + 1 + 4 * cores() + 1
    assert len(begun) == 100


def test_left_early_it_leaves_no_thread():
    before = threading.active_count()
    results = in_threads(lambda item: item, range(1000))
    assert next(results) == 0
    assert threading.active_count() > before
    results.close()
    assert threading.active_count() == before


def test_an_error_of_the_work_comes_out():
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda item: 1 // item, range(3)))
