"""Probabilities that mean what they say, and when to answer "none of these".

Temperature scaling: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural
networks", 2017, section 4.2. A net's answer here is an average of softmax outputs over views, so the
temperature divides the logarithm of that average: p^(1/T), made to add to 1 again. With one view this
is the same as dividing the scores. The order of the classes never changes, and so no error figure does.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from alexnet.errors import InputError

TEMPERATURES = (0.25, 10.0)
"""Bounds of a fitted temperature: a few images, all of them right, would otherwise ask for 0."""


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, within TEMPERATURES, that makes the labels of a validation part most likely.

    Args:
        probabilities: float [n, classes], averaged over the views.
        labels: integers [n].

    Returns:
        The temperature; above 1 the net was too sure, below 1 not sure enough; 1.0 for no image.
    """
    if not len(labels):
        return 1.0
    logs, rows = _log(probabilities), np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(logs / np.exp(log_temperature), axis=1)[rows, labels].mean())

    bounds = (float(np.log(TEMPERATURES[0])), float(np.log(TEMPERATURES[1])))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    # The search stays a hair inside its bounds; exp() may step a hair outside.
    return float(np.clip(np.exp(found.x), *TEMPERATURES))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Calibrated probabilities, float64 [n, classes], rows adding to 1.

    Raises:
        InputError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise InputError(f"temperature {temperature}; give one above 0, or train again to have it fitted")
    return softmax(_log(probabilities) / temperature, axis=1)


def none_of_these_threshold(top: np.ndarray, right: np.ndarray, keep: float = 0.95) -> float:
    """The probability below which the answer is "none of these".

    The highest threshold at which at least a share `keep` of the rightly answered validation images
    has `top >= threshold` and so keeps its answer.

    Args:
        top: float [n], calibrated probability of the first answer.
        right: bool [n], whether that answer was right.
        keep: 0..1.

    Returns:
        The threshold; 0.0, which turns nothing away, where no image was right.
    """
    kept = np.sort(np.asarray(top, dtype=np.float64)[np.asarray(right, dtype=bool)])
    if not len(kept):
        return 0.0
    # 1e-9: (1 - 0.9) * 10 is 0.9999999999999998 in floating point and means 1.
    lost = int((1 - keep) * len(kept) + 1e-9)
    return float(kept[min(lost, len(kept) - 1)])


def expected_calibration_error(top: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Mean distance between how sure and how right, over equal bins of probability (Guo et al., section 2).

    Args:
        top: float [n], probability of the first answer, 0..1.
        right: bool [n].
        bins: equal bins over 0..1, each (low, high].

    Raises:
        InputError: no image.
    """
    top, right = np.asarray(top, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not len(top):
        raise InputError("no image to measure calibration on; give 1 or more")
    bin_of = np.clip(np.ceil(top * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(bin_of, weights=right - top, minlength=bins)
    return float(np.abs(gap).sum() / len(top))


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), np.finfo(np.float64).tiny))
