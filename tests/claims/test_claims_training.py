"""Claims on augmentation, test views and the optimiser: one test a row."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data as photographs

from alexnet.augment import ColourAxes, add_colour_noise, patches, ten_views, to_planes
from alexnet.evaluation.classify import batch_probabilities
from alexnet.models import VARIANTS, build_variant
from alexnet.recipe import Event, Optimiser, Recipe, Schedule
from alexnet.recipes import RECIPES
from alexnet.training.optimise import Rates


def colour_axes(rgb):
    """Eigenvalues and axes of the covariance of RGB in 0..255, by NumPy."""
    values, vectors = np.linalg.eigh(np.cov(rgb.reshape(-1, 3).astype(np.float64).T))
    return values[::-1].copy(), vectors[:, ::-1].copy()


def test_claim_pca_colour():
    rgb = np.concatenate([getattr(photographs, name)().reshape(-1, 3) for name in ("astronaut", "coffee", "chelsea")])
    values, vectors = colour_axes(rgb)
    mean = torch.tensor(rgb.mean(0), dtype=torch.float32)[:, None, None]
    axes = ColourAxes(values, vectors, mean)
    draws = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = torch.zeros(4000, 3, 1, 1)

    # The paper, slowly: covariance of RGB in 0..1, a ~ N(0, 0.1), offset P (a * l), in 0..255 times 255.
    small, axes_of_small = colour_axes(rgb / 255.0)
    a = 0.1 * draws.numpy()
    wanted = np.array([255 * sum(axes_of_small[:, k] * a[i, k] * small[k] for k in range(3)) for i in range(50)])
    got = add_colour_noise(images.clone(), axes, draws, "paper", 0.1)[:, :, 0, 0].double().numpy()
    assert np.allclose(np.abs(got[:50] @ vectors), np.abs(wanted @ axes_of_small), atol=1e-4)  # an axis has two signs
    first = got @ vectors[:, 0]
    assert 3 < first.std() < 20  # grey levels
    # The axes' own deviations, from largest to smallest, are in the ratio of the eigenvalues.
    assert np.allclose((got @ vectors).std(0) / first.std(), values / values[0], rtol=0.1)

    # The 2012 code: deviations, not eigenvalues, then about the mean divided by 1.1.
    moved = add_colour_noise(images.clone(), axes, draws, "source_2012", 0.1)[:, :, 0, 0].double().numpy()
    flat = mean[:, 0, 0].double().numpy()
    slow = np.array([flat + (0 - flat + 0.1 * vectors @ (draws[i].numpy() * np.sqrt(values))) / 1.1 for i in range(50)])
    assert np.allclose(moved[:50], slow, atol=1e-3)
    assert 3 < (moved @ vectors[:, 0]).std() < 20


def test_claim_crop_count():
    places = [int(u * (256 - 224 + 1)) for u in np.linspace(0, 1, 100_000, endpoint=False)]
    assert len(set(places)) == 33
    assert max(places) == 32
    assert 33 * 33 * 2 == 2178
    assert 32 * 32 * 2 == 2048  # as the paper counts


def test_claim_ten_crop():
    stored = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), dtype=np.uint8)
    views = ten_views(to_planes(stored, 256, "cpu"), 224)
    whole = torch.from_numpy(stored.transpose(0, 3, 1, 2).copy()).float()
    for view, (top, left) in zip(views[:5], [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]):
        assert torch.equal(view, whole[:, :, top : top + 224, left : left + 224])
    assert torch.equal(views[5:], views[:5].flip(-1))

    # Softmax outputs are averaged, not scores: where the two differ the average of softmax outputs is given.
    variant = replace(VARIANTS["alexnet"], widths=(8, 16, 16, 16, 16), hidden=(32, 32))
    torch.manual_seed(0)
    net = build_variant(variant, 5, 67, "he").eval()
    small = np.random.default_rng(1).integers(0, 256, (3, 76, 76, 3), dtype=np.uint8)
    with torch.no_grad():
        net.fc8.weight.mul_(50)  # surer answers, so that the two averages differ
        scores = torch.stack([net(view) for view in ten_views(to_planes(small, 76, "cpu"), 67)]).double()
    softmax_averaged = scores.softmax(-1).mean(0)
    scores_averaged = scores.mean(0).softmax(-1)
    assert (softmax_averaged - scores_averaged).abs().max() > 1e-3
    got = batch_probabilities(net, small, 76, 67, "ten", "softmax")
    assert torch.allclose(got, softmax_averaged, atol=1e-6)
    assert torch.allclose(batch_probabilities(net, small, 76, 67, "ten", "scores"), scores_averaged, atol=1e-6)


def trajectory(recipe, gradients, start, steps_per_epoch=1):
    """Weights after each step of our optimiser, in float64, the gradients given."""
    w = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    groups = [{"params": [w], "weight_decay": recipe.optimiser.decay, "stage": "", "bias": False, "factor": 1.0}]
    optimiser = torch.optim.SGD(groups, lr=recipe.optimiser.rate, momentum=recipe.optimiser.momentum, fused=True)
    rates = Rates(optimiser, recipe, len(gradients), steps_per_epoch)
    values = []
    for step, gradient in enumerate(gradients):
        rates.set(step)
        w.grad = torch.as_tensor(gradient, dtype=torch.float64).clone()
        optimiser.step()
        values.append(w.detach().clone().numpy())
    return np.array(values)


def papers_rule(gradients, start, rates, momentum=0.9, decay=0.0005):
    """The printed rule, in float64."""
    w, v, values = np.array(start, dtype=np.float64), 0.0, []
    for gradient, rate in zip(gradients, rates):
        v = momentum * v - decay * rate * w - rate * np.asarray(gradient)
        w = w + v
        values.append(w)
    return np.array(values)


def test_claim_sgd_rule():
    paper = RECIPES["paper"]
    assert (paper.optimiser.momentum, paper.optimiser.decay, paper.optimiser.batch) == (0.9, 0.0005, 128)
    gradients = np.random.default_rng(0).normal(size=(40, 3))
    start = [1.0, -2.0, 0.5]
    got = trajectory(replace(paper, schedule=Schedule(kind="constant")), gradients, start)
    assert np.allclose(got, papers_rule(gradients, start, [0.01] * 40), rtol=1e-12, atol=0)
    wrong = papers_rule(gradients, start, [0.01] * 40, decay=0.005)  # as one note says
    assert np.abs(got - wrong).max() > 1e-5


def test_claim_sgd_rate_drop():
    drop = Schedule(kind="steps", published_epochs=6, events=(Event(5, rate=0.001),))
    optimiser = Optimiser(rate=0.01, momentum=0.9, decay=0.0005)
    gradients, rates = [[1.0]] * 6, [0.01] * 5 + [0.001]
    got = trajectory(Recipe(epochs=6, optimiser=optimiser, schedule=drop), gradients, [1.0])[:, 0]
    assert np.allclose(got, papers_rule(gradients, [1.0], rates)[:, 0], rtol=1e-12)
    assert got[4] - got[3] == pytest.approx(-0.040971, abs=1e-6)
    assert got[5] - got[4] == pytest.approx(-0.037874, abs=1e-6)
    torchs = replace(optimiser, velocity="torch")
    got = trajectory(Recipe(epochs=6, optimiser=torchs, schedule=drop), gradients, [1.0])[:, 0]
    assert got[5] - got[4] == pytest.approx(-0.004688, abs=1e-6)


def test_claim_plateau():
    paper = RECIPES["paper"]
    assert (paper.optimiser.rate, paper.schedule.factor, paper.schedule.drops, paper.epochs) == (0.01, 10, 3, 90)
    w = torch.nn.Parameter(torch.zeros(1))
    groups = [{"params": [w], "stage": "", "bias": False, "factor": 1.0}]
    rates = Rates(torch.optim.SGD(groups, lr=0.01, momentum=0.9), paper, 90, 1)
    seen, reason, epoch = [], "", 0
    for epoch in range(90):
        seen.append(rates.set(epoch))
        reason = rates.after_validation(max(0.5, 0.9 - 0.1 * epoch))  # better for four epochs, then flat
        if reason:
            break
    assert sorted(set(seen), reverse=True) == pytest.approx([0.01, 0.001, 0.0001, 0.00001])
    assert seen.index(seen[-1]) == 4 + 3 * paper.schedule.patience + 1
    assert "after 3 drops" in reason


def test_mirrored_patches_are_mirrored_images():
    stored = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)
    planes = to_planes(stored, 9, "cpu")
    upright = patches(planes, torch.zeros(1, 2), torch.tensor([False]), 9)
    mirrored = patches(planes, torch.zeros(1, 2), torch.tensor([True]), 9)
    assert torch.equal(mirrored.flip(-1), upright)
