"""Network in network: every figure that the paper or the releases state or that follows from them."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from alexnet.models import Classifier, build, parameters
from alexnet.models.blocks import Conv, ConvReLU, WindowAverage
from alexnet.models.nin import VARIANTS, build_variant
from alexnet.models.summary import summary


def outline(name: str, classes: int, **fields) -> Classifier:
    """A net of shapes alone, without weights."""
    with torch.device("meta"):
        return build_variant(replace(VARIANTS[name], **fields), classes)


def weighted(net: Classifier) -> list[tuple[str, list[int], int, int]]:
    """Name, output, parameters and multiply-adds of the stages that have weights."""
    rows = [row for row in summary(net)["layers"] if row["parameters"]]
    return [(row["name"], row["output"], row["parameters"], row["multiply_adds"]) for row in rows]


@pytest.mark.parametrize(("name", "mlpconvs"), [("nin", 4), ("nin_cifar", 3), ("nin_mnist", 3)])
def test_claim_nin_mlpconv(name, mlpconvs):
    net = outline(name, 10)
    layers = [(stage, layer) for stage, layer in net.stages.items() if list(layer.parameters())]
    names = [name for i in range(1, mlpconvs + 1) for name in (f"conv{i}", f"cccp{2 * i - 1}", f"cccp{2 * i}")]
    assert [stage for stage, _ in layers] == names
    for stage, layer in layers:
        assert type(layer) is ConvReLU
        assert stage.startswith("conv") or layer.kernel_size == (1, 1)
    # ReLU behind each, the last too: no map, and so no score, is ever negative; the mean of each map ends the net.
    torch.manual_seed(0)
    small = build(name, 10, {"nin": 67, "nin_cifar": 8, "nin_mnist": 8}[name], start="he").eval()
    x = y = small.preprocess(torch.rand(2, 3, small.size, small.size) * 2 - 1)
    with torch.no_grad():
        for layer in small.stages.values():
            x, y = y, layer(y)
            if isinstance(layer, Conv):
                linear = functional.conv2d(x, layer.weight, layer.bias, layer.stride, layer.ends[0])
                torch.testing.assert_close(y, linear.clamp(min=0))
                layer.get_parameter("bias").sub_(100)
                assert not layer(x).any()
    assert isinstance(list(small.stages.values())[-1], WindowAverage)
    torch.testing.assert_close(y, x.mean((2, 3)))


@torch.no_grad()
def test_claim_one_by_one():
    generator = torch.Generator().manual_seed(0)
    scaling = Conv(1, 1, 1, bias=False)
    x = torch.randn(1, 1, 5, 7, generator=generator)
    torch.testing.assert_close(scaling(x), x * scaling.weight.item())
    conv = Conv(60, 20, 1)
    x = torch.randn(1, 60, 100, 100, generator=generator)
    y = conv(x)
    assert y.shape == (1, 20, 100, 100)
    by_hand = conv.weight[:, :, 0, 0] @ x[0, :, 30, 40] + conv.get_parameter("bias")
    torch.testing.assert_close(y[0, :, 30, 40], by_hand)


def test_claim_nin_imagenet():
    net = outline("nin", 1000)
    assert weighted(net) == [
        ("conv1", [96, 54, 54], 34_944, 101_616_768),
        ("cccp1", [96, 54, 54], 9_312, 26_873_856),
        ("cccp2", [96, 54, 54], 9_312, 26_873_856),
        ("conv2", [256, 27, 27], 614_656, 447_897_600),
        ("cccp3", [256, 27, 27], 65_792, 47_775_744),
        ("cccp4", [256, 27, 27], 65_792, 47_775_744),
        ("conv3", [384, 13, 13], 885_120, 149_520_384),
        ("cccp5", [384, 13, 13], 147_840, 24_920_064),
        ("cccp6", [384, 13, 13], 147_840, 24_920_064),
        ("conv4", [1024, 6, 6], 3_539_968, 127_401_984),
        ("cccp7", [1024, 6, 6], 1_049_600, 37_748_736),
        ("cccp8", [1000, 6, 6], 1_025_000, 36_864_000),
    ]
    found = summary(net)
    assert {row["name"]: row["output"] for row in found["layers"] if row["name"].startswith("pool")} == {
        "pool0": [96, 27, 27], "pool2": [256, 13, 13], "pool3": [384, 6, 6], "pool4": [1000],
    }  # fmt: skip
    assert found["parameters"] == 7_595_176
    assert parameters("alexnet") / 7_595_176 == pytest.approx(8, rel=0.01)
    assert found["multiply_adds"] == 1_100_188_800
    assert summary(outline("nin", 1000, pool_rounding="down"))["multiply_adds"] == 969_460_864


@pytest.mark.parametrize(
    ("classes", "count", "multiply_adds"), [(10, 966_986, 222_486_528), (100, 984_356, 223_592_448)]
)
def test_claim_nin_cifar(classes, count, multiply_adds):
    net = outline("nin_cifar", classes)
    rows = weighted(net)
    assert [row[2] for row in rows] == [
        14_592, 30_880, 15_456, 460_992, 37_056, 37_056, 331_968, 37_056, 193 * classes,
    ]  # fmt: skip
    assert [row[1] for row in rows] == [
        [192, 32, 32], [160, 32, 32], [96, 32, 32], [192, 16, 16], [192, 16, 16], [192, 16, 16],
        [192, 8, 8], [192, 8, 8], [classes, 8, 8],
    ]  # fmt: skip
    found = summary(net)
    assert (found["parameters"], found["multiply_adds"]) == (count, multiply_adds)
    assert parameters("nin_cifar") == 966_986


def test_claim_nin_mnist():
    rows = weighted(outline("nin_mnist", 10))
    assert [row[1] for row in rows] == [
        [96, 28, 28], [64, 28, 28], [48, 28, 28], [128, 14, 14], [96, 14, 14], [48, 14, 14],
        [128, 7, 7], [96, 7, 7], [10, 7, 7],
    ]  # fmt: skip
    kernels = [layer.kernel_size[0] for layer in outline("nin_mnist", 10).modules() if isinstance(layer, Conv)]
    assert kernels == [5, 1, 1, 5, 1, 1, 5, 1, 1]
