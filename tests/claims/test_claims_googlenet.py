"""GoogLeNet: every figure that the paper states or that follows from it, one test for each."""

from collections import OrderedDict

import pytest
import torch
from torch import fx, nn

from alexnet.models import Classifier, build
from alexnet.models.blocks import Conv, ConvReLU, FullyConnected, FullyConnectedReLU, MaxPool, WindowAverage
from alexnet.models.dropout import Dropout
from alexnet.models.googlenet import COLUMNS
from alexnet.models.lrn import LRN
from alexnet.models.summary import summary

# Table 1 as it is printed: output, depth, #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
TABLE = {
    "inception3a": ([256, 28, 28], 2, 64, 96, 128, 16, 32, 32),
    "inception3b": ([480, 28, 28], 2, 128, 128, 192, 32, 96, 64),
    "inception4a": ([512, 14, 14], 2, 192, 96, 208, 16, 48, 64),
    "inception4b": ([512, 14, 14], 2, 160, 112, 224, 24, 64, 64),
    "inception4c": ([512, 14, 14], 2, 128, 128, 256, 24, 64, 64),
    "inception4d": ([528, 14, 14], 2, 112, 144, 288, 32, 64, 64),
    "inception4e": ([832, 14, 14], 2, 256, 160, 320, 32, 128, 128),
    "inception5a": ([832, 7, 7], 2, 256, 160, 320, 32, 128, 128),
    "inception5b": ([1024, 7, 7], 2, 384, 192, 384, 48, 128, 128),
}


class Leaves(fx.Tracer):
    """Traces a net down to its layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Conv | FullyConnected | MaxPool | WindowAverage | LRN | Dropout)


BRANCHES = ("one", "three_reduce", "three", "five_reduce", "five", "projection")
KERNELS = (1, 1, 3, 1, 5, 1)


def outline(name: str = "googlenet") -> Classifier:
    """A net of shapes alone, without weights."""
    with torch.device("meta"):
        return build(name)


def rows(net: Classifier) -> dict[str, dict]:
    return {row["name"]: row for row in summary(net)["layers"]}


@pytest.mark.parametrize("block", list(TABLE))
def test_claim_googlenet_table(block):
    net = outline()
    output, depth, *maps = TABLE[block]
    row = rows(net)[block]
    assert row["output"] == output
    assert list(row["in_paper"].items()) == [
        (column, f"{n}") for column, n in zip(COLUMNS, (depth, *maps), strict=True)
    ]
    layers = [net.get_submodule(f"{block}.{branch}") for branch in BRANCHES]
    assert [layer.out_channels for layer in layers] == maps
    assert [layer.kernel_size for layer in layers] == [(side, side) for side in KERNELS]
    pool = net.get_submodule(f"{block}.pool")
    assert isinstance(pool, MaxPool)
    assert (pool.kernel, pool.stride, pool.padding) == (3, 1, 1)


def test_claim_googlenet_table_stem_and_end():
    net, found = outline(), rows(outline())
    expected = {
        "conv1": [64, 112, 112], "pool1": [64, 56, 56], "norm1": [64, 56, 56], "conv2_reduce": [64, 56, 56],
        "conv2": [192, 56, 56], "norm2": [192, 56, 56], "pool2": [192, 28, 28], "pool3": [480, 14, 14],
        "pool4": [832, 7, 7], "average": [1024], "drop": [1024], "linear": [1000],
    }  # fmt: skip
    assert {name: found[name]["output"] for name in expected} == expected
    assert [name for name in net.stages if name not in expected] == list(TABLE)
    assert list(net.stages)[:7] == ["conv1", "pool1", "norm1", "conv2_reduce", "conv2", "norm2", "pool2"]
    assert (net.conv1.kernel_size, net.conv1.stride, net.conv1.ends) == ((7, 7), (2, 2), (3, 3))
    assert (net.conv2_reduce.kernel_size, net.conv2.kernel_size) == ((1, 1), (3, 3))
    for name in ("pool1", "pool2", "pool3", "pool4"):
        pool = net.stages[name]
        assert isinstance(pool, MaxPool)
        assert (pool.kernel, pool.stride, pool.rounding, pool.padding) == (3, 2, "up", 0)
    assert isinstance(net.drop, Dropout)
    assert (net.drop.keep, net.drop.kind) == (0.6, "inverted")  # 40 % are dropped
    assert net.average.side == 7
    for name in ("norm1", "norm2"):
        norm = net.stages[name]
        assert isinstance(norm, LRN)
        assert (norm.n, norm.k, norm.alpha, norm.beta, norm.alpha_is) == (5, 1.0, 1e-4, 0.75, "mean")


def test_claim_googlenet_params():
    document = summary(outline())
    each = [row["parameters"] for row in document["layers"] if row["parameters"]]
    assert each == [
        9_472, 4_160, 110_784, 163_696, 388_736, 376_176, 449_160, 510_104, 605_376, 868_352, 1_043_456, 1_444_080,
        1_025_000,
    ]  # fmt: skip
    assert document["parameters"] == 6_998_552
    assert document["beside"] == {"side4a": 3_188_840, "side4d": 3_190_888}
    assert sum(p.numel() for p in outline().parameters()) == 13_378_280


def test_claim_googlenet_params_of_torchvisions():
    net = outline("googlenet_torchvision")
    assert summary(net)["parameters"] == 6_624_904
    assert sum(p.numel() for p in net.parameters()) == 13_004_888


def test_claim_googlenet_macs():
    document = summary(outline())
    assert document["multiply_adds"] == 1_582_671_872
    found = rows(outline())
    millions = {name: round(found[name]["multiply_adds"] / 1e6, 1) for name in TABLE}
    assert list(millions.values()) == [128.0, 304.3, 73.6, 87.9, 99.9, 118.5, 170.0, 51.1, 70.7]


def test_claim_googlenet_depth():
    net = outline()
    graph = Leaves().trace(nn.Sequential(OrderedDict(net.stages)))
    depth: dict[fx.Node, int] = {}  # layers with weights on the longest way to a node
    for node in graph.nodes:
        before = max((depth[one] for one in node.all_input_nodes), default=0)
        module = net.get_submodule(node.target) if node.op == "call_module" else None
        depth[node] = before + isinstance(module, Conv | FullyConnected)
    assert max(depth.values()) == 22
    pools = [stage for stage in net.stages.values() if isinstance(stage, MaxPool | WindowAverage)]
    assert max(depth.values()) + len(pools) == 27
    printed = {name: row["in_paper"]["depth"] for name, row in rows(net).items() if "in_paper" in row}
    through = dict.fromkeys(printed, 0)
    deepest = 0
    for node in graph.nodes:
        stage = str(node.target).split(".")[0]
        if stage in through:
            through[stage] += max(0, depth[node] - deepest)
        deepest = max(deepest, depth[node])
    assert {name: str(number) for name, number in through.items()} == printed


@torch.no_grad()
def test_claim_googlenet_relu():
    torch.manual_seed(0)
    net = build("googlenet", 5, 64, start="he").eval()
    lowest: dict[str, tuple[float, float]] = {}

    def look(name: str):
        def hook(_: nn.Module, __: object, y: torch.Tensor) -> None:
            lowest[name] = float(y.min()), float(y.max())

        return hook

    for name, module in net.named_modules():
        if isinstance(module, Conv):
            assert isinstance(module, ConvReLU)
            module.register_forward_hook(look(name))
    net.train().scores_and_loss(torch.rand(2, 3, 64, 64) * 255 - 128, torch.tensor([0, 1]))
    assert len(lowest) == 57 + 2
    assert all(low == 0 and high > 0 for low, high in lowest.values())


def test_claim_googlenet_aux():
    net = outline()
    assert {name: (side.reads, side.weight) for name, side in net.sides.items()} == {
        "side4a": ("inception4a", 0.3),
        "side4d": ("inception4d", 0.3),
    }
    for name, maps in (("side4a", 512), ("side4d", 528)):
        side = net.sides[name]
        x = torch.empty(1, maps, 14, 14, device="meta")
        assert isinstance(side.average, nn.AvgPool2d)
        assert (side.average.kernel_size, side.average.stride, side.average.padding) == (5, 3, 0)
        assert side.average(x).shape == (1, maps, 4, 4)
        assert isinstance(side.reduce, ConvReLU)
        assert (side.reduce.kernel_size, side.reduce.out_channels) == ((1, 1), 128)
        assert isinstance(side.fc, FullyConnectedReLU)
        assert (side.fc.in_features, side.fc.out_features) == (128 * 16, 1024)
        assert isinstance(side.drop, Dropout)
        assert (side.drop.keep, side.drop.kind) == (pytest.approx(0.3), "inverted")  # 70 % are dropped
        assert type(side.linear) is FullyConnected
        assert side(x).shape == (1, 1000)


def test_claim_googlenet_aux_gone_at_test():
    torch.manual_seed(0)
    net = build("googlenet", 5, 64, start="he").eval()
    images, labels = torch.rand(2, 3, 64, 64) * 255 - 128, torch.tensor([3, 1])
    before = net(images).detach()
    in_training = net.train().loss(images, labels)
    assert set(in_training) == {"cross_entropy", "side4a", "side4d"}
    torch.stack(list(in_training.values())).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for side in net.sides.values() for p in side.parameters())
    for side in net.sides.values():
        side.register_forward_hook(lambda *_: pytest.fail("a side classifier was asked at test"))
    assert set(net.eval().loss(images, labels)) == {"cross_entropy"}
    assert torch.equal(net(images), before)
