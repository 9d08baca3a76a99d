"""LeNet-5's net: every figure that the paper states or that follows from it, one test for each."""

import math

import pytest
import torch
from torch import Tensor, nn

from alexnet.models import Classifier, build
from alexnet.models.lenet import Nearness, SubSampling, squash
from alexnet.models.summary import summary

STAGES = ["c1", "s2", "c3", "s4", "c5", "f6", "output"]
TABLE = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"


def lenet(name: str = "lenet5") -> Classifier:
    """The net with practical weights and biases that are not 0; float64, at test."""
    torch.manual_seed(3)
    net = build(name, start="he")
    for key, p in net.named_parameters():
        if key.endswith("bias"):
            nn.init.normal_(p, 0, 0.1)
    return net.double().eval()


def rows(net: Classifier) -> dict[str, dict]:
    return {row["name"]: row for row in summary(net)["layers"]}


def images(n: int = 2) -> Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 255


def test_claim_lenet_shapes():
    net = build("lenet5")
    assert list(net.stages) == STAGES
    found = rows(net)
    outputs = [[6, 28, 28], [6, 14, 14], [16, 10, 10], [16, 5, 5], [120, 1, 1], [84], [10]]
    assert [found[name]["output"] for name in STAGES] == outputs
    assert [(found[name]["receptive_field"], found[name]["step"]) for name in STAGES[:5]] == [
        (5, 1), (6, 2), (14, 2), (16, 4), (32, 4),
    ]  # fmt: skip
    for name in ("lenet5", "lenet5_mse", "lenet5_softmax"):
        background, ink = (build(name).preprocess(torch.full((1, 3, 32, 32), level)) for level in (0.0, 255.0))
        assert background.shape == (1, 1, 32, 32)
        assert float(background.mean()) == pytest.approx(-0.1, abs=1e-6)
        assert float(ink.mean()) == pytest.approx(1.175, abs=1e-6)


def test_claim_lenet_params():
    document = summary(build("lenet5"))
    counts = [row["parameters"] for row in document["layers"]]
    assert counts == [156, 12, 1516, 32, 48_120, 10_164, 0]
    assert document["parameters"] == 60_000
    assert dict(build("lenet5").named_buffers())["output.bitmaps"].shape == (10, 84)
    softmax = summary(build("lenet5_softmax"))
    assert [row["parameters"] for row in softmax["layers"]] == [156, 0, 2416, 0, 48_120, 10_164, 850]
    assert softmax["parameters"] == 61_706


def moved_outputs(stage: nn.Module, x: Tensor, inputs: Tensor) -> int:
    """How many outputs move when each of the inputs does, one at a time, all together."""
    steps = torch.zeros(len(inputs), x.numel(), dtype=x.dtype)
    steps[torch.arange(len(inputs)), inputs] = 0.1
    return int(((stage(x + steps.view(-1, *x.shape[1:])) - stage(x)).abs() > 1e-9).sum())


@torch.no_grad()
def test_claim_lenet_connections():
    """Each connection is counted where it acts: an input that moves an output, and a bias for each unit."""
    net = lenet()
    x = net.preprocess(images(1))
    counted = {}
    for name, stage in net.stages.items():
        y = stage(x)
        links = sum(moved_outputs(stage, x, part) for part in torch.arange(x.numel()).split(512))
        counted[name] = links + (y.numel() if list(stage.parameters()) else 0)
        x = y
    expected = [122_304, 5_880, 151_600, 2_000, 48_120, 10_164, 840]
    assert list(counted.values()) == expected
    assert sum(expected) == 340_908
    assert [row["in_paper"]["connections"] for row in rows(net).values()] == [f"{n:,}" for n in expected]


def test_claim_lenet_multiply_adds():
    found = rows(build("lenet5"))
    assert [found[name]["multiply_adds"] for name in STAGES] == [117_600, 0, 150_000, 0, 48_000, 10_080, 0]
    assert summary(build("lenet5"))["multiply_adds"] == 325_680


def test_claim_lenet_c3():
    c3 = lenet().stages["c3"]
    x = torch.randn(1, 6, 14, 14, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sees = ["" for _ in range(16)]
    for below in range(6):
        moved = x.clone()
        moved[0, below] += 0.5
        for to in ((c3(moved) - c3(x))[0].abs().amax((1, 2)) > 1e-6).nonzero().flatten().tolist():
            sees[to] += str(below)
    assert " ".join(sees) == TABLE
    assert sum(map(len, sees)) == 60
    assert ["".join(sees).count(str(below)) for below in range(6)] == [10] * 6


@torch.no_grad()
def test_claim_lenet_s():
    net = lenet()
    generator = torch.Generator().manual_seed(0)
    for name in ("s2", "s4"):
        stage = net.stages[name]
        assert isinstance(stage, SubSampling)
        nn.init.normal_(stage.coefficient, 0.3, 0.2)
        maps = len(stage.coefficient)
        x = torch.randn(2, maps, 6, 4, dtype=torch.float64, generator=generator)
        y = stage(x)
        assert y.shape == (2, maps, 3, 2)
        for n, c, i, j in [(0, 0, 0, 0), (1, maps - 1, 2, 1), (0, 3, 1, 1)]:
            total = sum(float(x[n, c, 2 * i + di, 2 * j + dj]) for di in (0, 1) for dj in (0, 1))
            a = total * float(stage.coefficient[c]) + float(stage.bias[c])
            assert float(y[n, c, i, j]) == pytest.approx(1.7159 * math.tanh(2 * a / 3), abs=1e-12)


def test_claim_lenet_squash():
    net = lenet()
    maps = {"c1": (1, 9, 9), "s2": (6, 4, 4), "c3": (6, 9, 9), "s4": (16, 4, 4), "c5": (16, 5, 5), "f6": (120, 1, 1)}
    for name, shape in maps.items():
        stage = net.stages[name]
        for p in stage.parameters():
            nn.init.zeros_(p)
        assert isinstance(stage.bias, nn.Parameter)
        x = torch.zeros(1, *shape, dtype=torch.float64)
        for a in (-50.0, -1.0, 0.0, 0.3, 1.0, 50.0):  # with weights of 0 each unit squashes its bias
            nn.init.constant_(stage.bias, a)
            expected = torch.tensor(1.7159 * math.tanh(2 * a / 3), dtype=torch.float64)
            torch.testing.assert_close(stage(x), expected.expand_as(stage(x)), rtol=0, atol=1e-12)
    at_zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(squash(at_zero), at_zero)
    assert float(slope) == pytest.approx(1.14393, abs=1e-5)
    assert float(squash(torch.ones(()))) == pytest.approx(1, abs=1e-5)


def test_claim_lenet_rbf():
    output = lenet().stages["output"]
    assert isinstance(output, Nearness)
    drawn = output.bitmaps
    assert drawn.shape == (10, 7 * 12)
    assert set(drawn.flatten().tolist()) == {1.0, -1.0}
    assert len({tuple(row) for row in drawn.tolist()}) == 10
    assert not list(output.parameters())
    x = torch.randn(3, 84, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    scores = output(x)
    for n in range(3):
        for i in range(10):
            y = sum((float(x[n, j]) - float(drawn[i, j])) ** 2 for j in range(84))
            assert -float(scores[n, i]) == pytest.approx(y, rel=1e-12)
    assert output(drawn).argmax(1).tolist() == list(range(10))
    assert float(output(drawn).diagonal().abs().max()) == 0


@torch.no_grad()
def test_claim_lenet_loss():
    labels = torch.tensor([4, 0, 9, 4])
    x = images(4)
    penalties = (-lenet()(x)).tolist()
    right = [penalties[n][int(label)] for n, label in enumerate(labels)]
    j = 20.0
    competition = [math.log(math.exp(-j) + sum(math.exp(-y) for y in row)) for row in penalties]
    ours = lenet().loss(x, labels)
    assert list(ours) == ["penalty", "competition"]
    assert float(ours["penalty"]) == pytest.approx(sum(right) / 4, rel=1e-6)
    assert float(ours["competition"]) == pytest.approx(sum(competition) / 4, rel=1e-6)
    squared = lenet("lenet5_mse").loss(x, labels)
    assert list(squared) == ["penalty"]
    assert float(squared["penalty"]) == pytest.approx(sum(right) / 4, rel=1e-6)
    assert list(lenet("lenet5_softmax").loss(x, labels)) == ["cross_entropy"]
