"""Linear probes: which features, how they are averaged, what is fitted on what."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from alexnet.augment import center_view, to_planes
from alexnet.checkpoint import load_weights
from alexnet.data import split
from alexnet.errors import InputError
from alexnet.evaluation import probe as room
from alexnet.evaluation.evaluate import evaluate, images_of
from alexnet.evaluation.probe import GRID, as_text, before_classifier, fit, pooled, probe, stage_features


def blobs(n, seed, features=6, classes=3, noise=0.3):
    """Classes about corners of their own: float32 [n, features], int64 [n]."""
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return (4 * np.eye(classes, features)[labels] + chance.normal(0, noise, (n, features))).astype(np.float32), labels


def three_parts(**options):
    """Features and labels of a training, validation and test part."""
    made = {
        part: blobs(n, seed, **options)
        for seed, (part, n) in enumerate({"train": 90, "validation": 30, "test": 60}.items())
    }
    return {part: x for part, (x, _) in made.items()}, {part: y for part, (_, y) in made.items()}


def test_a_run_is_probed_at_several_stages_beside_its_own_error(tiny_run, cache):
    result = probe(tiny_run, stages=["fc7", "conv1", "fc7"])
    assert [row["stage"] for row in result["stages"]] == ["fc7", "conv1"]
    fc7, conv1 = result["stages"]
    assert (fc7["output"], fc7["pooling"], fc7["features"]) == ([32], "none", 32)
    assert (conv1["output"], conv1["pooling"], conv1["features"]) == ([8, 15, 15], "none", 8 * 15 * 15)
    assert conv1["top1_error"] < 0.15  # pixels of digits are nearly enough
    for row in result["stages"]:
        assert row["interval"][0] <= row["top1_error"] <= row["interval"][1]
        assert row["top5_error"] <= row["top1_error"]
        assert row["C"] in GRID
    assert result["part_sizes"] == {"train": 1259, "validation": 179, "test": 359}
    assert (result["images"], result["trained_on"], result["views"], result["seed"]) == (359, 0, "center", None)
    own = evaluate(tiny_run, views="center")
    assert result["net"] == {name: own[name] for name in ("top1_error", "top5_error", "interval", "log_loss")}
    text = as_text(result)
    assert "conv1" in text
    assert "8×15×15" in text
    assert "the net itself" in text


def test_another_source_is_a_transfer_and_has_no_error_of_the_net(tiny_run, tmp_path, cache):
    images, labels = load_digits(return_X_y=True)
    for name, digits in (("round", (0, 8)), ("straight", (1, 7))):
        (tmp_path / "shapes" / name).mkdir(parents=True)
        for i in np.flatnonzero(np.isin(labels, digits))[:30]:
            pixels = (images[i].reshape(8, 8) * 15).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "shapes" / name / f"{i}.png")
    result = probe(tiny_run, str(tmp_path / "shapes"), ["pool5"])
    assert result["net"] is None
    assert result["classes"] == ["round", "straight"]
    assert (result["k"], result["images"], result["part_sizes"]["train"]) == (1, 12, 42)
    assert result["stages"][0]["top1_error"] <= 0.25
    assert "the net itself" not in as_text(result)


def test_features_are_the_stages_outputs_of_the_centre_view_in_the_order_of_the_rows(tiny_run, cache):
    net, card = load_weights(tiny_run / "best.safetensors")
    packed = images_of(card, tiny_run, None, None)
    rows = split(packed, 0.2, 0.1).test[:140][::-1].copy()  # more than a batch, in an order of their own
    found = stage_features(net, card, packed, rows, ["fc7", "conv2", "pool5"], "test")
    images = center_view(to_planes(packed.read(rows), card.side, "cpu"), card.size)[0]
    with torch.inference_mode():
        for stage, x in found.items():
            wanted = net.features(images, stage).flatten(1).numpy()
            assert np.abs(wanted[0] - wanted[1]).max() > 0.01 * np.abs(wanted).max()
            assert np.abs(x - wanted).max() <= 1e-5 * np.abs(wanted).max(), stage
    assert set(found) == {"fc7", "conv2", "pool5"}


def test_large_maps_are_averaged_over_an_even_grid(monkeypatch):
    monkeypatch.setattr(room, "MOST_FEATURES", 20)
    x = torch.rand(2, 5, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cells = pooled(x)
    assert cells.shape == (2, 5 * 2 * 2)
    wanted = torch.stack([x[:, :, i : i + 3, j : j + 3].mean((2, 3)) for i in (0, 3) for j in (0, 3)], -1).flatten(1)
    assert (cells - wanted).abs().max() < 1e-12
    assert pooled(torch.rand(2, 30, 6, 6)).shape == (2, 30)  # never less than a number a map
    assert pooled(torch.rand(2, 900)).shape == (2, 900)


def test_c_is_chosen_on_the_validation_part_and_the_error_taken_on_the_test_part():
    features, labels = three_parts()
    row = fit(features, labels, 3)
    assert (row["validation_error"], row["top1_error"], row["C"]) == (0, 0, GRID[0])  # of equals the smallest
    # Of two classes only two images: a weak fit always answers with the third class, a strong one tells them apart.
    few = np.r_[np.arange(0, 90, 3), [1, 4, 2, 5]]
    uneven = features | {"train": features["train"][few]}, labels | {"train": labels["train"][few]}
    strong = fit(*uneven, 3)
    weak = fit(uneven[0], uneven[1] | {"validation": np.zeros(30, np.int64)}, 3)
    assert weak["C"] == GRID[0] < strong["C"]
    assert strong["top1_error"] < 0.1 < 0.5 < weak["top1_error"]
    swapped = fit(features, labels | {"test": (labels["test"] + 1) % 3}, 3)
    assert (swapped["C"], swapped["validation_error"], swapped["top1_error"]) == (GRID[0], 0, 1)


def test_features_are_standardised_by_the_training_part_alone():
    features, labels = three_parts(noise=1.5)
    row = fit(features, labels, 3)
    scale, move = np.float32(1000), np.float32(500)
    scaled = fit({part: x * scale + move for part, x in features.items()}, labels, 3)
    assert scaled["top1_error"] == row["top1_error"]
    assert abs(scaled["log_loss"] - row["log_loss"]) < 1e-3
    moved = features["test"] + np.float32([4, 0, 0, 0, 0, 0])  # all look like class 0: nothing may undo it
    assert fit(features | {"test": moved}, labels, 3)["top1_error"] > row["top1_error"] + 0.2


def test_without_a_validation_part_the_middle_of_the_grid_is_taken_and_said():
    features, labels = three_parts()
    row = fit(
        features | {"validation": features["validation"][:0]}, labels | {"validation": labels["validation"][:0]}, 3
    )
    assert (row["C"], row["validation_error"]) == (GRID[2], None)


def test_a_class_without_training_images_is_an_error_for_each_of_its_images():
    features, labels = three_parts()
    labels["train"] = np.where(labels["train"] == 2, 1, labels["train"])
    assert fit(features, labels, 3)["top1_error"] >= 1 / 3


def test_fewer_images_are_the_same_ones_each_time_and_said(tiny_run, cache):
    first, again = (probe(tiny_run, stages=["fc6"], most=100) for _ in range(2))
    assert first == again
    assert first["part_sizes"] == {"train": 100, "validation": 100, "test": 359}
    assert "100 of 1,259 training" in as_text(first)


def test_the_stage_before_the_classifier_is_the_default_and_an_unknown_one_is_named(tiny_run, cache):
    net, _ = load_weights(tiny_run / "best.safetensors")
    assert before_classifier(net) == "fc7"
    with pytest.raises(InputError, match="no stage 'fc9'; it has conv1"):
        probe(tiny_run, stages=["fc9"])


def test_a_source_of_one_class_is_refused_before_any_feature_is_computed(tiny_run, array_source, cache, monkeypatch):
    monkeypatch.setattr(room, "stage_features", None)
    with pytest.raises(InputError, match="noise has training images of one class alone"):
        probe(tiny_run, replace(array_source(shape=(40, 8, 8), classes=1), to_train=False))


def test_weights_that_were_brought_in_are_probed_on_images_that_are_named(brought, cache):
    with pytest.raises(InputError, match=r"were brought in, .*SOURCE of evaluate and probe"):
        probe(brought)
    result = probe(brought, "digits", ["fc7"], most=60)
    assert (result["trained_on"], result["trained_on_source"], result["images"]) == (None, "elsewhere", 359)
    assert result["net"] is not None


def test_the_nets_own_error_knows_imagenets_thousand_classes_by_their_order(tiny_run, monkeypatch):
    _, card = load_weights(tiny_run / "best.safetensors")
    card = replace(card, classes=[f"word {i}" for i in range(1000)], source="imagenet")
    labels = np.array([7, 999, 0])
    monkeypatch.setattr(room, "probabilities", lambda *_, **__: np.eye(1000)[labels])
    packed = SimpleNamespace(kind="imagenet", classes=[f"n{i:08}" for i in range(1000)], labels=labels, name="imagenet")
    own = room.own_error(SimpleNamespace(), card, packed, np.arange(3))
    assert own is not None
    assert own["top1_error"] == 0
    packed.kind = "folder"
    assert room.own_error(SimpleNamespace(), card, packed, np.arange(3)) is None
