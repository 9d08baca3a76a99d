"""How a run begins: what the recipe leaves open, what other weights bring, what is refused."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.api.runs import train
from alexnet.checkpoint import load_weights, weights_file
from alexnet.data import Source, open_source
from alexnet.errors import InputError
from alexnet.evaluation.evaluate import trained_on
from alexnet.models import MODELS, vgg
from alexnet.recipe import Augmentation, Data, Net, Recipe, Schedule
from alexnet.recipes import RECIPES
from alexnet.recipes.practical import RATES
from alexnet.training import start as starting
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


def test_a_recipe_without_a_rate_takes_what_suits_the_net():
    class Packed:
        characters = False

    practical = RECIPES["practical"]
    assert practical.optimiser.rate is None
    for name, rate in [("alexnet", 0.01), ("resnet20_cifar", 0.05), ("lenet5", 0.001), ("nin_cifar", 0.02)]:
        assert decide(replace(practical, model=name), Packed(), 100).optimiser.rate == rate
    told = replace(practical, model="lenet5", optimiser=replace(practical.optimiser, rate=0.3))
    assert decide(told, Packed(), 100).optimiser.rate == 0.3


def test_every_rate_of_the_practical_recipe_is_that_of_a_net_that_exists():
    assert set(RATES) <= set(MODELS)


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
        thin = replace(recipe, model=tiny, size=67, net=Net(), schedule=Schedule(kind="constant"))
        run = start("digits", thin, out=tmp_path / name, device="cpu")
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


def test_photographs_are_stored_at_the_greatest_scale_that_patches_are_cut_from(tiny, cache, tmp_path):
    recipe = replace(RECIPES["resnet"], model=tiny, size=67, epochs=1)
    run = start(photos(200), recipe, out=tmp_path / "a", device="cpu")
    assert (run.side, run.packed.stored) == (77, 144)
    assert run.net.mean.shape == (3, 67, 67)


def test_photographs_are_stored_no_smaller_than_what_tests_are_cut_from(tiny, cache, tmp_path):
    augmentation = Augmentation(scale=(1.0, 1.05))
    recipe = replace(RECIPES["practical"], model=tiny, size=67, augmentation=augmentation)
    run = start(photos(200), recipe, out=tmp_path / "a", device="cpu")
    assert (run.side, run.packed.stored) == (77, 77)


@pytest.mark.parametrize("name", ["vgg_d", "vgg16"])
def test_an_alias_trains_the_net_that_it_names(name, thin_vgg, cache, tmp_path):
    run = start("digits", replace(RECIPES["practical"], model=name), out=tmp_path / "a", device="cpu")
    assert (run.recipe.model, run.net.name, run.size) == ("vgg_d", "vgg_d", 32)


def test_a_net_may_keep_the_preprocessing_that_it_came_with(cache, tmp_path):
    own = replace(RECIPES["practical"], model="lenet5", net=Net(start="paper", mean="own", scale="own"))
    net = start("digits", own, out=tmp_path / "a", device="cpu").net
    assert (net.mean.flatten().tolist(), float(net.scale)) == ([20.0] * 3, 200.0)
    mixed = replace(own, net=Net(start="paper", mean="channel", scale="own"))
    net = start("digits", mixed, out=tmp_path / "b", device="cpu").net
    assert float(net.scale) == 200.0
    assert abs(float(net.mean[0]) - 20) > 10


@pytest.fixture
def thin_vgg(monkeypatch):
    """The VGG nets A and D with a few maps and units each."""
    for name in ("vgg_a", "vgg_d"):
        thin = replace(vgg.VARIANTS[name], widths=(4, 8, 8, 8, 8), hidden=16)
        build = partial(vgg.build_variant, thin)
        monkeypatch.setitem(MODELS, name, replace(MODELS[name], builder=build))


@pytest.fixture
def few(array_source):
    """Forty small images of two classes."""
    return array_source(shape=(40, 8, 8))


@pytest.fixture
def trained_a(thin_vgg, few, cache, tmp_path):
    """A run of net A on these, one epoch long, at 32 pixels."""
    recipe = replace(RECIPES["practical"], model="vgg_a", epochs=1, seed=3)
    fit(start(few, recipe, out=tmp_path / "A", device="cpu"))
    return tmp_path / "A"


def deep(**fields):
    """The recipe vgg_deep, as short as a test needs it."""
    recipe = RECIPES["vgg_deep"]
    schedule = Schedule(kind="constant")
    return replace(recipe, epochs=2, schedule=schedule, optimiser=replace(recipe.optimiser, batch=8), **fields)


def test_a_deep_vgg_begins_with_layers_of_a_trained_a_and_all_learn_at_the_full_rate(trained_a, few, tmp_path):
    run = start(few, deep(), out=tmp_path / "deep", weights=trained_a, device="cpu")
    a, _ = load_weights(weights_file(trained_a))
    assert (run.recipe.model, run.size) == ("vgg_d", 32)
    for stage in ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8"):
        for mine, theirs in zip(run.net.stages[stage].parameters(), a.stages[stage].parameters(), strict=True):
            assert torch.equal(mine, theirs), stage
    for stage in ("conv1_2", "conv4_1"):
        assert abs(float(run.net.stages[stage].weight.detach().std()) - 0.01) < 0.001, stage  # as printed, not A's
    assert torch.equal(run.net.mean, a.mean)
    assert {group["factor"] for group in run.groups()} == {1.0}
    about = json.loads((tmp_path / "deep" / "run.json").read_text())
    assert (about["from"], about["fresh"]) == (str(weights_file(trained_a).resolve()), [])
    test = run.packed.digests[run.parts.test]
    before = {digest.tobytes() for digest in np.load(trained_a / "trained_on.npy")}
    after = {digest.tobytes() for digest in np.load(tmp_path / "deep" / "trained_on.npy")}
    assert before <= after
    assert trained_on(tmp_path / "deep", test) == 0


def test_a_deep_vgg_takes_no_classifier_of_other_classes(trained_a, array_source, tmp_path):
    other = array_source(classes=4, seed=1)
    run = start(other, deep(), out=tmp_path / "deep", weights=trained_a, device="cpu")
    a, _ = load_weights(weights_file(trained_a))
    assert run.net.fc8.weight.shape[0] == 4
    assert torch.equal(run.net.fc7.weight, a.fc7.weight)
    assert torch.equal(run.net.mean, a.mean)  # of A's images, which its weights are for, not of these
    assert torch.equal(run.net.scale, a.scale)


def test_a_deep_vgg_that_was_stopped_and_resumed_is_the_one_that_was_not(trained_a, few, tmp_path):
    fit(start(few, deep(), out=tmp_path / "alone", weights=trained_a, device="cpu"))
    start(few, deep(), out=tmp_path / "killed", weights=trained_a, device="cpu")  # before its first state
    run = resume(tmp_path / "killed")
    run.recipe = replace(run.recipe, max_minutes=1e-6)
    fit(run)
    run = resume(tmp_path / "killed")
    assert run.state is not None
    assert run.state["position"]["step"] == 1
    fit(run)
    alone, killed = (load_weights(tmp_path / name / "last.safetensors")[0] for name in ("alone", "killed"))
    assert all(torch.equal(a, b) for a, b in zip(alone.state_dict().values(), killed.state_dict().values()))
    tuned = start(few, RECIPES["practical"], out=tmp_path / "tuned", weights=tmp_path / "alone", device="cpu")
    assert (tuned.recipe.model, tuned.recipe.net.start, tuned.fresh) == ("vgg_d", "paper", {"fc8"})


def test_a_deep_vgg_without_a_trained_a_says_both_commands(thin_vgg, cache, tmp_path):
    with pytest.raises(InputError) as caught:
        start("digits", deep(), out=tmp_path / "deep", device="cpu")
    told = str(caught.value)
    assert "alexnet train digits --recipe vgg --out A" in told
    assert "alexnet train digits --recipe vgg_deep --from A" in told
    assert not (tmp_path / "deep").exists()


def test_a_deep_vgg_begins_with_nothing_but_a_vgg_a(thin_vgg, tiny_run, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(starting, "packed_for", None)  # ImageNet is not packed before this is said
    with pytest.raises(InputError, match=r"vgg_d cannot start from tiny: start one of .* from vgg_a"):
        start("digits", deep(), out=tmp_path / "deep", weights=tiny_run, device="cpu")
    with pytest.raises(InputError, match=r"resnet18 cannot start from tiny"):
        start("digits", deep(model="resnet18"), out=tmp_path / "deep", weights=tiny_run, device="cpu")
    assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize("field", [{"model": "caffenet"}, {"size": 131}])
def test_what_comes_with_weights_is_not_asked_for_beside_them(field, tiny_run, cache, tmp_path):
    with pytest.raises(InputError, match=f"--from brings its own net: leave --{next(iter(field))} "):
        train("digits", weights=tiny_run, out=tmp_path / "tuned", **field)
    assert not (tmp_path / "tuned").exists()


def test_a_frozen_stage_changes_in_nothing_not_even_its_running_means(few, cache, tmp_path):
    recipe = replace(RECIPES["practical"], model="resnet20_cifar", epochs=2, augmentation=Augmentation(mirror=False))
    run = start(few, recipe, out=tmp_path / "a", freeze=("conv1", "conv2_x"), device="cpu")
    before = {name: value.clone() for name, value in run.net.state_dict().items()}
    fit(run)
    after = load_weights(tmp_path / "a" / "last.safetensors")[0].state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert {"conv3_x", "conv4_x"} <= moved
    assert not moved & {"conv1", "conv2_x"}


def test_a_run_whose_training_is_over_is_given_for_its_test_and_not_trained_on(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    before = (run / "last.safetensors").read_bytes()
    with pytest.raises(InputError, match="has ended"):
        resume(run)
    taken_up = resume(run, ended=True)
    assert taken_up.has_ended
    assert fit(taken_up) == ""
    assert (run / "last.safetensors").read_bytes() == before
