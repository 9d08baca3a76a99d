"""ResNet: every figure that its paper states or that follows from it, one test for each."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from alexnet.models import Classifier, build
from alexnet.models.blocks import ConvNorm, FullyConnected
from alexnet.models.residual import Basic, Bottleneck, Residual, Shortcuts, ZeroMaps
from alexnet.models.resnet import VARIANTS, build_variant
from alexnet.models.summary import summary


@cache
def outline(name: str, classes: int = 1000, size: int | None = None, **fields) -> Classifier:
    """A net of shapes alone, without weights."""
    with torch.device("meta"):
        return build_variant(replace(VARIANTS[name], **fields), classes, size)


def rows(net: Classifier) -> dict[str, dict]:
    return {row["name"]: row for row in summary(net)["layers"]}


def stages(net: Classifier) -> dict[str, Residual]:
    return {name: stage for name, stage in net.stages.items() if isinstance(stage, Residual)}


def blocks(net: Classifier) -> list[tuple[str, Basic | Bottleneck]]:
    """Every block by the name that the paper's readers know: conv3_1 is the first of conv3_x."""
    return [
        (f"{name[:-1]}{i}", block)  # type: ignore[misc]
        for name, stage in stages(net).items()
        for i, block in enumerate(stage.blocks, start=1)
    ]


PARAMETERS = {
    "resnet18": (11_515_688, 11_689_512, 12_043_816),
    "resnet34": (21_623_848, 21_797_672, 22_716_840),
    "resnet50": (22_780_456, 25_557_032, 40_128_552),
    "resnet101": (None, 44_549_160, None),
    "resnet152": (None, 60_192_808, None),
}


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_claim_resnet_params(name):
    for shortcuts, count in zip(("A", "B", "C"), PARAMETERS[name], strict=True):
        if count is not None:
            assert sum(p.numel() for p in outline(name, shortcuts=shortcuts).parameters()) == count
    assert VARIANTS[name].shortcuts == "B"
    if name in ("resnet50", "resnet101", "resnet152"):
        assert sum(p.numel() for p in outline(f"{name}_v1_5").parameters()) == PARAMETERS[name][1]


MULTIPLY_ADDS = {
    # name: exact with option B, and the paper's, table 1
    "resnet18": (1_814_073_344, 1.8e9),
    "resnet34": (3_663_761_408, 3.6e9),
    "resnet50": (3_857_973_248, 3.8e9),
    "resnet101": (7_570_194_432, 7.6e9),
    "resnet152": (11_282_415_616, 11.3e9),
}


@pytest.mark.parametrize("name", list(MULTIPLY_ADDS))
def test_claim_resnet_macs(name):
    exact, papers = MULTIPLY_ADDS[name]
    found = summary(outline(name))["multiply_adds"]
    assert found == exact
    assert abs(found / papers - 1) < 0.02


def test_claim_resnet_macs_of_option_a_and_of_v1_5():
    of_a = {"resnet18": 1_794_805_760, "resnet34": 3_644_493_824, "resnet50": 3_498_311_680}
    assert {name: summary(outline(name, shortcuts="A"))["multiply_adds"] for name in of_a} == of_a
    assert abs(of_a["resnet34"] / 3.6e9 - 1) < 0.02
    later = {"resnet50_v1_5": 4_089_184_256, "resnet101_v1_5": 7_801_405_440, "resnet152_v1_5": 11_513_626_624}
    assert {name: summary(outline(name))["multiply_adds"] for name in later} == later


def test_claim_resnet_bottleneck():
    def weights(block: nn.Module) -> int:
        return sum(layer.weight.numel() for layer in block.modules() if isinstance(layer, nn.Conv2d))

    with torch.device("meta"):
        bottleneck = Bottleneck(256, 64, 1, nn.Identity(), 1)
        basic = Basic(256, 256, 1, nn.Identity())
    assert weights(bottleneck) == 1 * 1 * 256 * 64 + 3 * 3 * 64 * 64 + 1 * 1 * 64 * 256 == 69_632
    assert weights(basic) == 3 * 3 * 256 * 256 * 2 == 1_179_648
    assert round(weights(basic) / weights(bottleneck), 2) == 16.94


@pytest.mark.parametrize("name", ["plain18", "resnet18", "plain34", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_claim_resnet_layers_are_as_many_as_the_name_says(name):
    net = outline(name)
    projections = {id(block.shortcut) for _, block in blocks(net)}
    layers = [m for m in net.modules() if isinstance(m, ConvNorm | FullyConnected) and id(m) not in projections]
    assert len(layers) == VARIANTS[name].layers == int(name.lstrip("abcdefghijklmnopqrstuvwxyz"))


def test_claim_resnet_101_layers():
    each = {name: len(stage.blocks) for name, stage in stages(outline("resnet101")).items()}
    fewer = {name: len(stage.blocks) for name, stage in stages(outline("resnet50")).items()}
    assert 1 + 3 * sum(each.values()) + 1 == 101
    assert sum(each.values()) == 33
    assert {name: each[name] - fewer[name] for name in each if each[name] != fewer[name]} == {"conv4_x": 17}


@pytest.mark.parametrize("bottleneck", [False, True])
@torch.no_grad()
def test_claim_resnet_identity(bottleneck):
    torch.manual_seed(0)
    block = Bottleneck(16, 4, 1, nn.Identity(), 1) if bottleneck else Basic(16, 16, 1, nn.Identity())
    last = block.convolutions[-1].norm
    x = torch.randn(2, 16, 6, 6)
    assert (block(x) - x.relu()).abs().max() > 0.1
    nn.init.zeros_(last.weight)  # and its bias is 0: the residual branch gives nothing
    assert torch.equal(block(x), x.relu())
    assert torch.equal(block(x.relu()), x.relu())


def projections(net: Classifier) -> list[str]:
    return [name for name, block in blocks(net) if isinstance(block.shortcut, ConvNorm)]


def test_claim_resnet_shortcuts_a():
    for name in ("resnet18", "resnet34", "resnet50", "resnet20_cifar", "resnet110_cifar"):
        net = outline(name, shortcuts="A")
        assert projections(net) == []
        padded = [name for name, block in blocks(net) if isinstance(block.shortcut, ZeroMaps)]
        later = [f"conv{i}_1" for i in range(3, 2 + len(VARIANTS[name].blocks))]
        assert padded == (["conv2_1", *later] if name == "resnet50" else later)
    x = torch.randn(2, 3, 5, 7)
    y = ZeroMaps(2, 2)(x)
    assert y.shape == (2, 5, 3, 4)
    for i in range(3):
        for j in range(4):
            assert torch.equal(y[:, :3, i, j], x[:, :, 2 * i, 2 * j])
    assert not y[:, 3:].any()


def test_claim_resnet_shortcuts_b():
    for name in ("resnet18", "resnet34"):
        assert projections(outline(name)) == ["conv3_1", "conv4_1", "conv5_1"]
    for name in ("resnet50", "resnet101", "resnet152", "resnet50_v1_5"):
        net = outline(name)
        assert projections(net) == ["conv2_1", "conv3_1", "conv4_1", "conv5_1"]
        strides = [block.shortcut.conv.stride[0] for _, block in blocks(net) if isinstance(block.shortcut, ConvNorm)]
        assert strides == [1, 2, 2, 2]
    identities = [name for name, block in blocks(outline("resnet34")) if isinstance(block.shortcut, nn.Identity)]
    assert len(identities) == 16 - 3


def test_claim_resnet_shortcuts_c():
    for name, count in (("resnet18", 8), ("resnet34", 16), ("resnet50", 16)):
        assert len(projections(outline(name, shortcuts="C"))) == count == len(blocks(outline(name)))
    added = set(projections(outline("resnet34", shortcuts="C"))) - set(projections(outline("resnet34")))
    assert len(added) == 13


def test_claim_resnet_v1():
    def strides(name: str) -> list[list[int]]:
        firsts = [block for at, block in blocks(outline(name)) if at in ("conv3_1", "conv4_1", "conv5_1")]
        return [[layer.conv.stride[0] for layer in block.convolutions] for block in firsts]

    for name in ("resnet50", "resnet101", "resnet152"):
        assert strides(name) == [[2, 1, 1]] * 3
        assert strides(f"{name}_v1_5") == [[1, 2, 1]] * 3
    for at, block in blocks(outline("resnet50")):
        if not at.endswith("_1") or at == "conv2_1":
            assert all(layer.conv.stride == (1, 1) for layer in block.convolutions)


def test_claim_resnet_order_within_a_block():
    # Normalised, then cut at 0; the last of a branch is cut after the addition only (section 3.4 and figure 5).
    for name in ("resnet18", "resnet50", "resnet20_cifar"):
        net = outline(name)
        assert net.stages["conv1"].relu
        assert all(not layer.bias for layer in net.modules() if isinstance(layer, nn.Conv2d))
        for _, block in blocks(net):
            assert [layer.relu for layer in block.convolutions] == [True] * (len(block.convolutions) - 1) + [False]
            assert not isinstance(block.shortcut, ConvNorm) or not block.shortcut.relu


CIFAR = {
    # name: parameters, multiply-adds
    "resnet20_cifar": (269_722, 40_551_040),
    "resnet32_cifar": (464_154, 68_862_592),
    "resnet44_cifar": (658_586, 97_174_144),
    "resnet56_cifar": (853_018, 125_485_696),
    "resnet110_cifar": (1_727_962, 252_887_680),
}


@pytest.mark.parametrize("name", list(CIFAR))
def test_claim_resnet_cifar(name):
    net = outline(name, 10)
    document = summary(net)
    assert (document["parameters"], document["multiply_adds"]) == CIFAR[name]
    assert {row["name"]: row["output"] for row in document["layers"]} == {
        "conv1": [16, 32, 32], "conv2_x": [16, 32, 32], "conv3_x": [32, 16, 16], "conv4_x": [64, 8, 8],
        "average": [64], "fc": [10],
    }  # fmt: skip
    assert VARIANTS[name].layers == int(name[len("resnet") : -len("_cifar")])
    assert projections(net) == []


def test_claim_resnet_cifar_option_b():
    found = summary(outline("resnet20_cifar", 10, shortcuts="B"))["parameters"]
    assert found == CIFAR["resnet20_cifar"][0] + 2752


def test_claim_resnet_1202_layers():
    # Each step of n adds the same to the net of 6n + 2 layers; 200 steps are not built here.
    two, three, five = (
        sum(p.numel() for p in outline("resnet20_cifar", 10, blocks=(n, n, n)).parameters()) for n in (2, 3, 5)
    )
    assert (five - three) % 2 == 0
    assert (five - three) // 2 == three - two
    assert two + (200 - 2) * (three - two) == 19_421_274


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet152_v1_5"])
def test_claim_stride_32(name):
    found = rows(outline(name))
    sides = {stage: found[stage]["output"][1:] for stage in found if stage not in ("average", "fc")}
    assert sides == {
        "conv1": [112, 112], "pool1": [56, 56], "conv2_x": [56, 56], "conv3_x": [28, 28], "conv4_x": [14, 14],
        "conv5_x": [7, 7],
    }  # fmt: skip
    assert [found[stage]["step"] for stage in sides] == [2, 4, 4, 8, 16, 32]
    assert list(found)[-3:] == ["conv5_x", "average", "fc"]  # no pooling but the average


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("resnet18", ["[3×3, 64 · 3×3, 64] × 2", "[3×3, 128 · 3×3, 128] × 2", "[3×3, 256 · 3×3, 256] × 2",
                      "[3×3, 512 · 3×3, 512] × 2"]),
        ("resnet101", ["[1×1, 64 · 3×3, 64 · 1×1, 256] × 3", "[1×1, 128 · 3×3, 128 · 1×1, 512] × 4",
                       "[1×1, 256 · 3×3, 256 · 1×1, 1024] × 23", "[1×1, 512 · 3×3, 512 · 1×1, 2048] × 3"]),
    ],
)  # fmt: skip
def test_claim_resnet_table_1_as_the_summary_prints_it_and_as_it_is_built(name, structure):
    net = outline(name)
    assert [row["in_paper"]["structure"] for row in rows(net).values() if "in_paper" in row] == structure
    for stage, printed in zip(stages(net).values(), structure, strict=True):
        for block in stage.blocks:
            convs = [layer.conv for layer in block.convolutions]
            row = " · ".join(f"{conv.kernel_size[0]}×{conv.kernel_size[1]}, {conv.out_channels}" for conv in convs)
            assert printed == f"[{row}] × {len(stage.blocks)}"


@pytest.mark.parametrize("shortcuts", ["A", "B", "C", "none"])
@torch.no_grad()
def test_claim_resnet_plain_nets_have_no_shortcut_and_the_others_do(shortcuts: Shortcuts):
    # Where every branch gives nothing, the image gets through by the shortcuts alone.
    torch.manual_seed(0)
    net = build_variant(replace(VARIANTS["resnet18"], width=8, shortcuts=shortcuts), 3, 64).eval()
    nn.init.normal_(net.fc.weight)  # type: ignore[arg-type]
    for _, block in blocks(net):
        nn.init.zeros_(block.convolutions[-1].norm.weight)
    scores: Tensor = net(torch.rand(2, 3, 64, 64) * 255)
    assert bool((scores[0] - scores[1]).abs().max() > 1e-3) == (shortcuts != "none")
    assert summary(outline("plain34"))["parameters"] == summary(outline("resnet34", shortcuts="A"))["parameters"]


def test_claim_resnet_nets_have_no_dropout():
    assert not [m for m in build("resnet20_cifar", 10).modules() if "Dropout" in type(m).__name__]
