"""What the watchdog says, and what it keeps to itself."""

import math

import numpy as np
import pytest
import torch

from alexnet.errors import JobFailed
from alexnet.models import build
from alexnet.recipe import Recipe
from alexnet.training.optimise import make_optimiser, parameter_groups
from alexnet.training.watchdog import FLAT_STEPS, Watchdog, layer_health


def feed(watchdog, losses, start=0):
    return [
        m for i, loss in enumerate(losses, start=start + 1) for m in watchdog.after_steps(i, [{"cross_entropy": loss}])
    ]


def test_a_loss_at_chance_for_long_is_said_once():
    said = feed(Watchdog.for_counts([50] * 10), [math.log(10) + 0.005] * (3 * FLAT_STEPS))
    assert len(said) == 1
    assert "2.308" in said[0]
    assert "--recipe practical" in said[0]


def test_chance_is_told_by_the_cross_entropy_alone():
    chance = math.log(10)
    sides = {"cross_entropy": chance, "side_4a": 0.3 * chance, "side_4d": 0.3 * chance}
    assert len(Watchdog.for_counts([50] * 10).after_steps(FLAT_STEPS, [sides] * FLAT_STEPS)) == 1
    learning = {"cross_entropy": chance / 1.6, "side_4a": 0.3 * chance / 1.6, "side_4d": 0.3 * chance / 1.6}
    assert Watchdog.for_counts([50] * 10).after_steps(FLAT_STEPS, [learning] * FLAT_STEPS) == []
    distances = {"penalty": chance / 2, "competition": chance / 2}  # LeNet-5's: no cross-entropy, no chance
    assert Watchdog.for_counts([50] * 10).after_steps(FLAT_STEPS, [distances] * FLAT_STEPS) == []


def test_a_loss_that_falls_is_not_called_flat():
    assert feed(Watchdog.for_counts([50] * 10), [math.log(10) * 0.998**i for i in range(1000)]) == []


def test_a_loss_that_passes_chance_on_its_way_down_is_not_called_flat():
    falling = [3.5 - 2.4 * i / 400 for i in range(400)]  # the mean of steps 100 to 300 is ln(10)
    assert feed(Watchdog.for_counts([50] * 10), falling) == []


@pytest.mark.parametrize("shares", [(0.9, 0.1), (0.5, 0.5), (0.1,) * 10])
def test_a_net_that_answers_with_the_class_shares_is_called_flat_through_the_noise_of_its_batches(shares):
    chance = np.random.default_rng(0)
    labels = chance.choice(len(shares), size=(400, 32), p=shares)
    scores = np.log(shares) + chance.normal(0, 0.05, (400, 32, len(shares)))
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    losses = -np.take_along_axis(logs, labels[..., None], -1).mean((1, 2))
    counts = [round(1000 * share) for share in shares]
    assert len(feed(Watchdog.for_counts(counts), losses.tolist())) == 1


def test_the_state_of_the_watchdog_can_be_taken_up():
    losses = [math.log(10) + 0.005] * 150
    watchdog = Watchdog.for_counts([50] * 10)
    assert feed(watchdog, losses) == []
    again = Watchdog.for_counts([50] * 10)
    again.load(watchdog.state())
    assert len(feed(again, losses, start=150)) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_and_names_term_and_step(bad):
    watchdog = Watchdog.for_counts([5, 5])
    with pytest.raises(JobFailed, match=rf"side_4a is {bad} at step 39: .*--optimiser.rate"):
        watchdog.after_steps(
            40, [{"main": 1.0, "side_4a": 0.5}, {"main": 1.0, "side_4a": bad}, {"main": 1.0, "side_4a": 1.0}]
        )


def layer(stage="conv1", dead=0.0, update=1e-3):
    return {"stage": stage, "dead": dead, "update_to_weight": update}


def test_dead_units_large_and_small_updates_are_named_with_their_layer():
    watchdog = Watchdog.for_counts([5, 5])
    said = watchdog.after_epoch([layer("conv3", dead=0.7), layer("fc6", update=0.2), layer("fc7", update=1e-8)], 1.0)
    assert ["conv3" in said[0], "fc6" in said[1], "fc7" in said[2]] == [True] * 3
    assert "70%" in said[0]
    assert watchdog.after_epoch([layer("conv3", dead=0.7)], 1.0) == []


def test_healthy_layers_frozen_layers_and_a_rate_near_its_end_are_left_in_peace():
    watchdog = Watchdog.for_counts([5, 5])
    assert watchdog.after_epoch([layer(), layer("conv2", update=None)], 1.0) == []
    assert watchdog.after_epoch([layer(update=1e-9)], 0.01) == []


def test_layer_health_finds_what_was_done_to_a_net(tiny):
    torch.manual_seed(0)
    net = build(tiny, classes=3, size=67, start="he")
    recipe = Recipe()
    optimiser = make_optimiser(parameter_groups(net, recipe, set(), {"conv2"}), recipe)
    images = torch.rand(8, 3, 67, 67) * 255
    net.train()
    net.loss(images, torch.zeros(8, dtype=torch.int64))["cross_entropy"].backward()
    optimiser.step()
    before = net.conv3.weight.detach().clone()
    gradient = net.conv3.weight.grad.clone()
    with torch.no_grad():
        net.conv1.bias[:4] = -1e6
        net.fc6.weight.fill_(-1.0)
        net.fc6.bias.fill_(-1.0)
    rows = {row["stage"]: row for row in layer_health(net, images, optimiser)}
    assert list(rows) == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    assert rows["conv1"]["dead"] == pytest.approx(4 / 8)
    assert rows["fc6"]["dead"] == 1.0
    assert rows["fc8"]["dead"] == 0.0
    assert rows["conv2"]["update_to_weight"] is None
    step = 0.01 * (gradient + 0.0005 * (before + 0.01 * gradient)).norm() / before.norm()
    assert rows["conv3"]["update_to_weight"] == pytest.approx(float(step), rel=0.01)
    assert net.training


def test_the_dead_scores_of_nins_last_relu_are_seen():
    torch.manual_seed(0)
    net = build("nin_mnist", classes=4, size=28, start="he")
    optimiser = make_optimiser(parameter_groups(net, Recipe(), set(), set()), Recipe())
    with torch.no_grad():
        net.get_submodule("cccp6").get_parameter("bias")[:3] = -1e6
    rows = {row["stage"]: row for row in layer_health(net, torch.rand(8, 3, 28, 28) * 255, optimiser)}
    assert rows["cccp6"]["dead"] == pytest.approx(3 / 4)
