"""What is kept of each image's answer, and what two nets' answers to the same images say of their difference."""

import numpy as np
import pytest

import alexnet
from alexnet.errors import InputError
from alexnet.evaluation.answers import NAME, answers_of, read_answers, write_answers
from alexnet.evaluation.paired import common, paired


def answered(n=6, classes=3, seed=0):
    chance = np.random.default_rng(seed)
    p = chance.dirichlet(np.ones(classes), n)
    digests = chance.integers(0, 256, (n, 32), np.uint8)
    return p, answers_of(p, chance.integers(0, classes, n), np.arange(n) + 10, digests, "center", 7)


def test_answers_come_back_as_they_were_written(tmp_path):
    p, kept = answered()
    write_answers(tmp_path, kept)
    read = read_answers(tmp_path)
    assert read is not None
    assert (read.step, read.views) == (7, "center")
    for name in ("rows", "digests", "labels", "answers", "probability", "of_truth"):
        assert np.array_equal(getattr(read, name), getattr(kept, name)), name
        assert getattr(read, name).dtype == getattr(kept, name).dtype
    assert np.allclose(read.probability, p.max(1))
    assert np.allclose(read.of_truth, [row[label] for row, label in zip(p, kept.labels)])
    assert read_answers(tmp_path / "none") is None


def test_a_damaged_file_is_said_in_one_line(tmp_path):
    write_answers(tmp_path, answered()[1])
    whole = (tmp_path / NAME).read_bytes()
    for broken in (whole[:200], b"no zip", whole[:-300]):
        (tmp_path / NAME).write_bytes(broken)
        with pytest.raises(InputError, match="alexnet evaluate"):
            read_answers(tmp_path)


def test_a_test_keeps_an_answer_to_each_image_that_adds_up_to_its_figures(tiny_run):
    kept = read_answers(tiny_run)
    assert kept is not None
    found = alexnet.evaluate(tiny_run)
    assert found["images"] == len(kept.rows) == len(set(kept.rows.tolist()))
    assert found["top1_error"] == 1 - kept.right.mean()
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (kept.labels, kept.answers), 1)
    assert found["confusion"] == confusion.tolist()
    worst = found["mistakes"][0]
    at = kept.rows.tolist().index(worst["row"])
    assert kept.probability[at] == pytest.approx(worst["probability"])
    assert kept.of_truth[at] == pytest.approx(worst["true_probability"])


def test_the_exact_test_is_a_coin_thrown_for_each_image_that_only_one_has_right():
    first = np.array([1] * 9 + [0] * 1 + [1] * 40 + [0] * 5, bool)
    second = np.array([0] * 9 + [1] * 1 + [1] * 40 + [0] * 5, bool)
    found = paired(first, second)
    assert (found.images, found.only_first, found.only_second) == (55, 9, 1)
    assert found.difference == pytest.approx(8 / 55)  # the second errs more
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)  # nine or ten heads of ten, and as many tails
    turned = paired(second, first)
    assert turned.difference == -found.difference
    assert turned.p == found.p
    assert turned.interval == pytest.approx((-found.interval[1], -found.interval[0]))


def test_the_interval_of_the_difference_is_that_of_drawing_images_again():
    chance = np.random.default_rng(1)
    first, second = chance.random(2000) < 0.9, chance.random(2000) < 0.87
    found = paired(first, second)
    off = (~second).astype(float) - (~first)
    drawn = [off[chance.integers(0, 2000, 2000)].mean() for _ in range(2000)]
    assert found.interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.0015)


def test_equal_answers_are_no_evidence_and_unlike_lengths_an_error():
    same = paired(np.ones(5, bool), np.ones(5, bool))
    assert (same.p, same.difference) == (1.0, 0.0)
    assert same.interval[0] < 0 < same.interval[1]
    for first, second in ((np.ones(5), np.ones(4)), (np.ones(0), np.ones(0))):
        with pytest.raises(InputError, match="give one of each"):
            paired(first, second)


def test_images_are_matched_by_their_digests_whatever_their_order():
    digests = np.random.default_rng(0).integers(0, 256, (5, 32), np.uint8)
    here, there = common(digests, digests[[4, 2, 2, 0]])
    assert (here.tolist(), there.tolist()) == ([0, 2, 4], [3, 1, 0])
    assert common(digests[:2], digests[2:])[0].size == 0
