"""VGG: every figure that the paper states or that follows from it, one test for each."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from alexnet.models import Classifier, as_convolutions, build, from_convolutions
from alexnet.models.blocks import Conv, FullyConnected
from alexnet.models.summary import summary
from alexnet.models.vgg import VARIANTS, build_variant

# Table 1, as it is printed.
TABLE = {
    "A": "conv3-64 maxpool conv3-128 maxpool conv3-256 conv3-256 maxpool "
    "conv3-512 conv3-512 maxpool conv3-512 conv3-512 maxpool FC-4096 FC-4096 FC-1000",
    "A-LRN": "conv3-64 LRN maxpool conv3-128 maxpool conv3-256 conv3-256 maxpool "
    "conv3-512 conv3-512 maxpool conv3-512 conv3-512 maxpool FC-4096 FC-4096 FC-1000",
    "B": "conv3-64 conv3-64 maxpool conv3-128 conv3-128 maxpool conv3-256 conv3-256 maxpool "
    "conv3-512 conv3-512 maxpool conv3-512 conv3-512 maxpool FC-4096 FC-4096 FC-1000",
    "C": "conv3-64 conv3-64 maxpool conv3-128 conv3-128 maxpool conv3-256 conv3-256 conv1-256 maxpool "
    "conv3-512 conv3-512 conv1-512 maxpool conv3-512 conv3-512 conv1-512 maxpool FC-4096 FC-4096 FC-1000",
    "D": "conv3-64 conv3-64 maxpool conv3-128 conv3-128 maxpool conv3-256 conv3-256 conv3-256 maxpool "
    "conv3-512 conv3-512 conv3-512 maxpool conv3-512 conv3-512 conv3-512 maxpool FC-4096 FC-4096 FC-1000",
    "E": "conv3-64 conv3-64 maxpool conv3-128 conv3-128 maxpool conv3-256 conv3-256 conv3-256 conv3-256 maxpool "
    "conv3-512 conv3-512 conv3-512 conv3-512 maxpool conv3-512 conv3-512 conv3-512 conv3-512 maxpool "
    "FC-4096 FC-4096 FC-1000",
}
NETS = {"A": "vgg_a", "A-LRN": "vgg_a_lrn", "B": "vgg_b", "C": "vgg_c", "D": "vgg_d", "E": "vgg_e"}
LAYERS = {"A": 11, "A-LRN": 11, "B": 13, "C": 16, "D": 16, "E": 19}


def outline(name: str, size: int | None = None, classes: int = 1000) -> Classifier:
    """A net of shapes alone, without weights."""
    with torch.device("meta"):
        return build(name, classes, size)


def layers_of(net: nn.Module) -> list[Conv | FullyConnected]:
    return [layer for layer in net.modules() if isinstance(layer, Conv | FullyConnected)]


@pytest.mark.parametrize("column", list(TABLE))
def test_claim_vgg_table(column):
    net = outline(NETS[column])
    rows = [row["in_paper"][column] for row in summary(net)["layers"] if "in_paper" in row]
    assert rows == TABLE[column].split()
    # The words are the layers' own.
    built = []
    for layer in net.modules():
        if isinstance(layer, Conv):
            assert layer.stride == (1, 1)
            assert layer.ends == (layer.kernel_size[0] // 2,) * 2
            built.append(f"conv{layer.kernel_size[0]}-{layer.out_channels}")
        elif isinstance(layer, FullyConnected):
            built.append(f"FC-{layer.out_features}")
    assert built == [word for word in TABLE[column].split() if word.startswith(("conv", "FC"))]
    assert len(built) == LAYERS[column]


@pytest.mark.parametrize(
    ("name", "count", "millions"),
    [
        ("vgg_a", 132_863_336, 133),
        ("vgg_a_lrn", 132_863_336, 133),
        ("vgg_b", 133_047_848, 133),
        ("vgg_c", 133_638_952, 134),
        ("vgg_d", 138_357_544, 138),
        ("vgg_e", 143_667_240, 144),
    ],
)
def test_claim_vgg_columns(name, count, millions):
    document = summary(outline(name))
    assert document["parameters"] == count
    assert round(count / 1e6) == millions  # the paper's table 2
    head = [row["parameters"] for row in document["layers"] if row["name"].startswith("fc")]
    assert head == [102_764_544, 16_781_312, 4_097_000]
    assert sum(head) == 123_642_856


def test_claim_vgg_count():
    net = outline("vgg_d")
    blocks = [[name for name in net.stages if name.startswith(f"conv{block}_")] for block in range(1, 6)]
    weighted = [name for name, stage in net.stages.items() if list(stage.parameters())]
    assert [len(block) for block in blocks] == [2, 2, 3, 3, 3]
    assert len(weighted) == 2 + 2 + 3 + 3 + 3 + 3 == 16
    maps = [row["output"] for row in summary(net)["layers"] if len(row["output"]) == 3]
    sides, widths = [side for _, side, _ in maps], [width for width, _, _ in maps]
    assert sides == sorted(sides, reverse=True)
    assert widths == sorted(widths)
    assert list(dict.fromkeys(sides)) == [224, 112, 56, 28, 14, 7]
    assert list(dict.fromkeys(widths)) == [64, 128, 256, 512]
    alexnets = [row["output"][0] for row in summary(outline("alexnet"))["layers"] if row["name"].startswith("conv")]
    assert alexnets != sorted(alexnets)


def test_claim_vgg_stack():
    net, full, c = thin("vgg_d", 32), outline("vgg_d"), 512
    for names, side in ((("conv5_1", "conv5_2"), 5), (("conv5_1", "conv5_2", "conv5_3"), 7)):
        stack = nn.Sequential(*(net.stages[name] for name in names))
        image = torch.rand(1, net.stages["conv5_1"].in_channels, 15, 15, dtype=torch.float64, requires_grad=True)
        stack(image)[0, :, 7, 7].sum().backward()
        assert image.grad is not None
        seen = (image.grad[0].abs().sum(0) > 0).nonzero()
        assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [side, side]
    weights = sum(full.get_submodule(f"conv5_{i}").weight.numel() for i in (1, 2, 3))
    assert weights == 27 * c * c
    assert Conv(c, c, 7).weight.numel() == 49 * c * c
    assert round(100 * (49 / 27 - 1)) == 81  # per cent more, section 2.3


@pytest.mark.parametrize(
    ("name", "convolutions", "total"),
    [
        ("vgg_a", 7_485_456_384, 7_609_090_048),
        ("vgg_b", 11_184_832_512, 11_308_466_176),
        ("vgg_c", 11_647_254_528, 11_770_888_192),
        ("vgg_d", 15_346_630_656, 15_470_264_320),
        ("vgg_e", 19_508_428_800, 19_632_062_464),
    ],
)
def test_claim_vgg_macs(name, convolutions, total):
    document = summary(outline(name))
    assert document["multiply_adds"] == total
    found = [row["multiply_adds"] for row in document["layers"] if row["name"].startswith("conv")]
    assert sum(found) == convolutions


def test_claim_vgg_receptive_and_stride_32():
    for name, sees in (("vgg_a", 150), ("vgg_d", 212), ("vgg_e", 268)):
        row = next(row for row in summary(outline(name))["layers"] if row["name"] == "pool5")
        assert (row["receptive_field"], row["step"]) == (sees, 32)
        assert row["output"] == [512, 7, 7]


@torch.no_grad()
def test_claim_vgg_dense():
    found = {row["name"]: row["output"] for row in summary(outline("vgg_d"), 384)["layers"]}
    assert found["pool5"] == [512, 12, 12]
    assert found["fc8"] == [1000, 6, 6]
    kernels = as_convolutions(outline("vgg_d"))
    assert [tuple(kernels[f"{name}.weight"].shape) for name in ("fc6", "fc7", "fc8")] == [
        (4096, 512, 7, 7), (4096, 4096, 1, 1), (1000, 4096, 1, 1),
    ]  # fmt: skip
    # The head on maps of 12 x 12 gives what it gives on each of their 36 windows of 7 x 7.
    net = thin("vgg_d", 224)
    maps = torch.rand(2, 512, 12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dense = head(net, maps)
    assert dense.shape == (2, 6, 6, 6)
    each = [head(net, maps[:, :, y : y + 7, x : x + 7]) for y in range(6) for x in range(6)]
    assert all(one.shape == (2, 6) for one in each)
    windows = torch.stack(each, 2).view(2, 6, 6, 6)
    largest = windows.abs().max()
    assert (windows[..., 0, 0] - windows[..., 5, 5]).abs().max() > 0.01 * largest
    assert (dense - windows).abs().max() <= 1e-10 * largest


@torch.no_grad()
def test_claim_vgg_dense_both_ways():
    net = thin("vgg_a", 64)
    state = net.state_dict()
    again = from_convolutions(net, as_convolutions(net))
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)
    # The map's mean is the score of a larger image.
    image = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 255
    scores = net.score_map(image)
    assert scores.shape == (2, 6, 2, 3)
    assert torch.equal(net(image), scores.mean((2, 3)))


def deviation_of_scores(deviation: float, size: int, classes: int) -> float:
    """Of the scores of net A on noise like photographs minus their mean, float64 because of the size."""
    torch.manual_seed(0)
    net = build("vgg_a", classes, size)
    for layer in layers_of(net):
        assert float(layer.weight.std()) == pytest.approx(0.01, rel=0.05)
        assert layer.bias is not None
        assert not layer.bias.any()
        layer.weight.mul_(deviation / 0.01)
    images = torch.rand(2, 3, size, size) * 255 - 128
    return float(net.eval()(images).std())


@torch.no_grad()
def test_claim_vgg_init():
    # The printed variance of 1e-2 is a deviation of 0.1: each of eleven layers gives ten times as much.
    meant, printed = deviation_of_scores(0.01, 32, 20), deviation_of_scores(0.1, 32, 20)
    assert meant < 0.01
    assert printed > 1e5


@pytest.mark.slow
@torch.no_grad()
def test_claim_vgg_init_at_full_size():
    assert 1e-4 < deviation_of_scores(0.01, 224, 1000) < 1e-2
    assert 1e7 < deviation_of_scores(0.1, 224, 1000) < 1e9


def test_claim_vgg_small():
    net = outline("vgg_cifar", classes=10)
    document = summary(net)
    assert net.size == 32
    assert document["parameters"] == 9_750_922
    rows = {row["name"]: row for row in document["layers"]}
    assert rows["pool5"]["output"] == [512, 1, 1]
    head = sum(rows[name]["parameters"] for name in ("fc6", "fc7", "fc8"))
    assert head == 530_442
    assert 123_642_856 // head == 233
    assert document["multiply_adds"] == 153_293_824


def thin(name: str, size: int) -> Classifier:
    """A net with few maps before the last block and few hidden units, He weights, biases not 0; float64, at test."""
    torch.manual_seed(2)
    net = build_variant(replace(VARIANTS[name], hidden=16, widths=(8, 8, 8, 8, 512)), 6, size, start="he")
    for key, p in net.named_parameters():
        if key.endswith("bias"):
            nn.init.normal_(p, 0, 0.1)
    return net.double().eval()


def head(net: Classifier, maps: Tensor) -> Tensor:
    for name in ("fc6", "drop6", "fc7", "drop7", "fc8"):
        maps = net.stages[name](maps)
    return maps
