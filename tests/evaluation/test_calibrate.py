import numpy as np
import pytest
from scipy.special import softmax

from alexnet.errors import InputError
from alexnet.evaluation.calibrate import (
    TEMPERATURES,
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    none_of_these_threshold,
)
from alexnet.evaluation.metrics import log_loss


def calibrated(seed: int = 0, n: int = 4000, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels drawn from their softmax: right at temperature 1."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(n, classes)) * 2
    cumulated = softmax(scores, axis=1).cumsum(1)
    labels = (generator.random((n, 1)) > cumulated).sum(1).clip(0, classes - 1)
    return scores, labels


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_a_temperature_put_in_is_found_again(true):
    scores, labels = calibrated()
    assert fit_temperature(softmax(scores * true, axis=1), labels) == pytest.approx(true, rel=0.06)


def test_the_fitted_temperature_beats_every_other_on_a_grid():
    scores, labels = calibrated(seed=1, n=60)
    probabilities = softmax(scores * 2.5, axis=1)
    fitted = fit_temperature(probabilities, labels)
    grid = np.geomspace(*TEMPERATURES, 200)
    losses = [log_loss(apply_temperature(probabilities, t), labels) for t in grid]
    assert log_loss(apply_temperature(probabilities, fitted), labels) <= min(losses) + 1e-9


def test_few_images_all_right_or_all_wrong_stay_within_the_bounds():
    sure = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert fit_temperature(sure, np.array([0, 0])) == pytest.approx(TEMPERATURES[0], rel=1e-3)
    assert fit_temperature(sure, np.array([1, 1])) == pytest.approx(TEMPERATURES[1], rel=1e-3)
    assert fit_temperature(np.zeros((0, 2)), np.zeros(0, int)) == 1.0


def test_temperature_divides_the_scores_where_there_is_one_view():
    scores, _ = calibrated(n=50)
    expected = softmax(scores / 1.7, axis=1)
    np.testing.assert_allclose(apply_temperature(softmax(scores, axis=1), 1.7), expected, rtol=1e-12)


def test_probabilities_of_exactly_0_and_1_stay_finite_and_in_order():
    hot = apply_temperature(np.array([[1.0, 0.0, 0.0]]), 10.0)
    assert np.isfinite(hot).all()
    assert hot.sum() == pytest.approx(1)
    assert hot.argmax() == 0


def test_a_temperature_of_zero_is_an_error():
    with pytest.raises(InputError, match="above 0"):
        apply_temperature(np.array([[0.5, 0.5]]), 0.0)


@pytest.mark.parametrize("n", [1, 7, 20, 100, 1000])
@pytest.mark.parametrize("keep", [0.9, 0.95, 1.0])
def test_the_threshold_keeps_the_asked_share_of_right_answers_and_no_higher_one_does(n, keep):
    top = np.random.default_rng(n).random(n)
    right = np.ones(n, bool)
    threshold = none_of_these_threshold(top, right, keep)
    assert np.mean(top >= threshold) >= keep - 1e-12
    higher = np.nextafter(threshold, 2)
    assert np.mean(top >= higher) < keep


def test_wrong_answers_do_not_move_the_threshold():
    top, right = np.array([0.9, 0.8, 0.1, 0.05]), np.array([True, True, False, False])
    assert none_of_these_threshold(top, right) == 0.8
    assert none_of_these_threshold(top, np.zeros(4, bool)) == 0.0


def slow_calibration_error(top, right, bins=15):
    total = 0.0
    for b in range(bins):
        inside = [i for i, t in enumerate(top) if b / bins < t <= (b + 1) / bins]
        if inside:
            gap = np.mean([right[i] for i in inside]) - np.mean([top[i] for i in inside])
            total += len(inside) / len(top) * abs(gap)
    return total


def test_calibration_error_equals_the_papers_sum_over_bins():
    generator = np.random.default_rng(4)
    top = generator.random(300) * 0.8 + 0.2
    right = generator.random(300) < top**2
    assert expected_calibration_error(top, right) == pytest.approx(slow_calibration_error(top, right))
    assert expected_calibration_error(top, right) > 0.1
    assert expected_calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0.0


def test_calibration_error_falls_when_the_temperature_is_right():
    scores, labels = calibrated(seed=2)
    too_sure = softmax(scores * 3, axis=1)
    right = too_sure.argmax(1) == labels
    after = apply_temperature(too_sure, fit_temperature(too_sure, labels))
    before = expected_calibration_error(too_sure.max(1), right)
    assert expected_calibration_error(after.max(1), right) < before / 4
