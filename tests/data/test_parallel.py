import threading
import time

import pytest

from alexnet.data.parallel import AHEAD, ahead, cores, in_threads


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


def test_one_thread_works_ahead_in_order():
    threads = set()

    def work(item: int) -> int:
        threads.add(threading.current_thread().name)
        return item * item

    for count in (0, 1, AHEAD, AHEAD + 1, 20):
        assert list(ahead(work, range(count))) == [item * item for item in range(count)]
    assert threads == {"alexnet-ahead_0"}


def test_one_buffer_more_than_is_read_ahead_is_enough_and_as_many_are_not():
    def overwritten(buffers: int) -> bool:
        memory = [-1] * buffers

        def work(item: int) -> int:
            memory[item % buffers] = item
            return item

        wrong = []
        for item in ahead(work, range(12)):
            time.sleep(0.01)  # time enough for the thread to write all that it may
            wrong.append(memory[item % buffers] != item)
        return any(wrong)

    assert not overwritten(AHEAD + 1)
    assert overwritten(AHEAD)


def test_working_ahead_ends_with_its_reader_and_gives_its_errors():
    before = threading.active_count()
    results = ahead(lambda item: 6 // (3 - item), range(9))
    assert [next(results), next(results), next(results)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before
