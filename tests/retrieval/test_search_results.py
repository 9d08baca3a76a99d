"""What docs/search.md says of the measurement is what results/search.json holds."""

import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "results" / "search.json"


@pytest.fixture(scope="module")
def experiments():
    return json.loads(PATH.read_text(encoding="utf-8"))["experiments"]


def codes(experiment, bits, method="autoencoder"):
    """The row of one kind and length."""
    return next(row for row in experiment["codes"] if (row["method"], row["bits"]) == (method, bits))


def test_a_short_list_by_128_bits_keeps_the_exact_precision(experiments):
    for method in ("autoencoder", "hyperplanes", "itq"):
        assert abs(codes(experiments["fc7"], 128, method)["precision_kept"] - 1) < 0.001
    assert min(row["precision_kept"] for row in experiments["unseen-five"]["codes"]) > 0.97
    for experiment in experiments.values():
        assert (experiment["k"], experiment["shortlist"], experiment["left_out"]) == (10, 200, 0)
        assert codes(experiment, 128)["precision_kept"] >= 0.95  # what was asked for


def test_on_known_classes_codes_of_features_beat_pixels(experiments):
    fc7, pixels, untrained = (experiments[name] for name in ("fc7", "pixels", "untrained"))
    assert (fc7["indexed"], fc7["queries"]) == (60_000, 10_000)
    for bits in (32, 64, 128, 256):
        assert codes(fc7, bits)["precision"] > codes(pixels, bits)["precision"] + 0.05
    assert codes(fc7, 32)["precision"] > pixels["exact"]["precision"]
    assert codes(fc7, 32)["map"] > pixels["exact"]["map"]
    assert untrained["exact"]["precision"] < pixels["exact"]["precision"]
    assert untrained["exact"]["map"] < pixels["exact"]["map"]


def test_on_unseen_classes_pixels_beat_features(experiments):
    five, pixels, untrained = (experiments[f"unseen-{name}"] for name in ("five", "pixels", "untrained"))
    assert (five["indexed"], five["queries"]) == (30_000, 5_000)
    for better in (pixels, untrained):
        assert better["exact"]["precision"] > five["exact"]["precision"]
        assert better["exact"]["map"] > five["exact"]["map"]
    for bits in (32, 64, 128, 256):
        assert codes(pixels, bits)["precision"] > codes(five, bits)["precision"]
        assert codes(pixels, bits)["map"] > codes(five, bits)["map"]


def test_on_trained_features_the_three_kinds_of_codes_are_alike(experiments):
    for bits in (32, 64, 128, 256):
        rows = [codes(experiments["fc7"], bits, method) for method in ("autoencoder", "hyperplanes", "itq")]
        precisions = [row["precision"] for row in rows]
        assert max(precisions) - min(precisions) < 0.01
        assert rows[2]["map"] == max(row["map"] for row in rows)
