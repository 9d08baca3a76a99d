"""A step: gradients of a batch however it is divided, and three ways to take it."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from alexnet.models import build
from alexnet.parallel.scheme import Scheme
from alexnet.recipe import Optimiser, Recipe, Schedule
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


def step_of(net, kind=Step, chosen=PLAIN, recipe=Recipe(), weights=None, n=10):  # noqa: B008 (frozen)
    apply(net, chosen)
    optimiser = make_optimiser(parameter_groups(net, recipe, set(), set()), recipe)
    return kind(Scheme(net, optimiser), recipe, chosen, n, weights)


def gradients(net, images, labels, **named):
    net.zero_grad()
    terms, wrong = step_of(net, n=len(labels), **named).gradients(images, labels, 3)
    return {name: p.grad.clone() for name, p in net.named_parameters()}, terms, wrong


def trained(take, steps=6, n=10):
    """The weights after some steps, before each of which the rate falls, and the losses on the way."""
    inner = getattr(take, "step", take)
    recipe = Recipe(optimiser=Optimiser(velocity="paper"), schedule=Schedule(kind="plateau", factor=2.0))
    rates, losses = Rates(inner.optimiser, recipe, 1, steps), []
    for at in range(steps):
        rates.drops = at // 2
        rates.set(at)
        losses.append(take(*batch(at, n), at))
    return {name: value.clone() for name, value in inner.net.state_dict().items()}, losses


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


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


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_steps_from_tensors_that_stay_in_place_are_those_op_by_op_bit_for_bit(tiny, micro_batch):
    recipe = Recipe(optimiser=Optimiser(micro_batch=micro_batch))
    plain, losses = trained(step_of(net_of(tiny), recipe=recipe))
    take = GraphStep(step_of(net_of(tiny), recipe=recipe))
    held, losses_held = trained(take)
    assert take.replay is not None
    assert same(plain, held)
    for (terms, wrong), (terms_held, wrong_held) in zip(losses, losses_held):
        assert torch.equal(terms["cross_entropy"], terms_held["cross_entropy"])
        assert torch.equal(wrong, wrong_held)
    assert len({float(terms["cross_entropy"]) for terms, _ in losses}) == len(losses)


def test_batch_norm_and_side_classifiers_go_through_a_held_step_alike():
    for name, size in (("resnet20_cifar", 16), ("googlenet", 32)):
        images, labels = batch(n=4, size=size)
        nets = []
        for graph in (False, True):
            take = step_of(net_of(name, size=size))
            take = GraphStep(take) if graph else take
            for at in range(5):
                terms, _ = take(images, labels, at)
            nets.append((getattr(take, "step", take).net.state_dict(), terms))
        assert same(nets[0][0], nets[1][0])
        assert same(nets[0][1], nets[1][1])


def test_a_step_that_cannot_be_captured_goes_on_op_by_op_with_one_line(tiny, monkeypatch, capsys):
    def fails(*arguments):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(GraphStep, "captured", fails)
    held, _ = trained(GraphStep(step_of(net_of(tiny))))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "captured as a CUDA graph here (operation not permitted when stream is capturing)" in said
    assert same(held, trained(step_of(net_of(tiny)))[0])


@pytest.mark.parametrize("kind", ["compiled", "compiled and held"])
def test_a_compiled_step_is_compiled_once_and_draws_the_masks_of_every_step(tiny, kind, monkeypatch):
    graphs = []

    def traced(graph, inputs):  # a compiler that leaves the graph as it is: the test is of what is traced
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function: compiled(function, backend=traced))
    torch.compiler.reset()
    plain, losses = trained(step_of(net_of(tiny)))
    take = step_of(net_of(tiny), CompiledStep)
    weights, losses_compiled = trained(GraphStep(take) if kind == "compiled and held" else take)
    assert len(graphs) == 1  # no break, and none anew for another step's masks
    for (terms, _), (others, _) in zip(losses, losses_compiled):
        assert float(terms["cross_entropy"]) == pytest.approx(float(others["cross_entropy"]), rel=1e-4)
    for name, value in plain.items():
        assert (value - weights[name]).abs().max() <= 1e-4 * value.abs().max().clamp(min=1e-6), name
    torch.compiler.reset()


def test_where_nothing_can_be_compiled_the_steps_go_on_with_one_line(tiny, monkeypatch, capsys):
    def broken(function):
        def call(*arguments):
            raise RuntimeError("no compiler")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    weights, _ = trained(step_of(net_of(tiny), CompiledStep))
    assert capsys.readouterr().err == "steps cannot be compiled here (no compiler): they go on op by op\n"
    assert same(weights, trained(step_of(net_of(tiny)))[0])


def test_channels_last_reaches_weights_maps_and_gradients_and_changes_only_rounding(tiny):
    net, images, labels = net_of(tiny), *batch()
    seen = {}

    def see(module, inputs, output):
        seen[module] = output.is_contiguous(memory_format=torch.channels_last)

    plain, terms, _ = gradients(net, images, labels)
    for name in ("conv1", "norm1", "pool1", "conv2", "norm2", "pool2", "conv5", "pool5"):
        net.stages[name].register_forward_hook(see)
    last, terms_last, _ = gradients(net, images, labels, chosen=replace(PLAIN, memory_format="channels_last"))
    assert all(seen.values())
    assert len(seen) == 8
    for name, gradient in plain.items():
        assert (gradient - last[name]).abs().max() <= 1e-4 * gradient.abs().max(), name
        assert last[name].stride() == net.get_parameter(name).stride(), name
    assert net.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert terms["cross_entropy"] == pytest.approx(terms_last["cross_entropy"].item(), rel=1e-5)


def test_a_state_saved_in_one_order_in_memory_goes_on_in_another(tiny):
    # The fused update reads weights and velocities as rows of numbers, whatever their strides.
    first = step_of(net_of(tiny).double())
    images, labels = batch(dtype=torch.float64)
    first(images, labels, 0)
    weights = {name: value.clone() for name, value in first.net.state_dict().items()}
    saved = optimiser_state(first.optimiser)
    after = []
    for order in ("contiguous", "channels_last"):
        take = step_of(net_of(tiny, seed=1).double(), chosen=replace(PLAIN, memory_format=order))
        take.net.load_state_dict(weights)
        load_optimiser(take.optimiser, deepcopy(saved))  # as read from a file: torch takes tensors over as they are
        take(images, labels, 1)
        after.append(take.net.state_dict())
    for name in ("conv1.weight", "conv3.weight", "fc6.weight", "conv2.bias"):
        moved = (after[0][name] - weights[name]).abs().max()
        assert (after[0][name] - after[1][name]).abs().max() <= 1e-4 * moved, name  # the loss is float32


def test_rates_held_in_tensors_are_filled_and_saved_as_numbers(tiny):
    take = GraphStep(step_of(net_of(tiny)))
    held = [group["lr"] for group in take.step.optimiser.param_groups]
    rates = Rates(take.step.optimiser, Recipe(schedule=Schedule(kind="plateau")), 1, 1)
    rates.drops = 1
    rates.set(0)
    assert all(group["lr"] is tensor for group, tensor in zip(take.step.optimiser.param_groups, held))
    assert [float(tensor) for tensor in held] == [0.001] * len(held)
    saved = [group["lr"] for group in optimiser_state(take.step.optimiser)["param_groups"]]
    assert saved == [0.001] * len(held)
    assert {type(rate) for rate in saved} == {float}


@pytest.mark.parametrize(("step", "kind"), [("eager", Step), ("compiled", CompiledStep)])
def test_the_chosen_kind_of_step_is_made(tiny, step, kind):
    net, recipe = net_of(tiny), Recipe()
    optimiser = make_optimiser(parameter_groups(net, recipe, set(), set()), recipe)
    assert type(make_step(Scheme(net, optimiser), recipe, replace(PLAIN, step=step), 10)) is kind
