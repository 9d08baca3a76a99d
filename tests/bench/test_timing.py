"""Ways take turns, and what is reported is what the clock said."""

import pytest

from alexnet.bench import timing
from alexnet.bench.timing import Timing, compared, take_turns


class Clock:
    """A clock that moves only when a way works, and a diary of who worked."""

    def __init__(self):
        self.now, self.diary = 0.0, []

    def __call__(self):
        return self.now

    def way(self, name, *seconds):
        left = list(seconds)

        def work():
            self.diary.append(name)
            self.now += left.pop(0)

        return work


def test_ways_take_turns_in_an_order_that_is_reversed_every_other_round():
    clock = Clock()
    ways = {name: clock.way(name, *[1] * 5) for name in "abc"}
    take_turns(ways, 4, clock)
    assert "".join(clock.diary) == "abc" + "abc" + "cba" + "abc" + "cba"


def test_the_first_call_is_not_measured_and_the_median_least_and_most_are_of_the_others():
    clock = Clock()
    found = take_turns({"slow": clock.way("slow", 100, 4, 9, 5), "fast": clock.way("fast", 50, 1, 2, 3)}, 3, clock)
    assert found["slow"].seconds == [4, 9, 5]
    row = compared("work", found, images=20, against="slow")
    assert (row["ways"]["slow"]["median"], row["ways"]["slow"]["min"], row["ways"]["slow"]["max"]) == (5, 4, 9)
    assert row["ratio"] == {"fast": 2.5}
    assert row["ways"]["fast"]["images_per_second"] == 10


def test_without_a_warm_up_the_first_call_counts():
    clock = Clock()
    assert take_turns({"one": clock.way("one", 7)}, 1, clock, warm=False)["one"].seconds == [7]


def test_no_ratio_is_given_where_there_is_nothing_to_compare_with():
    assert compared("help", {"ours": Timing([1.0], [0.0])})["ratio"] == {}


def test_repeats_during_which_others_worked_are_not_called_quiet(monkeypatch):
    readings = iter([(10.0, 1.0), (13.0, 3.0), (20.0, 3.0), (22.0, 5.0)])  # all programs, this one
    monkeypatch.setattr(timing, "busy_seconds", lambda: next(readings))
    clock = Clock()
    found = take_turns({"one": clock.way("one", 2, 2)}, 2, clock, warm=False)["one"]
    assert found.others == [0.5, 0.0]
    assert found.quiet == 1


def test_where_the_system_does_not_tell_what_others_did_no_repeat_is_called_quiet(monkeypatch):
    monkeypatch.setattr(timing, "busy_seconds", lambda: None)
    clock = Clock()
    found = take_turns({"one": clock.way("one", 2)}, 1, clock, warm=False)["one"]
    assert (found.others, found.quiet) == ([None], 0)


def test_our_own_work_is_not_counted_as_that_of_others():
    before = timing.busy_seconds()
    if before is None:
        pytest.skip("this system does not tell what its cores do")
    sum(i * i for i in range(2_000_000))
    after = timing.busy_seconds()
    assert after[1] > before[1]
    assert after[0] - before[0] >= after[1] - before[1] - 0.05  # ours is part of all; ticks are hundredths


def test_a_turn_of_some_length_is_filled_with_calls_and_their_mean_counts():
    clock = Clock()
    ways = {"slow": clock.way("slow", 9, 6, 4, 4), "fast": clock.way("fast", 5, 2, 1, 3, 2, 2, 3, 4)}
    found = take_turns(ways, 2, clock, turn=6)
    assert clock.diary.count("slow") == 2 + 2  # warm-up, its timing, and one call a turn
    assert (found["slow"].seconds, found["fast"].seconds) == ([4, 4], [2, 3])
