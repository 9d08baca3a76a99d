"""Claims on how the nets beside AlexNet were trained: the recipes' rates at the steps that the publications name."""

import pytest
import torch

from alexnet.augment import draw, drawn_sides
from alexnet.recipe import Recipe
from alexnet.recipes import RECIPES
from alexnet.training.optimise import Rates, rate_of

IMAGENET = 1_281_167
CIFAR = 50_000


def trained(recipe: Recipe, images: int) -> int:
    """Images of a publication's training part that the recipe trains on: the rest is its validation part."""
    return images - round(recipe.data.validation * images)


def rates_at(name: str, images: int, stage: str = "", bias: bool = False):
    """Step of the published run -> rate; one group of weights, of a stage of its own if one is named."""
    recipe = RECIPES[name]
    assert recipe.epochs is not None
    steps = trained(recipe, images) // recipe.optimiser.batch
    factor = recipe.optimiser.bias_rate if bias else 1.0
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "stage": stage, "bias": bias, "factor": factor}]
    optimiser = torch.optim.SGD(groups, lr=rate_of(recipe), momentum=0.9)
    rates = Rates(optimiser, recipe, recipe.epochs, steps)

    def at(step: int) -> float:
        rates.set(step)
        return optimiser.param_groups[0]["lr"]

    return at


def settings(recipe: Recipe) -> tuple[float | None, float, float, int]:
    return recipe.optimiser.rate, recipe.optimiser.momentum, recipe.optimiser.decay, recipe.optimiser.batch


def length(name: str, images: int) -> float:
    """Steps of a recipe's whole run on what it trains on."""
    recipe = RECIPES[name]
    return in_epochs(name, trained(recipe, images))


def in_epochs(name: str, images: int) -> float:
    """Steps of so many epochs of a whole training part: publications watched another part, ours keep some of it."""
    recipe = RECIPES[name]
    assert recipe.epochs is not None
    return recipe.epochs * images / recipe.optimiser.batch


def test_lenet_training():
    recipe = RECIPES["lenet5"]
    assert (recipe.epochs, recipe.optimiser.batch) == (20, 1)
    at = rates_at("lenet5", 60)
    passes = [at(60 * i) for i in range(20)]
    assert passes == [0.0005] * 2 + [0.0002] * 3 + [0.0001] * 3 + [0.00005] * 4 + [0.00001] * 8


def test_caffe_training():
    assert settings(RECIPES["caffe"]) == (0.01, 0.9, 0.0005, 256)
    assert length("caffe", IMAGENET) == pytest.approx(450_000, rel=0.002)
    at = rates_at("caffe", IMAGENET)
    assert [at(step) for step in (99_500, 100_500, 399_500, 401_000)] == [0.01, 0.001, 0.00001, 0.000001]


def test_nin_training():
    assert settings(RECIPES["nin"]) == (0.01, 0.9, 0.0005, 64)
    assert length("nin", IMAGENET) == pytest.approx(450_000, rel=0.03)
    at = rates_at("nin", IMAGENET)
    assert [at(step) for step in (198_000, 202_000, 398_000, 402_000)] == [0.01, 0.001, 0.001, 0.0001]
    assert rates_at("nin", IMAGENET, bias=True)(0) == 0.02
    assert RECIPES["nin"].optimiser.bias_decay is False


def test_nin_cifar_training():
    assert settings(RECIPES["nin_cifar"]) == (0.1, 0.9, 0.0001, 128)
    assert length("nin_cifar", CIFAR) == pytest.approx(120_000, rel=0.005)
    at = rates_at("nin_cifar", CIFAR)
    assert [at(step) for step in (0, 99_500, 100_500)] == [0.1, 0.1, 0.01]
    last = rates_at("nin_cifar", CIFAR, stage="cccp6")
    assert [last(step) for step in (0, 99_500, 100_500)] == [0.01, 0.01, 0.001]


def test_vgg_training():
    for name in ("vgg", "vgg_deep"):
        recipe = RECIPES[name]
        assert settings(recipe) == (0.01, 0.9, 0.0005, 256)
        assert (recipe.schedule.kind, recipe.schedule.factor, recipe.schedule.drops) == ("plateau", 10, 3)
        assert in_epochs(name, IMAGENET) == pytest.approx(370_000, rel=0.01)
        assert length(name, IMAGENET) == pytest.approx(333_000, rel=0.01)  # a departure, in the recipe's docstring
        assert (recipe.net.mean, recipe.net.scale, recipe.evaluation.views) == ("channel", "one", "dense")
    assert RECIPES["vgg_deep"].net.start == "vgg_a"


def test_googlenet_training():
    recipe = RECIPES["googlenet"]
    assert settings(recipe) == (0.01, 0.9, 0.0002, 32)
    assert length("googlenet", IMAGENET) == pytest.approx(10_000_000, rel=0.001)
    at = rates_at("googlenet", IMAGENET)
    assert at(320_000 - 1000) == pytest.approx(0.01)
    assert at(321_000) == pytest.approx(0.01 * 0.96)  # Caffe's: 0.96 times every 320,000 steps
    assert at(9_700_000) == pytest.approx(0.01 * 0.96**30)
    assert recipe.augmentation.area == (0.08, 1.0)


def test_resnet_training():
    recipe = RECIPES["resnet"]
    assert settings(recipe) == (0.1, 0.9, 0.0001, 256)
    assert in_epochs("resnet", IMAGENET) == pytest.approx(600_000, rel=0.002)
    assert length("resnet", IMAGENET) == pytest.approx(540_000, rel=0.002)  # a departure, in the recipe's docstring
    assert (recipe.schedule.kind, recipe.schedule.factor, recipe.evaluation.views) == ("plateau", 10, "ten")


@pytest.mark.parametrize(("name", "sides"), [("vgg_deep", (256, 512)), ("resnet", (256, 480))])
def test_the_scales_of_the_papers(name, sides):
    recipe = RECIPES[name]
    assert recipe.size == 224
    assert recipe.augmentation.scale is not None
    drawn = drawn_sides(recipe.augmentation.scale, 224, draw(recipe.augmentation, 0, 0, 5000).zoom)
    assert (min(drawn), max(drawn)) == sides


def test_resnet_cifar_training():
    recipe = RECIPES["resnet_cifar"]
    assert settings(recipe) == (0.1, 0.9, 0.0001, 128)
    assert trained(recipe, CIFAR) == 45_000
    assert length("resnet_cifar", CIFAR) == pytest.approx(64_000, rel=0.001)
    at = rates_at("resnet_cifar", CIFAR)
    assert [at(step) for step in (0, 31_800, 32_200, 47_800, 48_200)] == [0.1, 0.1, 0.01, 0.01, 0.001]
    assert (recipe.size, recipe.augmentation.pad, recipe.data.margin) == (32, 4, 1.0)
    deep = rates_at("resnet_cifar_deep", CIFAR)
    assert [deep(step) for step in (0, 399, 401, 31_800, 32_200, 48_200)] == [0.01, 0.01, 0.1, 0.1, 0.01, 0.001]
