"""Stages of several layers, side classifiers and windows that slide: the parts that the later nets share."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.models import Classifier, SideClassifier
from alexnet.models.blocks import Conv, ConvNorm, ConvReLU, FullyConnected, MaxPool, WindowAverage
from alexnet.models.initial import he, made_empty
from alexnet.models.summary import layer_table, summary, summary_for_terminal


class Side(SideClassifier):
    """Scores of the average of each map."""

    def __init__(self, maps: int, classes: int):
        super().__init__("conv1", 0.3)
        self.fc = FullyConnected((maps, 1, 1), classes)

    @property
    def last(self) -> FullyConnected:
        return self.fc

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean((2, 3)))


class TwoLayers(nn.Module):
    """Two convolutions as one stage."""

    kind = "two layers"

    def __init__(self):
        super().__init__()
        self.in_paper = {"#3x3": "6"}
        self.a = ConvReLU(4, 6, 3, 2, (1, 1))
        self.b = ConvNorm(6, 6, 3, 1, (1, 1))

    def windows(self) -> list[tuple[int, int]]:
        return [(3, 2), (3, 1)]

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x))


def net_with_a_side(classes: int = 3) -> Classifier:
    """3 x 12 x 12 -> conv1 4 x 12 x 12 -> two 6 x 6 x 6 -> average -> fc."""

    def make() -> Classifier:
        stages = {
            "conv1": Conv(3, 4, 3, 1, (1, 1)),
            "two": TwoLayers(),
            "average": WindowAverage(6),
            "fc": FullyConnected((6, 1, 1), classes),
        }
        sides = {"side1": Side(4, classes)}
        return Classifier("sided", stages, 12, 4, classes, classifier_stage="fc", sides=sides)

    torch.manual_seed(0)
    net = made_empty(make)
    he(net)
    net.set_preprocessing([100.0, 120.0, 90.0], 60.0)
    return net


def images(n: int = 4, side: int = 12) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1)) * 255


def test_in_training_a_side_adds_its_weighted_cross_entropy():
    net, x, labels = net_with_a_side(), images(), torch.tensor([0, 1, 2, 1])
    weights = torch.tensor([0.5, 2.0, 1.0])
    for given in (None, weights):
        scores, terms = net.train().scores_and_loss(x, labels, given)
        beside = net.side1(net.features(x, "conv1"))
        each = functional.cross_entropy(beside, labels, reduction="none")
        expected = 0.3 * (each if given is None else each * given[labels]).mean()
        assert list(terms) == ["cross_entropy", "side1"]
        torch.testing.assert_close(terms["side1"], expected)
        torch.testing.assert_close(scores, net(x))


def test_at_test_a_side_is_not_asked():
    net, x, labels = net_with_a_side().eval(), images(), torch.tensor([0, 1, 2, 1])
    before = net(x)
    with torch.no_grad():
        net.side1.fc.weight.fill_(torch.nan)
    assert list(net.loss(x, labels)) == ["cross_entropy"]
    assert torch.equal(net(x), before)


def test_a_side_learns_and_is_made_anew_with_the_classifier():
    net = net_with_a_side()
    terms = net.train().loss(images(), torch.tensor([0, 1, 2, 1]))
    terms["side1"].backward()
    assert net.side1.fc.weight.grad is not None
    assert net.two.a.weight.grad is None, "what comes after the stage that a side reads hears nothing of it"
    assert net.conv1.weight.grad is not None
    assert net.fresh == {"fc", "side1"}
    assert list(net.parts) == ["conv1", "two", "average", "fc", "side1"]


def test_the_start_of_he_gives_small_first_scores_and_even_variance():
    net = net_with_a_side(classes=400)
    assert float(net.fc.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    assert float(net.side1.fc.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    assert float(net.two.b.conv.weight.detach().std()) == pytest.approx((2 / (6 * 9)) ** 0.5, rel=0.15)
    assert all(float(p.detach().abs().max()) == 0 for name, p in net.named_parameters() if name.endswith("bias"))
    assert torch.equal(net.two.b.norm.running_var, torch.ones(6))
    assert net.two.b.conv.bias is None


def test_a_stage_of_several_layers_counts_all_of_them_and_says_its_papers_columns():
    net = net_with_a_side()
    rows = {row["name"]: row for row in layer_table(net)}
    assert rows["two"]["kind"] == "two layers"
    assert rows["two"]["multiply_adds"] == 36 * 6 * (9 * 4) + 36 * 6 * (9 * 6)
    assert rows["two"]["parameters"] == (6 * 4 * 9 + 6) + 6 * 6 * 9 + 12
    assert (rows["two"]["receptive_field"], rows["two"]["step"]) == (3 + 2 + 2 * 2, 2)
    assert rows["two"]["in_paper"] == {"#3x3": "6"}
    assert rows["average"]["output"] == [6]
    assert rows["average"]["receptive_field"] == 9 + 5 * 2
    document = summary(net)
    assert document["beside"] == {"side1": 4 * 3 + 3}
    assert document["parameters"] == sum(p.numel() for p in net.parameters()) - 15
    ours, papers = summary_for_terminal(document).renderables
    assert [str(column.header) for column in papers.columns] == ["stage", "output", "#3x3"]
    assert ours.caption == "beside it in training: side1 15 parameters"
    assert net.training, "looking at a net leaves it as it was"
    assert torch.equal(net.two.b.norm.running_mean, torch.zeros(6))


def test_on_a_larger_image_the_average_slides():
    net, x = net_with_a_side().eval(), images(2, 16)
    at_once = net.score_map(x)
    assert at_once.shape == (2, 3, 3, 3)
    maps = net.features(x, "two")
    one = net.fc(maps[:, :, 1:7, 2:8].mean((2, 3)))
    torch.testing.assert_close(at_once[:, :, 1, 2], one)
    torch.testing.assert_close(net(x), at_once.mean((2, 3)))


def test_padding_of_a_pooling_never_wins():
    pool = MaxPool(3, 2, padding=1)
    x = -torch.rand(1, 1, 7, 7) - 1
    assert pool(x).max() < -1
    assert pool.output_side(7) == pool(x).shape[-1] == 4
