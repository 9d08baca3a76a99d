"""Network in network against a second version, its starts, its dropout and its edges."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.errors import InputError
from alexnet.models import Classifier, build
from alexnet.models.blocks import Conv
from alexnet.models.dropout import Dropout
from alexnet.models.nin import VARIANTS, MlpConv, Variant, build_variant, smallest_size

SIZES = {"nin": 224, "nin_cifar": 32, "nin_mnist": 28}  # every pooling but one of MNIST's leaves an odd row over


def narrow(name: str) -> Variant:
    """A variant with an eighth of the maps."""
    blocks = tuple(replace(b, widths=tuple(width // 8 for width in b.widths)) for b in VARIANTS[name].blocks)
    return replace(VARIANTS[name], blocks=blocks)


def net_of(name: str, size: int | None = None) -> Classifier:
    """Narrow, with He weights and biases that are not 0; float64, at test."""
    torch.manual_seed(7)
    net = build_variant(narrow(name), 6, size, start="he")
    last = net.stages[net.classifier_stage]
    nn.init.kaiming_normal_(last.get_parameter("weight"))
    for key, p in net.named_parameters():
        if key.endswith("bias"):
            nn.init.normal_(p, 0.2, 0.1)
    net.set_preprocessing([120.0, 110.0, 100.0], 60.0)
    return net.double().eval()


def images(side: int) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(4), dtype=torch.float64) * 255


def by_patches(x: Tensor, conv: Conv, stride: int, padding: int) -> Tensor:
    """max(0, convolution), as a product of patches and weights."""
    kernel = conv.weight.shape[2]
    side = (x.shape[2] + 2 * padding - kernel) // stride + 1
    patches = functional.unfold(x, kernel, padding=padding, stride=stride)
    assert conv.bias is not None
    return (conv.weight.flatten(1) @ patches + conv.bias[:, None]).clamp(min=0).view(len(x), -1, side, side)


def pooled(x: Tensor) -> Tensor:
    """Maxima of 3 x 3 with stride 2, the last window reaching over the edge where it must."""
    side = x.shape[2]
    starts = range(0, math.ceil((side - 3) / 2) * 2 + 1, 2)
    return torch.stack(
        [torch.stack([x[:, :, i : i + 3, j : j + 3].amax((2, 3)) for j in starts], 2) for i in starts], 2
    )


def second_version(net: Classifier, blocks: tuple[MlpConv, ...], x: Tensor) -> Tensor:
    y = (x - net.mean) / net.scale
    if net.name == "nin_mnist":
        y = y.mean(1, keepdim=True)
    convs = iter([stage for stage in net.stages.values() if isinstance(stage, Conv)])
    for i, block in enumerate(blocks):
        y = pooled(y) if i else y
        y = by_patches(y, next(convs), block.stride, block.padding)
        y = by_patches(y, next(convs), 1, 0)
        y = by_patches(y, next(convs), 1, 0)
    return y.mean((2, 3))


@torch.no_grad()
def difference(ours: Classifier, other: Classifier) -> float:
    """Largest, relative to the largest score; the two images must differ by more than 1 %."""
    x = images(ours.size)
    expected = second_version(other, narrow(other.name).blocks, x)
    assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.max()
    return float((ours(x) - expected).abs().max() / expected.max())


@pytest.mark.parametrize("name", list(VARIANTS))
def test_the_net_equals_a_second_version(name):
    assert net_of(name).size == SIZES[name]
    assert difference(net_of(name), net_of(name)) < 1e-10


@pytest.mark.parametrize("layer", [f"conv{i}" for i in (1, 2, 3)] + [f"cccp{i}" for i in (1, 2, 3, 4, 5, 6)])
@torch.no_grad()
def test_a_layer_set_to_zero_shows(layer):
    broken = net_of("nin_mnist")
    broken.get_parameter(f"{layer}.weight").zero_()
    assert difference(broken, net_of("nin_mnist")) > 1e-3


# Sizes


@pytest.mark.parametrize(("name", "smallest"), [("nin", 55), ("nin_cifar", 6), ("nin_mnist", 6)])
def test_the_smallest_size_is_one_that_can_be_built_and_used(name, smallest):
    assert smallest_size(VARIANTS[name]) == smallest
    net = build_variant(narrow(name), 3, smallest)
    assert net(torch.rand(2, 3, smallest, smallest)).shape == (2, 3)
    with pytest.raises(InputError, match=f"{name} cannot be built for .*: the smallest size is {smallest}"):
        build_variant(narrow(name), 3, smallest - 1)


@torch.no_grad()
def test_on_larger_images_the_average_slides():
    net, x = net_of("nin_cifar"), images(48)
    last = net.features(x, "cccp6")
    assert last.shape[2:] == (12, 12)
    maps = net.score_map(x)
    assert maps.shape == (2, 6, 5, 5)
    torch.testing.assert_close(maps[:, :, 3, 1], last[:, :, 3:11, 1:9].mean((2, 3)))
    torch.testing.assert_close(net(x), maps.mean((2, 3)))


@torch.no_grad()
def test_the_net_for_mnist_reads_colours_as_their_mean():
    net, x = net_of("nin_mnist"), images(28)
    net.set_preprocessing([20.0] * 3, 200.0)
    torch.testing.assert_close(net(x), net(x.flip(1)))
    assert net.get_parameter("conv1.weight").shape[1] == 1


# Dropout


@pytest.mark.parametrize(
    ("name", "places"),
    [("nin", {"drop": "pool3"}), ("nin_cifar", {"dropout1": "pool1", "dropout2": "pool2"}),
     ("nin_mnist", {"dropout1": "pool1", "dropout2": "pool2"})],
)  # fmt: skip
def test_dropout_stands_behind_its_pooling_and_scales_in_training(name, places):
    stages = build_variant(narrow(name), 3).stages
    order = list(stages)
    assert {stage: order[i - 1] for i, stage in enumerate(order) if isinstance(stages[stage], Dropout)} == places
    for stage in places:
        drop = stages[stage]
        assert isinstance(drop, Dropout)
        assert (drop.keep, drop.kind) == (0.5, "inverted")


# Starts


@pytest.mark.parametrize("name", list(VARIANTS))
@torch.no_grad()
def test_the_publications_start(name):
    torch.manual_seed(0)
    net = build(name, 100)
    tenth = {"conv1", "conv3", "cccp8"} if name == "nin" else set()
    for stage, layer in net.stages.items():
        if isinstance(layer, Conv):
            assert layer.bias is not None
            deviation = 0.01 if stage in tenth else 0.05
            assert float(layer.weight.std()) == pytest.approx(deviation, rel=0.05), stage
            assert not layer.bias.any()


@torch.no_grad()
def dead(net: Classifier) -> int:
    """Classes whose score is 0 for each of eight unlike images."""
    generator = torch.Generator().manual_seed(1)
    blots = torch.rand(8, 3, 4, 4, generator=generator) * 255 - 128
    scores = net.eval()(functional.interpolate(blots, size=(net.size, net.size)) / 74)
    return int((scores == 0).all(0).sum())


@pytest.mark.parametrize("name", list(VARIANTS))
@torch.no_grad()
def test_no_class_begins_dead_in_the_practical_start(name):
    torch.manual_seed(0)
    net = build(name, 40, {"nin": 67, "nin_cifar": 8, "nin_mnist": 8}[name], start="he")
    assert dead(net) == 0
    last = net.stages[net.classifier_stage]
    assert float(last.get_parameter("weight").std()) == pytest.approx(0.01, rel=0.1)
    # The reason: without those biases some classes have a score of 0 whatever the image, and so no gradient.
    last.get_parameter("bias").zero_()
    assert dead(net) > 2
