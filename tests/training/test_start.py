"""How a run begins: what the recipe leaves open, what other weights bring, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.checkpoint import load_weights, weights_file
from alexnet.data import Source, open_source
from alexnet.errors import InputError
from alexnet.evaluation.evaluate import trained_on
from alexnet.recipe import Data, Recipe
from alexnet.recipes import RECIPES
from alexnet.training.loop import fit
from alexnet.training.start import decide, resume, start


def photos(side=80, n=24, classes=2, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    return Source(
        name="photos",
        spec="photos",
        kind="dataset",
        classes=[f"class {i}" for i in range(classes)],
        labels=np.arange(n) % classes,
        given=np.zeros(n, np.uint8),
        paths=[str(i) for i in range(n)],
        arrays=images,
    )


def test_small_images_train_at_67_and_photographs_at_the_side_that_was_published(tiny, cache, tmp_path):
    recipe = replace(RECIPES["practical"], model=tiny)
    assert start("digits", recipe, out=tmp_path / "a", device="cpu").size == 67
    large = start(photos(), replace(recipe, model="alexnet"), out=tmp_path / "b", device="cpu")
    assert (large.size, large.side, large.packed.stored) == (224, 256, 256)
    assert start(photos(), replace(recipe, model="caffenet"), out=tmp_path / "c", device="cpu").size == 227


def test_caffes_patches_are_cut_from_256(tiny, cache, tmp_path):
    run = start(photos(), replace(RECIPES["caffe"], model=tiny), out=tmp_path / "a", device="cpu")
    assert (run.size, run.side, run.packed.stored) == (227, 256, 256)


def test_a_recipe_without_a_length_sees_about_the_same_work_whatever_the_set():
    class Packed:
        characters = False

    for n, epochs in [(100, 60), (1259, 15), (52_500, 6)]:
        assert decide(Recipe(), Packed(), n).epochs == epochs
    assert decide(Recipe(epochs=3), Packed(), 100).epochs == 3


def test_the_mean_image_is_the_centre_of_the_training_parts_mean(tiny, cache, tmp_path):
    recipe = replace(RECIPES["paper"], model=tiny, size=67, epochs=1)
    run = start(photos(77), recipe, out=tmp_path / "a", device="cpu")
    images = run.packed.read(run.parts.train).astype(np.float64).mean(0).transpose(2, 0, 1)
    assert run.net.mean.shape == (3, 67, 67)
    assert np.allclose(run.net.mean.numpy(), images[:, 5:72, 5:72], atol=1e-3)
    assert float(run.net.scale) == 1.0


def test_the_practical_recipe_subtracts_channel_means_and_divides_by_the_deviation(tiny, cache, tmp_path):
    run = start(photos(), replace(RECIPES["practical"], model=tiny, size=67), out=tmp_path / "a", device="cpu")
    images = run.packed.read(run.parts.train).astype(np.float64)
    assert np.allclose(run.net.mean.numpy().ravel(), images.mean((0, 1, 2)), atol=1e-3)
    assert float(run.net.scale) == pytest.approx((images - images.mean((0, 1, 2))).std(), rel=1e-3)


def test_fine_tuning_takes_over_all_but_the_classifier_and_leaves_frozen_stages_alone(tiny_run, cache, tmp_path):
    recipe = replace(RECIPES["practical"], model="alexnet_2014", epochs=1, seed=5)  # the weights bring their own net
    run = start(photos(70), recipe, out=tmp_path / "tuned", weights=tiny_run, freeze=("conv1",), device="cpu")
    before, _ = load_weights(weights_file(tiny_run))
    assert (run.recipe.model, run.size) == ("tiny", 67)
    assert torch.equal(run.net.conv5.weight, before.conv5.weight)
    assert torch.equal(run.net.mean, before.mean)
    assert run.net.fc8.weight.shape == (2, 32)
    factors = {(g["factor"], g["bias"]) for g in run.groups()}
    assert factors == {(0.1, False), (0.1, True), (1.0, False), (1.0, True)}
    fit(run)
    after, card = load_weights(tmp_path / "tuned" / "last.safetensors")
    assert torch.equal(after.conv1.weight, before.conv1.weight)
    assert not torch.equal(after.conv2.weight, before.conv2.weight)
    assert card.classes == ["class 0", "class 1"]


def test_what_earlier_weights_were_trained_on_counts_as_trained_on(tiny_run, cache, tmp_path, capsys):
    recipe = replace(RECIPES["practical"], model="tiny", data=Data(test=0.4))
    run = start("digits", recipe, out=tmp_path / "tuned", weights=tiny_run, device="cpu")
    told = capsys.readouterr().err
    before = {digest.tobytes() for digest in np.load(tiny_run / "trained_on.npy")}
    leaked = sum(digest.tobytes() in before for digest in run.packed.digests[run.parts.test])
    assert leaked > 100
    assert f"careful: {leaked} of the test images were trained on" in told
    assert trained_on(tmp_path / "tuned", run.packed.digests[run.parts.test]) == leaked


def test_health_is_judged_on_images_of_all_classes(tiny, cache, tmp_path):
    run = start(
        photos(70, n=90, classes=3), replace(RECIPES["practical"], model=tiny), out=tmp_path / "a", device="cpu"
    )
    run.packed.labels = np.sort(run.packed.labels)  # as a folder lists them
    seen = []
    run.packed.read = lambda rows: seen.extend(run.packed.labels[rows]) or np.zeros((len(rows), 256, 256, 3), np.uint8)
    run.health_images()
    assert set(seen) == {0, 1, 2}


def test_a_size_that_does_not_fit_into_what_is_stored_is_refused_before_anything_is_written(tiny, cache, tmp_path):
    recipe = replace(RECIPES["practical"], model=tiny, size=67, data=Data(stored=60))
    with pytest.raises(InputError, match="patches of 67 pixels do not fit into images of 60"):
        start("digits", recipe, out=tmp_path / "a", device="cpu")
    assert not (tmp_path / "a").exists()


def test_small_images_keep_their_size_in_the_pack_whatever_the_recipe(tiny, cache, tmp_path):
    for name, recipe in RECIPES.items():
        run = start("digits", replace(recipe, model=tiny, size=67), out=tmp_path / name, device="cpu")
        assert run.packed.shape == (8, 8, 1), name


def test_a_moved_folder_is_found_by_source_and_another_one_is_refused(photo_folder, tiny, cache, tmp_path):
    folder = tmp_path / "here"
    Path(folder).symlink_to(photo_folder)
    recipe = replace(RECIPES["practical"], model=tiny, size=67, max_minutes=1e-6)
    fit(start(str(folder), recipe, out=tmp_path / "run", device="cpu"))
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    import shutil

    shutil.rmtree(cache)
    folder.unlink()
    (tmp_path / "run" / "run.json").write_text(json.dumps(about | {"spec": str(folder)}))
    with pytest.raises(InputError, match="say where with --source"):
        resume(tmp_path / "run")
    with pytest.raises(InputError, match="does not hold the images"):
        resume(tmp_path / "run", "digits")
    again = resume(tmp_path / "run", str(photo_folder))
    assert again.packed.fingerprint == about["fingerprint"]
    assert again.state is not None


def test_a_run_that_was_killed_before_its_first_state_begins_again(tiny, cache, tmp_path):
    first = start("digits", replace(RECIPES["practical"], model=tiny), out=tmp_path / "run", device="cpu")
    again = resume(tmp_path / "run")
    assert again.state is None
    assert all(torch.equal(a, b) for a, b in zip(first.net.state_dict().values(), again.net.state_dict().values()))


def test_what_equal_numbers_depend_on_is_compared(tiny, cache, tmp_path, capsys):
    start(open_source("digits"), replace(RECIPES["practical"], model=tiny), out=tmp_path / "run", device="cpu")
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    about["environment"]["torch"] = "1.0"
    (tmp_path / "run" / "run.json").write_text(json.dumps(about))
    resume(tmp_path / "run")
    assert "begun with torch 1.0" in capsys.readouterr().err
