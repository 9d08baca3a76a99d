"""Groups, rates and schedules."""

from itertools import pairwise

import pytest
import torch

from alexnet.errors import InputError
from alexnet.models import build
from alexnet.recipe import Event, Optimiser, Recipe, Schedule
from alexnet.recipes import RECIPES
from alexnet.training.optimise import Rates, make_optimiser, one_cycle, parameter_groups, with_weights


@pytest.fixture
def net(tiny):
    return build(tiny, classes=3, size=67)


def rates_of(net, recipe, epochs, steps=1, fresh=frozenset(), frozen=frozenset()):
    optimiser = make_optimiser(parameter_groups(net, recipe, set(fresh), set(frozen)), recipe)
    return optimiser, Rates(optimiser, recipe, epochs, steps)


def rate_of(optimiser, parameter):
    return next(g["lr"] for g in optimiser.param_groups for p in g["params"] if p is parameter)


def test_every_parameter_is_in_exactly_one_group(net):
    groups = parameter_groups(net, RECIPES["source_2012"], set(), set())
    listed = [id(p) for group in groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in net.parameters())


def test_biases_have_their_own_rate_and_decay(net):
    recipe = RECIPES["caffe"]
    optimiser, rates = rates_of(net, recipe, 90)
    rates.set(0)
    assert rate_of(optimiser, net.conv3.weight) == pytest.approx(0.01)
    assert rate_of(optimiser, net.conv3.bias) == pytest.approx(0.02)
    decays = {g["bias"]: g["weight_decay"] for g in optimiser.param_groups}
    assert decays == {False: 0.0005, True: 0.0}


def test_the_2012_schedule_moves_conv1_ahead_freezes_it_and_leaves_the_biases(net):
    recipe = RECIPES["source_2012"]
    optimiser, rates = rates_of(net, recipe, 91)
    table = {}
    for epoch in (0, 24, 25, 51, 66, 67, 72, 79, 90):
        rates.set(epoch)
        table[epoch] = [
            rate_of(optimiser, p) for p in (net.conv2.weight, net.conv1.weight, net.conv2.bias, net.conv1.bias)
        ] + [rates.colour_deviation(epoch)]
    assert table[0] == pytest.approx([0.01, 0.01, 0.02, 0.02, 0.1])
    assert table[24] == table[0]
    assert table[25] == pytest.approx([0.001, 0.001, 0.02, 0.02, 0.1])
    assert table[51] == pytest.approx([0.0001, 0.0001, 0.02, 0.02, 0.1])
    assert table[66] == table[51]
    assert table[67] == pytest.approx([0.0001, 0.00001, 0.02, 0.02, 0.0])
    assert table[72] == pytest.approx([0.0001, 0.0, 0.02, 0.0, 0.0])
    assert table[79] == pytest.approx([0.00001, 0.0, 0.02, 0.0, 0.0])
    assert table[90] == table[79]


def test_events_are_scaled_to_the_length_of_the_run(net):
    recipe = Recipe(schedule=Schedule(kind="steps", published_epochs=90, events=(Event(30, rate=0.001),)))
    _, rates = rates_of(net, recipe, 9, steps=10)
    assert rates.set(29) == pytest.approx(0.01)
    assert rates.set(30) == pytest.approx(0.001)


def test_decay_divides_the_rate_again_and_again_counted_in_published_epochs(net):
    schedule = Schedule(kind="decay", factor=1 / 0.96, every=8, published_epochs=250)
    recipe = Recipe(optimiser=Optimiser(rate=0.01, bias_rate=2.0), schedule=schedule)
    optimiser, rates = rates_of(net, recipe, 250)
    assert rates.set(7) == pytest.approx(0.01)
    assert rates.set(8) == pytest.approx(0.0096)
    assert rates.set(249) == pytest.approx(0.01 * 0.96**31)
    assert rate_of(optimiser, net.conv3.bias) == pytest.approx(0.02 * 0.96**31)
    _, short = rates_of(net, recipe, 25, steps=10)
    assert [short.set(step) for step in (7, 8, 249)] == pytest.approx([0.01, 0.0096, 0.01 * 0.96**31])


def test_a_frozen_stage_is_in_no_group_and_gets_no_gradient(net):
    groups = parameter_groups(net, Recipe(), set(), {"conv1", "conv2"})
    assert not any(p is net.conv1.weight for g in groups for p in g["params"])
    assert not net.conv1.weight.requires_grad


def test_layers_taken_over_learn_more_slowly_than_the_fresh_one(net):
    recipe = Recipe(optimiser=Optimiser(kept_rate=0.1), schedule=Schedule(kind="constant"))
    optimiser, rates = rates_of(net, recipe, 1, fresh={"fc8"})
    rates.set(0)
    assert rate_of(optimiser, net.fc8.weight) == pytest.approx(0.01)
    assert rate_of(optimiser, net.fc7.weight) == pytest.approx(0.001)


@pytest.mark.parametrize("frozen", [{"conv9"}, {"conv1", "layer4"}])
def test_a_stage_that_does_not_exist_is_named(net, frozen):
    with pytest.raises(InputError, match=r"has no stage '(conv9|layer4)': its stages are conv1, norm1"):
        parameter_groups(net, Recipe(), set(), frozen)


def test_freezing_everything_is_refused(net):
    with pytest.raises(InputError, match="every stage is frozen"):
        parameter_groups(net, Recipe(), set(), set(with_weights(net)))


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing():
    values = [one_cycle(i / 1000, 0.2) for i in range(1001)]
    assert values[0] == pytest.approx(0.05)
    assert max(values) == values[200] == 1.0
    assert values[1000] == pytest.approx(0, abs=1e-12)
    assert all(a < b for a, b in pairwise(values[:201]))
    assert all(a > b for a, b in pairwise(values[200:]))


def test_early_stop_counts_epochs_without_a_better_error(net):
    _, rates = rates_of(net, Recipe(schedule=Schedule(kind="constant", early_stop=2)), 10)
    assert [bool(rates.after_validation(error)) for error in (0.5, 0.6, 0.4, 0.4, 0.5)] == [
        False,
        False,
        False,
        False,
        True,
    ]


def test_the_state_of_the_rates_can_be_taken_up(net):
    recipe = RECIPES["paper"]
    _, rates = rates_of(net, recipe, 90)
    for error in [0.5] + [0.6] * 7:
        rates.after_validation(error)
    assert rates.drops == 1
    _, again = rates_of(net, recipe, 90)
    again.load(rates.state())
    assert again.set(8) == rates.set(8) == pytest.approx(0.001)


def test_the_papers_velocity_keeps_its_size_through_any_change_of_the_rate():
    w = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    groups = [{"params": [w], "stage": "", "bias": False, "factor": 1.0, "weight_decay": 0.0}]
    events = tuple(Event(i, rate=r) for i, r in [(1, 0.02), (2, 0.005), (3, 0.005), (4, 0.1)])
    recipe = Recipe(optimiser=Optimiser(decay=0.0), schedule=Schedule(kind="steps", published_epochs=5, events=events))
    optimiser = torch.optim.SGD(groups, lr=0.01, momentum=0.9)
    rates = Rates(optimiser, recipe, 5, 1)
    v, slow = 0.0, 1.0
    for step, rate in enumerate([0.01, 0.02, 0.005, 0.005, 0.1]):
        rates.set(step)
        w.grad = torch.tensor([0.3], dtype=torch.float64)
        optimiser.step()
        v = 0.9 * v - rate * 0.3
        slow += v
        assert w.item() == pytest.approx(slow, rel=1e-12)
