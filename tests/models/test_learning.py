"""Every named net learns: sixteen images at its smallest input, cross-entropy under 0.1 in a stated number of steps.

Most of them, as wide as they are named, are slow tests. Thin nets of the same build are asked every time.
"""

import importlib.util
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from alexnet.models import VARIANTS, build_variant, names, resnet, vgg

ROOT = Path(__file__).parents[2]
NAMES = names()  # before other tests' nets are among them

# Rate and steps allowed, one seed.
ROWS = {
    "alexnet": (0.01, 80),
    "alexnet_2012": (0.01, 80),
    "alexnet_one_column": (0.01, 80),
    "alexnet_half": (0.01, 80),
    "caffe_alexnet": (0.01, 80),
    "caffenet": (0.01, 80),
    "alexnet_2014": (0.01, 150),
    "lenet5": (0.003, 60),
    "lenet5_mse": (0.003, 60),
    "lenet5_softmax": (0.03, 250),
    "nin": (0.02, 150),
    "nin_cifar": (0.02, 100),
    "nin_mnist": (0.02, 250),
    "vgg_a": (0.005, 50),
    "vgg_a_lrn": (0.005, 50),
    "vgg_b": (0.005, 50),
    "vgg_c": (0.005, 50),
    "vgg_d": (0.005, 50),
    "vgg_e": (0.005, 50),
    "vgg_a_bn": (0.001, 50),
    "vgg_b_bn": (0.001, 50),
    "vgg_d_bn": (0.001, 50),
    "vgg_e_bn": (0.001, 50),
    "vgg_cifar": (0.005, 50),
    "googlenet": (0.005, 50),
    "googlenet_bn": (0.005, 150),
    "googlenet_torchvision": (0.005, 150),
    "plain18": (0.02, 50),
    "plain34": (0.005, 100),
    "resnet18": (0.02, 50),
    "resnet34": (0.02, 50),
    "resnet50": (0.002, 100),
    "resnet101": (0.002, 100),
    "resnet152": (0.002, 100),
    "resnet50_v1_5": (0.002, 100),
    "resnet101_v1_5": (0.002, 100),
    "resnet152_v1_5": (0.002, 100),
    "resnet20_cifar": (0.05, 50),
    "resnet32_cifar": (0.01, 50),
    "resnet44_cifar": (0.01, 50),
    "resnet56_cifar": (0.01, 50),
    "resnet110_cifar": (0.01, 50),
}

# These are run every time; their relatives, which take several seconds each, are slow tests.
FAST = {"lenet5", "lenet5_mse", "lenet5_softmax", "nin_cifar", "googlenet", "resnet20_cifar"}

# An eighth as wide: how it is built, rate and steps allowed.
ALEXNET = replace(VARIANTS["alexnet"], widths=(12, 32, 48, 48, 32), hidden=(512, 512))
VGG = replace(vgg.VARIANTS["vgg_d"], widths=(8, 16, 32, 64, 64), hidden=512)
THIN = {
    "alexnet": (partial(build_variant, ALEXNET), 0.02, 100),
    "vgg_d": (partial(vgg.build_variant, VGG), 0.005, 100),
    "resnet18": (partial(resnet.build_variant, replace(resnet.VARIANTS["resnet18"], width=8)), 0.02, 60),
}


@pytest.fixture(scope="module")
def script():
    """benchmarks/learning.py, which asks ten seeds of two nets, and this test one of each."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(ROOT / "benchmarks"))
        spec = importlib.util.spec_from_file_location("learning", ROOT / "benchmarks" / "learning.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def test_the_table_has_every_named_net():
    assert list(ROWS) == NAMES
    assert set(ROWS) >= FAST


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in ROWS]
)
def test_every_named_net_learns(name, script):
    rate, steps = ROWS[name]
    net = script.fresh(name, seed=0)
    assert net.size == net.smallest
    outcome = script.learn(net, *script.task(net.size, seed=0), rate, steps, seed=0)
    assert outcome.steps is not None, f"{name}: {outcome.cross_entropy:.3f} after {steps} steps"
    assert outcome.cross_entropy < 0.1


@pytest.mark.parametrize("name", THIN)
def test_a_thin_net_of_each_large_kind_learns(name, script):
    build, rate, steps = THIN[name]
    torch.manual_seed(0)
    net = build(4, {"alexnet": 64}.get(name, 32), start="he")
    net.set_preprocessing([127.5] * 3, 60.0)
    outcome = script.learn(net, *script.task(net.size, seed=0), rate, steps, seed=0)
    assert outcome.steps is not None, f"{name}: {outcome.cross_entropy:.3f} after {steps} steps"


@torch.no_grad()
def test_the_images_are_sixteen_and_unlike(script):
    images, labels = script.task(32, seed=0)
    assert images.shape == (16, 3, 32, 32)
    assert labels.tolist() == [0, 1, 2, 3] * 4
    apart = torch.cdist(images.flatten(1), images.flatten(1)) + 1e9 * torch.eye(16)
    assert apart.min() > 1000
    assert images.min() >= 0
    assert images.max() <= 255


def test_a_net_that_does_not_learn_is_seen(script):
    net = script.fresh("lenet5_softmax", seed=0)
    outcome = script.learn(net, *script.task(32, seed=0), rate=0.0, steps=10, seed=0)
    assert outcome.steps is None
    assert outcome.cross_entropy > 1
