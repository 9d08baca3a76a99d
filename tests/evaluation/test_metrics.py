import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.errors import InputError
from alexnet.evaluation.metrics import (
    confusion_counts,
    log_loss,
    per_class_table,
    top_k,
    top_k_error,
    wilson_interval,
)


def softmaxed(seed: int, n: int, classes: int) -> np.ndarray:
    scores = np.exp(np.random.default_rng(seed).normal(size=(n, classes)))
    return scores / scores.sum(1, keepdims=True)


def slow_error(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    wrong = 0
    for row, label in zip(probabilities, labels):
        order = sorted(range(len(row)), key=lambda c: (-row[c], c))
        wrong += label not in order[:k]
    return wrong / len(labels)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(2, 9), st.integers(1, 9))
def test_top_k_error_equals_sorting_one_image_after_another(seed, n, classes, k):
    generator = np.random.default_rng(seed)
    probabilities = generator.integers(0, 3, (n, classes)) / 3.0  # few values: most rows hold equals
    labels = generator.integers(0, classes, n)
    k = min(k, classes)
    assert top_k_error(probabilities, labels, k) == pytest.approx(slow_error(probabilities, labels, k))


def test_of_all_classes_equally_probable_exactly_k_labels_are_right():
    probabilities = np.full((10, 10), 0.1)
    assert top_k_error(probabilities, np.arange(10), 5) == 0.5


def test_top_1_agrees_with_argmax():
    probabilities, labels = softmaxed(0, 200, 7), np.random.default_rng(1).integers(0, 7, 200)
    assert top_k_error(probabilities, labels, 1) == np.mean(probabilities.argmax(1) != labels)


def test_a_value_that_is_not_a_number_is_an_error_and_not_a_right_answer():
    probabilities = softmaxed(0, 4, 3)
    probabilities[2] = np.nan
    with pytest.raises(InputError, match="not a number"):
        top_k_error(probabilities, np.zeros(4, int), 1)


@pytest.mark.parametrize(("classes", "k"), [(1, 1), (2, 1), (3, 2), (5, 4), (6, 5), (1000, 5)])
def test_top_5_of_few_classes_leaves_one_class_to_be_wrong_with(classes, k):
    assert top_k(classes) == k


@pytest.mark.parametrize("k", [0, 4])
def test_a_k_outside_the_classes_is_an_error(k):
    with pytest.raises(InputError, match="1 to 3"):
        top_k_error(softmaxed(0, 4, 3), np.zeros(4, int), k)


def test_no_image_or_a_label_outside_the_classes_is_an_error():
    with pytest.raises(InputError, match="1 image or more"):
        top_k_error(np.zeros((0, 3)), np.zeros(0, int), 1)
    with pytest.raises(InputError, match=r"3 classes are 0\.\.2"):
        log_loss(softmaxed(0, 2, 3), np.array([0, 3]))


def slow_wilson(errors: int, n: int) -> tuple[float, float]:
    z = 1.959963984540054
    p = errors / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - half, centre + half


@pytest.mark.parametrize(("errors", "n"), [(0, 40), (1, 1), (3, 360), (40, 40), (5000, 10_000)])
def test_the_interval_is_wilsons_formula(errors, n):
    assert wilson_interval(errors, n) == pytest.approx(slow_wilson(errors, n), abs=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 500), st.data())
def test_the_interval_holds_the_measured_error_and_stays_within_0_and_1(n, data):
    errors = data.draw(st.integers(0, n))
    low, high = wilson_interval(errors, n)
    assert 0 <= low <= errors / n <= high <= 1
    assert low < high


def test_more_errors_than_images_is_an_error():
    with pytest.raises(InputError):
        wilson_interval(3, 2)
    with pytest.raises(InputError):
        wilson_interval(0, 0)


def test_confusion_rows_are_the_truth():
    counts = confusion_counts(np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 0, 0]), 3)
    assert counts.dtype == np.int64
    assert counts.tolist() == [[1, 1, 0], [0, 0, 0], [2, 0, 1]]


def test_confusion_refuses_a_class_that_is_not_there():
    with pytest.raises(InputError, match="3 classes"):
        confusion_counts(np.array([0]), np.array([3]), 3)


def test_the_per_class_table_agrees_with_scikit_learn():
    from sklearn.metrics import precision_recall_fscore_support

    generator = np.random.default_rng(3)
    labels, predictions = generator.integers(0, 4, 80), generator.integers(0, 4, 80)
    rows = per_class_table(confusion_counts(labels, predictions, 4), list("abcd"))
    precision, recall, _, images = precision_recall_fscore_support(labels, predictions)
    assert [row["precision"] for row in rows] == pytest.approx(precision)
    assert [row["recall"] for row in rows] == pytest.approx(recall)
    assert [row["error"] for row in rows] == pytest.approx(1 - recall)
    assert [row["images"] for row in rows] == images.tolist()


def test_a_class_without_images_or_answers_has_no_figure():
    rows = per_class_table(np.array([[2, 0, 1], [0, 0, 0], [0, 0, 3]]), ["a", "b", "c"])
    assert rows[0]["most_confused_with"] == "c"
    assert rows[1] == {
        "label": "b",
        "images": 0,
        "errors": 0,
        "error": None,
        "precision": None,
        "recall": None,
        "most_confused_with": None,
    }
    assert rows[2]["most_confused_with"] is None
    assert rows[2]["precision"] == 0.75


def test_log_loss_agrees_with_scikit_learn_and_is_finite_at_zero():
    from sklearn.metrics import log_loss as reference

    probabilities, labels = softmaxed(5, 50, 6), np.random.default_rng(6).integers(0, 6, 50)
    assert log_loss(probabilities, labels) == pytest.approx(reference(labels, probabilities, labels=range(6)))
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(708.396, abs=1e-3)
