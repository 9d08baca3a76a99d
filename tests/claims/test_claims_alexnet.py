"""The paper's net: every figure that it states or that follows from it, one test for each."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from alexnet.models import VARIANTS, Classifier, as_convolutions, build, build_variant
from alexnet.models.alexnet import TORCHVISION_LAYERS
from alexnet.models.blocks import Conv, ConvReLU, FullyConnectedReLU
from alexnet.models.summary import summary
from comparing import difference


def outline(name: str, size: int | None = None, **fields) -> Classifier:
    """A net of shapes alone, without weights."""
    with torch.device("meta"):
        return build_variant(replace(VARIANTS[name], **fields), 1000, size)


def rows(net: Classifier) -> dict[str, dict]:
    return {row["name"]: row for row in summary(net)["layers"]}


def parameters(net: Classifier) -> list[int]:
    return [row["parameters"] for row in summary(net)["layers"] if row["parameters"]]


def small(name: str, size: int, **fields) -> Classifier:
    """A net with small fully-connected layers, He weights, biases that are not 0; float64, at test."""
    torch.manual_seed(2)
    net = build_variant(replace(VARIANTS[name], hidden=(24, 16), **fields), 6, size, start="he")
    for key, p in net.named_parameters():
        if key.endswith("bias"):
            nn.init.normal_(p, 0, 0.1)
    return net.double().eval()


def images(side: int) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.rand(2, 3, side, side, generator=generator, dtype=torch.float64) * 255 - 128


@pytest.mark.parametrize("size", [224, 227])
def test_claim_alexnet_shapes(size):
    net = outline("alexnet", size)
    found = rows(net)
    expected = {
        "conv1": [96, 55, 55], "pool1": [96, 27, 27], "conv2": [256, 27, 27], "pool2": [256, 13, 13],
        "conv3": [384, 13, 13], "conv4": [384, 13, 13], "conv5": [256, 13, 13], "pool5": [256, 6, 6],
        "fc6": [4096], "fc7": [4096], "fc8": [1000],
    }  # fmt: skip
    assert {name: found[name]["output"] for name in expected} == expected
    assert net.fc6.in_features == 9216
    towers = {name: found[name]["output"][0] // 2 for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "pool5")}
    assert towers == {"conv1": 48, "conv2": 128, "conv3": 192, "conv4": 192, "conv5": 128, "pool5": 128}
    assert net.norm1.towers == net.norm2.towers == 2


def test_claim_alexnet_inputs():
    # One picture, four ways: its pixels minus mean, with the zeros at different places.
    torch.manual_seed(0)
    conv = {
        "227 unpadded": ConvReLU(3, 8, 11, 4),
        "224, 1 and 2": ConvReLU(3, 8, 11, 4, (1, 2)),
        "224, 0 and 3 by rounding up": ConvReLU(3, 8, 11, 4, rounding="up"),
        "224, 2 and 2 of which 1 is unused": ConvReLU(3, 8, 11, 4, (2, 2)),
    }
    first = conv["227 unpadded"]
    picture = torch.randn(2, 3, 224, 224)
    ends = {"224, 1 and 2": (1, 2), "224, 0 and 3 by rounding up": (0, 3), "224, 2 and 2 of which 1 is unused": (2, 1)}
    outputs = []
    for name, (before, after) in ends.items():
        conv[name].load_state_dict(first.state_dict())
        by_hand = first(functional.pad(picture, (before, after, before, after)))
        assert by_hand.shape == (2, 8, 55, 55)
        outputs.append(conv[name](picture))
        torch.testing.assert_close(outputs[-1], by_hand)
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])
    for name, size in (("alexnet", 224), ("alexnet", 227), ("alexnet_2012", 224), ("alexnet_2014", 224)):
        assert rows(outline(name, size))["conv1"]["output"][1:] == [55, 55]
    assert outline("alexnet", 224).conv1.ends == (1, 2)
    assert outline("alexnet", 227).conv1.ends == (0, 0)
    assert outline("alexnet_2012").conv1.rounding == "up"
    assert outline("alexnet_2014").conv1.ends == (2, 2)


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "alexnet_one_column", "caffe_alexnet", "alexnet_2014"])
def test_claim_alexnet_pads(name):
    net = outline(name)
    assert [net.stages[f"conv{i}"].ends for i in range(2, 6)] == [(2, 2), (1, 1), (1, 1), (1, 1)]
    side = None
    for row in rows(net).values():
        if len(row["output"]) == 3:
            if row["kind"] != "max pool" and side is not None:
                assert row["output"][1] == side, f"{row['name']} changes the size"
            side = row["output"][1]


def test_claim_alexnet_params_towers():
    for name in ("alexnet", "alexnet_2012", "caffe_alexnet", "caffenet"):
        each = [34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000]
        assert parameters(outline(name)) == each
        assert sum(p.numel() for p in outline(name).parameters()) == 60_965_224


def test_claim_alexnet_params_one_column():
    each = [34_944, 614_656, 885_120, 1_327_488, 884_992, 37_752_832, 16_781_312, 4_097_000]
    assert parameters(outline("alexnet_one_column")) == each
    assert sum(p.numel() for p in outline("alexnet_one_column").parameters()) == 62_378_344


def test_claim_alexnet_params_half():
    net = outline("alexnet_half")
    assert [net.stages[f"conv{i}"].out_channels for i in range(1, 6)] == [48, 128, 192, 192, 256]
    document = summary(net)
    assert document["parameters"] == 59_798_312
    assert document["multiply_adds"] == 391_514_384


def test_claim_alexnet_fc_share():
    for name, percent in (("alexnet", 96.17), ("alexnet_one_column", 93.99)):
        found = rows(outline(name))
        share = sum(found[stage]["parameters"] for stage in ("fc6", "fc7", "fc8"))
        assert round(100 * share / sum(parameters(outline(name))), 2) == percent > 50


def test_claim_alexnet_macs():
    each = {
        "alexnet": [105_415_200, 223_948_800, 149_520_384, 112_140_288, 74_760_192],
        "alexnet_one_column": [105_415_200, 447_897_600, 149_520_384, 224_280_576, 149_520_384],
    }
    for name, total, convolutions in (
        ("alexnet", 724_406_816, 665_784_864),
        ("alexnet_one_column", 1_135_256_096, 1_076_634_144),
    ):
        document = summary(outline(name))
        found = [row["multiply_adds"] for row in document["layers"] if row["name"].startswith("conv")]
        assert found == each[name]
        assert sum(found) == convolutions
        assert document["multiply_adds"] == total
        assert total - convolutions == 58_621_952


def test_claim_alexnet_neurons():
    document = summary(outline("alexnet"))
    found = [torch.Size(row["output"]).numel() for row in document["layers"] if row["parameters"]]
    assert found == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert document["activations"] == 659_272
    assert abs(document["activations"] / 650_000 - 1) < 0.02  # the abstract's figure


def test_claim_alexnet_kernels():
    net = outline("alexnet")
    kernels = [tuple(net.stages[f"conv{i}"].weight.shape) for i in range(1, 6)]
    assert kernels == [(96, 3, 11, 11), (256, 48, 5, 5), (384, 256, 3, 3), (384, 192, 3, 3), (256, 192, 3, 3)]


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012"])
def test_claim_alexnet_links(name):
    # Which tower's inputs move which tower's outputs: the gradient, stage by stage.
    net = small(name, 99)
    x = net.preprocess(images(99))
    meeting = []
    for stage, layer in net.stages.items():
        if stage == "conv1":  # both towers see the whole image
            x = layer(x).detach()
            continue
        a = x.detach().requires_grad_()
        y = layer(a)
        half = y.shape[1] // 2
        crossing = []
        for output, other in (
            (slice(0, half), slice(a.shape[1] // 2, None)),
            (slice(half, None), slice(0, a.shape[1] // 2)),
        ):
            (gradient,) = torch.autograd.grad(y[:, output].square().sum(), a, retain_graph=True)
            assert gradient.abs().sum() > 0
            crossing.append(bool((gradient[:, other] != 0).any()))
        assert crossing[0] == crossing[1]
        if crossing[0]:
            meeting.append(stage)
        x = y.detach()
    assert meeting == ["conv3", "fc6", "fc7", "fc8"]


def test_claim_alexnet_order():
    def order(name: str) -> list[str]:
        return [row["name"] for row in summary(outline(name))["layers"]][:6]

    assert order("alexnet") == ["conv1", "norm1", "pool1", "conv2", "norm2", "pool2"]
    assert isinstance(outline("alexnet").conv1, ConvReLU)  # ReLU before norm1
    assert isinstance(outline("alexnet").conv2, ConvReLU)
    assert order("caffenet") == ["conv1", "pool1", "norm1", "conv2", "pool2", "norm2"]
    # And the order shows in the numbers.
    ours, other = small("caffe_alexnet", 99), small("caffenet", 99)
    other.load_state_dict(ours.state_dict())
    a, b = ours(images(99)), other(images(99))
    assert (a - b).abs().max() > 0.01 * a.abs().max()


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "caffenet", "alexnet_2014"])
def test_claim_alexnet_relu(name):
    net = small(name, 99)
    x = images(99)
    for i in range(1, 6):
        # Behind a ReLU of its own where the 2012 code moves it.
        stage = f"relu{i}" if f"relu{i}" in net.stages else f"conv{i}"
        maps = net.features(x, stage)
        assert maps.min() == 0
        assert maps.max() > 0
    for stage in ("fc6", "fc7"):
        assert isinstance(net.stages[stage], FullyConnectedReLU)
        assert net.features(x, stage).min() == 0
    assert net(x).min() < 0


def test_claim_alexnet_receptive():
    found = rows(outline("alexnet"))
    sees = {"conv1": 11, "pool1": 19, "conv2": 51, "pool2": 67, "conv3": 99, "conv4": 131, "conv5": 163, "pool5": 195}
    steps = [4, 8, 8, 16, 16, 16, 16, 32]
    assert {name: found[name]["receptive_field"] for name in sees} == sees
    assert [found[name]["step"] for name in sees] == steps
    assert found["fc6"]["receptive_field"] == 355


@torch.no_grad()
def test_claim_alexnet_fc_as_conv():
    torch.manual_seed(0)
    net = build("alexnet", classes=20, start="he").eval()  # at full size: 6 x 6 and 1 x 1
    state = as_convolutions(net)
    assert {key: tuple(state[f"{key}.weight"].shape) for key in ("fc6", "fc7", "fc8")} == {
        "fc6": (4096, 256, 6, 6), "fc7": (4096, 4096, 1, 1), "fc8": (20, 4096, 1, 1),
    }  # fmt: skip
    x = images(224).float()
    y = net.features(x, "pool5")
    for name in ("fc6", "fc7", "fc8"):
        y = functional.conv2d(y, state[f"{name}.weight"], state[f"{name}.bias"])
        y = y if name == "fc8" else y.relu() * 0.5
    assert y.shape == (2, 20, 1, 1)
    assert difference(net(x), y.flatten(1)) <= 1e-5


@torch.no_grad()
def test_claim_alexnet_adaptive():
    net = small("alexnet_2014", 224)
    x = images(224)
    pooled = net.features(x, "pool5")
    assert pooled.shape == (2, 256, 6, 6)
    assert torch.equal(net.features(x, "average5"), pooled)
    for side in (100, 160, 300):
        assert net.features(images(side), "average5").shape == (2, 256, 6, 6)
        assert net(images(side)).shape == (2, 6)


def test_claim_alexnet_2014():
    theirs = {name: p.shape for name, p in torchvision_shapes().items()}
    net = outline("alexnet_2014")
    assert summary(net)["parameters"] == 61_100_840
    assert sum(shape.numel() for shape in theirs.values()) == 61_100_840
    for stage, layer in TORCHVISION_LAYERS.items():
        for part in ("weight", "bias"):
            assert net.state_dict()[f"{stage}.{part}"].shape == theirs[f"{layer}.{part}"]
    assert summary(net)["multiply_adds"] == 714_188_480
    assert not [name for name in net.stages if name.startswith("norm")]
    assert list(net.stages)[-5:] == ["drop5", "fc6", "drop6", "fc7", "fc8"]
    published = summary(outline("alexnet_2014", widths=(64, 192, 384, 384, 256)))
    assert published["parameters"] == 61_838_248
    assert published["multiply_adds"] == 838_788_800
    released = outline(
        "alexnet_2014",
        order=VARIANTS["alexnet"].order,
        normalisation=VARIANTS["caffe_alexnet"].normalisation,
    )
    assert [name for name in released.stages if name.startswith("norm")] == ["norm1", "norm2"]
    assert isinstance(released.conv1, Conv)


def torchvision_shapes() -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(torchvision.models.alexnet().named_parameters())
