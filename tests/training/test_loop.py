"""The loop: what a step does, what an epoch leaves, when it ends."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet.checkpoint import load_weights
from alexnet.data import open_source
from alexnet.errors import InputError, JobFailed
from alexnet.evaluation.calibrate import fit_temperature
from alexnet.evaluation.classify import measure, probabilities
from alexnet.recipe import Data, Evaluation, Schedule
from alexnet.recipes import RECIPES
from alexnet.training import loop
from alexnet.training.journal import read_journal
from alexnet.training.loop import fit
from alexnet.training.start import resume, start


@pytest.fixture
def recipe(tiny):
    practical = RECIPES["practical"]
    return replace(practical, model=tiny, epochs=2, optimiser=replace(practical.optimiser, batch=64))


def test_two_runs_of_one_seed_are_equal_and_of_two_seeds_are_not(recipe, cache, tmp_path):
    weights = []
    for name, seed in [("a", 0), ("b", 0), ("c", 1)]:
        fit(start("digits", replace(recipe, epochs=1, seed=seed), out=tmp_path / name, device="cpu"))
        weights.append(load_weights(tmp_path / name / "last.safetensors")[0].state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["fc8.weight"], weights[2]["fc8.weight"])


def test_an_epoch_leaves_lines_weights_and_a_card(recipe, cache, tmp_path):
    run = start("digits", recipe, out=tmp_path / "run", device="cpu", command="alexnet train digits")
    fit(run)
    journal = read_journal(tmp_path / "run")
    assert [row["step"] for row in journal if row["kind"] == "step"] == [10, 20, 30]
    assert [row["epoch"] for row in journal if row["kind"] == "validation"] == [1.0, 2.0]
    assert all(0 <= row["error"] <= 1 and row["images"] == 179 for row in journal if row["kind"] == "validation")
    assert {row["kind"] for row in journal} >= {"step", "validation", "layers"}
    net, card = load_weights(tmp_path / "run" / "best.safetensors")
    assert (card.size, card.side, card.source) == (67, 77, "digits")
    assert 0.25 <= card.temperature <= 10
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["images_seen"] == 38 * 64
    assert about["reason"] == "all epochs are done"
    assert about["parts"] == {"train": 1259, "validation": 179, "test": 359, "left_out": 0}
    assert about["counts"]["0"] == np.sum(run.packed.labels[run.parts.train] == 0)
    assert not net.training


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_step(recipe, cache, tmp_path):
    wild = replace(recipe, optimiser=replace(recipe.optimiser, rate=1e6), schedule=Schedule(kind="constant"))
    run = start("digits", wild, out=tmp_path / "run", device="cpu")
    with pytest.raises(JobFailed, match=r"cross_entropy is (nan|inf) at step \d+"):
        fit(run)


def test_early_stop_ends_a_run_that_no_longer_improves(recipe, cache, tmp_path):
    still = replace(
        recipe,
        epochs=9,
        optimiser=replace(recipe.optimiser, rate=1e-12),
        schedule=Schedule(kind="constant", early_stop=2),
    )
    reason = fit(start("digits", still, out=tmp_path / "run", device="cpu"))
    assert reason == "no better validation error for 2 epochs"
    assert len([row for row in read_journal(tmp_path / "run") if row["kind"] == "validation"]) == 3


def test_a_run_whose_minutes_are_over_goes_on_where_it_stopped(recipe, cache, tmp_path):
    fit(start("digits", recipe, out=tmp_path / "alone", device="cpu"))
    reason = fit(start("digits", replace(recipe, max_minutes=0.3 / 60), out=tmp_path / "run", device="cpu"))
    assert "minutes are over" in reason
    for name in ("state.pt", "best.safetensors", "last.safetensors"):
        assert (tmp_path / "run" / name).is_file()
    while reason:  # a few steps at a time
        reason = fit(resume(tmp_path / "run", device="cpu"))
    alone, again = (load_weights(tmp_path / name / "last.safetensors")[0].state_dict() for name in ("alone", "run"))
    assert all(torch.equal(alone[name], again[name]) for name in alone)


def test_without_validation_images_the_last_weights_are_kept_and_nothing_is_measured(recipe, cache, tmp_path):
    run = start("digits", replace(recipe, data=Data(validation=0.0)), out=tmp_path / "run", device="cpu")
    fit(run)
    cards = [load_weights(tmp_path / "run" / f"{name}.safetensors")[1] for name in ("best", "last")]
    assert cards[0].step == cards[1].step == 2 * (len(run.parts.train) // 64)
    assert not [row for row in read_journal(tmp_path / "run") if row["kind"] == "validation"]


def test_validation_takes_no_more_images_at_once_than_memory_was_said_to_hold(recipe, cache, tmp_path, monkeypatch):
    asked = []

    def spy(net, packed, rows, side, size, batch):
        asked.append(batch)
        return {"error": 0.5, "loss": 1.0, "images": len(rows)}

    monkeypatch.setattr(loop, "measure", spy)
    run = start("digits", replace(recipe, epochs=1, data=Data(validation=0.01)), out=tmp_path / "run", device="cpu")
    decided = run.recipe
    for batch, micro_batch, at_once in ((256, None, 128), (32, None, 64), (256, 16, 16)):
        run.recipe = replace(decided, optimiser=replace(decided.optimiser, batch=batch, micro_batch=micro_batch))
        assert run.at_once == at_once
    run.recipe = replace(decided, optimiser=replace(decided.optimiser, batch=600, micro_batch=100))
    fit(run)
    assert asked == [100]


def test_a_plateau_without_validation_images_is_refused(recipe, cache, tmp_path):
    plateau = replace(recipe, data=Data(validation=0.0), schedule=Schedule(kind="plateau"))
    with pytest.raises(InputError, match=r"no validation images: raise --data.validation"):
        start("digits", plateau, out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_calibration_is_by_the_views_that_predictions_are_made_with(recipe, cache, tmp_path, monkeypatch):
    asked = []

    def spy(net, packed, rows, side, size, views="center", averaged="softmax", **named):
        asked.append((views, averaged))
        return probabilities(net, packed, rows, side, size, views, averaged, **named)

    monkeypatch.setattr("alexnet.training.run.probabilities", spy)
    protocol = replace(recipe, epochs=1, evaluation=Evaluation(views="ten", averaged="scores"))
    run = start("digits", protocol, out=tmp_path / "run", device="cpu")
    fit(run)
    assert set(asked) == {("ten", "scores")}
    p = probabilities(run.net, run.packed, run.parts.validation, run.side, run.size, "ten", "scores")
    assert run.temperature == pytest.approx(fit_temperature(p, run.packed.labels[run.parts.validation]), rel=1e-6)


def test_ctrl_c_in_the_last_validation_still_saves(recipe, cache, tmp_path, monkeypatch):
    def interrupted(*arguments, **named):
        signal.raise_signal(signal.SIGINT)
        return measure(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "measure", interrupted)
        assert fit(start("digits", replace(recipe, epochs=1), out=tmp_path / "run", device="cpu")) == loop.STOPPED
    assert (tmp_path / "run" / "state.pt").is_file()
    assert fit(resume(tmp_path / "run", device="cpu")) == ""


def test_class_weights_even_out_an_uneven_set(recipe, cache, tmp_path):
    weighted = replace(recipe, data=Data(class_weights=True))
    run = start("digits", weighted, out=tmp_path / "run", device="cpu")
    weights = run.class_weights
    counts = torch.tensor(run.class_counts, dtype=torch.float32)
    assert torch.allclose(weights * counts, torch.full((10,), counts.sum() / 10))
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)


def test_the_best_weights_are_those_of_the_best_validation(recipe, cache, tmp_path):
    run = start("digits", replace(recipe, epochs=3), out=tmp_path / "run", device="cpu")
    fit(run)
    rows = [row for row in read_journal(tmp_path / "run") if row["kind"] == "validation"]
    best = min(rows, key=lambda row: (row["error"], row["loss"]))
    _, card = load_weights(tmp_path / "run" / "best.safetensors")
    assert card.step == best["step"]
    assert [row["best"] for row in rows][rows.index(best)]


def test_a_named_set_and_the_source_it_opens_are_one(recipe, cache, tmp_path):
    run = start(open_source("digits"), recipe, out=tmp_path / "run", device="cpu")
    assert run.packed.name == "digits"
    assert run.recipe.augmentation.mirror is False
