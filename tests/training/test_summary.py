"""What a person is told before training."""

from types import SimpleNamespace

import pytest

from alexnet.models import build
from alexnet.recipe import Optimiser, Recipe
from alexnet.training.summary import batch_norm_note


@pytest.mark.parametrize(
    ("model", "micro_batch", "lines"),
    [("resnet20_cifar", 8, 1), ("resnet20_cifar", None, 0), ("resnet20_cifar", 128, 0), ("lenet5", 8, 0)],
)
def test_batch_norm_in_parts_of_a_batch_is_said(model, micro_batch, lines):
    recipe = Recipe(optimiser=Optimiser(batch=128, micro_batch=micro_batch))
    said = batch_norm_note(SimpleNamespace(recipe=recipe, net=build(model, 10, 32)))
    assert len(said) == lines
    assert all("from 8 images" in line and "128 of a batch" in line for line in said)
