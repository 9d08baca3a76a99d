"""A step: gradients of a batch however it is divided, and three ways to take it."""

from dataclasses import replace

import pytest
import torch

from alexnet.models import build
from alexnet.recipe import Optimiser, Recipe
from alexnet.training import step as step_module
from alexnet.training.optimise import Rates, load_optimiser, make_optimiser, optimiser_state, parameter_groups
from alexnet.training.speed import Chosen, apply
from alexnet.training.step import CompiledStep, GraphStep, Step, make_step

PLAIN = Chosen("float32", "contiguous", "eager", "eager", "a test")
CPU = torch.device("cpu")


def net_of(name, seed=0, size=67):
    torch.manual_seed(seed)
    net = build(name, 4, size, "he")
    net.set_preprocessing(torch.full((3,), 127.0), 70.0)
    return net.train()


def batch(seed=0, n=10, size=67, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, size, size, generator=generator, dtype=dtype) * 255, torch.arange(n) % 4


def step_of(net, kind=Step, chosen=PLAIN, recipe=Recipe(), weights=None):  # noqa: B008 (frozen)
    apply(net, chosen)
    optimiser = make_optimiser(parameter_groups(net, recipe, set(), set()), recipe)
    return kind(net, optimiser, recipe, chosen, weights)


def gradients(net, images, labels, **named):
    net.zero_grad()
    terms, wrong = step_of(net, **named).gradients(images, labels, 3)
    return {name: p.grad.clone() for name, p in net.named_parameters()}, terms, wrong


def trained(net, take, steps=6, rate=0.01):
    """The weights after some steps at falling rates, and their losses."""
    rates = Rates(getattr(take, "step", take).optimiser, Recipe(), 1, steps)
    losses = []
    for at in range(steps):
        rates.drops = at // 3
        rates.set(at)
        terms, wrong = take(*batch(at), at)
        losses.append((float(terms["cross_entropy"]), float(wrong)))
    return {name: value.clone() for name, value in net.state_dict().items()}, losses


def test_a_batch_in_parts_has_the_gradients_of_the_whole(tiny):
    net = net_of(tiny).double()
    images, labels = batch(dtype=torch.float64)
    weights = torch.tensor([0.5, 1.0, 1.5, 2.0], dtype=torch.float64)
    whole, terms, wrong = gradients(net, images, labels, weights=weights)
    divided = Recipe(optimiser=Optimiser(micro_batch=3))
    parts, terms_in_parts, wrong_in_parts = gradients(net, images, labels, recipe=divided, weights=weights)
    for name, gradient in whole.items():
        # The scores are brought to float32 for the loss, hence the bound.
        assert (gradient - parts[name]).abs().max() <= 1e-6 * gradient.abs().max(), name
    assert terms["cross_entropy"] == pytest.approx(terms_in_parts["cross_entropy"].item(), rel=1e-6)
    assert wrong == wrong_in_parts
    other, _, _ = gradients(net, images, labels, recipe=Recipe(seed=1), weights=weights)
    assert (other["fc8.weight"] - whole["fc8.weight"]).abs().max() > 1e-3 * whole["fc8.weight"].abs().max()


def test_bfloat16_changes_the_gradients_little_and_the_loss_stays_float32(tiny):
    net = net_of(tiny)
    images, labels = batch(n=16)
    exact, _, _ = gradients(net, images, labels)
    short, terms, _ = gradients(net, images, labels, chosen=replace(PLAIN, precision="bfloat16"))
    for name, gradient in exact.items():
        assert (gradient - short[name]).norm() < 0.3 * gradient.norm(), name
        assert not torch.equal(gradient, short[name])
        assert short[name].dtype == torch.float32
    assert terms["cross_entropy"].dtype == torch.float32
