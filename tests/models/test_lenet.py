"""LeNet-5 against a second version in NumPy, its losses by hand, its drawings, starts and edges."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alexnet.errors import InputError
from alexnet.models import Classifier, build, from_convolutions
from alexnet.models.bitmaps import CHARACTERS, HEIGHT, WIDTH, bitmaps, drawing
from alexnet.models.lenet import RUBBISH, TABLE, LeNet5, SubSampling, TableConv

NAMES = ("lenet5", "lenet5_mse", "lenet5_softmax")


def net_of(name: str = "lenet5", classes: int = 10, start: str = "he") -> Classifier:
    """With practical weights and biases and coefficients of all sizes; float64, at test."""
    torch.manual_seed(5)
    net = build(name, classes, start=start)  # type: ignore[arg-type]
    for key, p in net.named_parameters():
        if key.endswith("bias"):
            nn.init.normal_(p, 0, 0.1)
        if key.endswith("coefficient"):
            nn.init.normal_(p, 0.5, 0.2)
    net.set_preprocessing([30.0, 20.0, 40.0], 70.0)
    return net.double().eval()


def images(n: int = 2, side: int = 32) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 255


# The whole net, again


def squash(a: np.ndarray) -> np.ndarray:
    return 1.7159 * np.tanh(2 * a / 3)


def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """[n c h w] with kernels [out c 5 5], position by position."""
    side = x.shape[2] - 4
    y = np.empty((len(x), len(weight), side, side))
    for i in range(side):
        for j in range(side):
            y[:, :, i, j] = np.einsum("ncuv,ocuv->no", x[:, :, i : i + 5, j : j + 5], weight) + bias
    return y


def by_table(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """c3, map by map and link by link."""
    maps, link = [], 0
    for to, seen in enumerate(TABLE):
        total = 0
        for below in seen:
            total = total + convolved(x[:, below : below + 1], weight[link][None, None], np.zeros(1))
            link += 1
        maps.append(total + bias[to])
    return np.concatenate(maps, 1)


def sums(x: np.ndarray) -> np.ndarray:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).sum((3, 5))


def second_version(net: Classifier, x: Tensor) -> np.ndarray:
    """Scores [n classes], from the weights alone."""
    of = {key: value.detach().numpy() for key, value in net.state_dict().items()}
    grey = ((x.numpy() - of["mean"]) / of["scale"]).mean(1, keepdims=True)
    softmax = net.name == "lenet5_softmax"
    y = squash(convolved(grey, of["c1.weight"], of["c1.bias"]))
    for pool, conv in (("s2", "c3"), ("s4", "c5")):
        if softmax:
            y = sums(y) / 4
        else:
            y = squash(sums(y) * of[f"{pool}.coefficient"][:, None, None] + of[f"{pool}.bias"][:, None, None])
        table = conv == "c3" and not softmax
        y = squash((by_table if table else convolved)(y, of[f"{conv}.weight"], of[f"{conv}.bias"]))
    y = squash(y.reshape(len(y), 120) @ of["f6.weight"].T + of["f6.bias"])
    if softmax:
        return y @ of["output.weight"].T + of["output.bias"]
    return -((y[:, None] - of["output.bitmaps"]) ** 2).sum(2)


@torch.no_grad()
def difference(ours: Classifier, other: Classifier) -> float:
    """Largest, relative to the largest score; the two images must differ by more than 1 %."""
    expected = second_version(other, images())
    largest = np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * largest
    return float(np.abs(ours(images()).numpy() - expected).max() / largest)


@pytest.mark.parametrize("name", NAMES)
def test_the_net_equals_a_slow_version_in_numpy(name):
    assert difference(net_of(name), net_of(name)) < 1e-10


@pytest.mark.parametrize(
    "weights",
    ["c1.weight", "s2.coefficient", "s2.bias", "c3.weight", "s4.coefficient", "s4.bias", "c5.weight", "f6.weight",
     "output.bitmaps"],
)  # fmt: skip
@torch.no_grad()
def test_one_part_of_the_weights_set_to_zero_shows(weights):
    broken = net_of()
    broken.state_dict()[weights][-1] = 0  # the last map, kernel, coefficient or drawing
    assert difference(broken, net_of()) > 1e-6


# Losses


@pytest.mark.parametrize("name", ["lenet5", "lenet5_mse"])
def test_the_gradient_of_the_loss_is_its_slope(name):
    net, x, labels = net_of(name), images(4), torch.tensor([3, 1, 4, 1])
    net.zero_grad()
    torch.stack(list(net.loss(x, labels).values())).sum().backward()
    generator = torch.Generator().manual_seed(0)
    for key, p in net.named_parameters():
        assert p.grad is not None
        step = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        slope = []
        for sign in (1, -1):
            moved = net_of(name)
            with torch.no_grad():
                moved.get_parameter(key).add_(step, alpha=sign * 1e-4)
                slope.append(energy(moved, x, labels))
        expected = float((p.grad * step).sum())
        assert (slope[0] - slope[1]) / 2e-4 == pytest.approx(expected, rel=1e-3), key


def energy(net: Classifier, x: Tensor, labels: Tensor) -> float:
    """The loss by its formula, in float64: (9), or (8) without the logarithm."""
    total = 0.0
    for penalties, label in zip((-net(x)).tolist(), labels.tolist(), strict=True):
        total += penalties[label]
        if net.name == "lenet5":
            total += math.log(math.exp(-RUBBISH) + sum(math.exp(-y) for y in penalties))
    return total / len(labels)


def losses(scores: list[list[float]], labels: list[int], **options) -> dict[str, Tensor]:
    """Of a net that answers with these scores."""

    class Fixed(LeNet5):
        def forward(self, images: Tensor) -> Tensor:
            return torch.tensor(scores, requires_grad=True)

    net = Fixed("fixed", {"output": nn.Identity()}, 32, 32, len(scores[0]), classifier_stage="output")
    return net.loss(torch.zeros(len(scores), 3, 32, 32), torch.tensor(labels), **options)


@torch.no_grad()
def test_loss_9_is_positive_and_lets_far_classes_be():
    # One class at a penalty of j - 5, the others far above j: only "none of these" competes.
    for other in (60.0, 600.0):
        total = sum(losses([[5 - RUBBISH, -RUBBISH - other]], [0]).values())
        assert float(total) == pytest.approx(math.log1p(math.exp(-5)), rel=1e-3)
    wrong = losses([[0.0, -50.0]], [1])
    assert float(wrong["penalty"]) == 50
    assert float(wrong["competition"]) == pytest.approx(0, abs=1e-6)
    # Both penalties far above j: nothing but the right one's size is left.
    assert float(losses([[-900.0, -800.0]], [0])["competition"]) == pytest.approx(-RUBBISH)


@torch.no_grad()
def test_class_weights_count_each_image_by_its_class():
    scores, labels = [[-1.0, -4.0], [-3.0, -2.0], [-5.0, -7.0]], [0, 0, 1]
    each = [losses([row], [label]) for row, label in zip(scores, labels, strict=True)]
    weighted = losses(scores, labels, class_weights=torch.tensor([0.5, 2.0]))
    for term in ("penalty", "competition"):
        by_hand = (0.5 * each[0][term] + 0.5 * each[1][term] + 2 * each[2][term]) / 3
        assert float(weighted[term]) == pytest.approx(float(by_hand), rel=1e-6)


# Drawings


def test_the_drawings_are_seven_by_twelve_and_far_from_each_other():
    for character in CHARACTERS:
        assert [len(row) for row in drawing(character)] == [WIDTH] * HEIGHT
        assert set("".join(drawing(character))) == {"#", "."}
    apart = torch.cdist(bitmaps(36), bitmaps(36), p=0) + 84 * torch.eye(36)
    assert int(apart.min()) >= 8
    assert int(apart[:10, :10].min()) >= 20
    assert drawing("T")[:2] == ["#######"] * 2
    assert drawing("L")[0] == "##....."


def test_more_classes_than_drawings_are_an_error_that_names_the_way_out():
    assert build("lenet5", 36).classes == 36
    with pytest.raises(InputError, match="lenet5 has drawings for 36 classes and 37 came: take lenet5_softmax"):
        build("lenet5", 37)
    assert build("lenet5_softmax", 37).classes == 37


# Images


@torch.no_grad()
@pytest.mark.parametrize("name", ["lenet5", "lenet5_softmax"])
def test_on_larger_images_it_answers_at_every_place_as_on_that_place_alone(name):
    net, x = net_of(name), images(2, 40)
    maps = net.score_map(x)
    assert maps.shape == (2, 10, 3, 3)
    for i, j in [(0, 0), (2, 1), (1, 2)]:
        alone = net(x[:, :, 4 * i : 4 * i + 32, 4 * j : 4 * j + 32])
        torch.testing.assert_close(maps[:, :, i, j], alone, rtol=1e-10, atol=0)
    torch.testing.assert_close(net(x), maps.mean((2, 3)))


def test_smaller_images_and_sizes_are_errors():
    with pytest.raises(InputError, match="the smallest size is 32"):
        build("lenet5", 10, 31)
    with pytest.raises(InputError, match="images of 28 x 28 pixels"):
        build("lenet5")(torch.zeros(1, 3, 28, 28))


@torch.no_grad()
def test_colours_are_read_as_the_mean_of_the_channels():
    net, x = net_of(), images()
    net.set_preprocessing([20.0] * 3, 200.0)
    grey = x.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(net(x), net(grey))
    torch.testing.assert_close(net(x), net(x.flip(1)))


# Weights


@torch.no_grad()
def test_the_papers_start_is_uniform_within_its_bounds():
    torch.manual_seed(0)
    net = build("lenet5")
    bounds = {"c1": 2.4 / 25, "c5": 2.4 / 400, "f6": 2.4 / 120, "s2": 0.6, "s4": 0.6}
    for name, bound in bounds.items():
        stage = net.stages[name]
        for values in stage.parameters():
            assert float(values.abs().max()) <= bound
            if values.numel() > 10:
                assert float(values.abs().max()) > 0.8 * bound
                assert float(values.min()) < 0 < float(values.max())
    c3 = net.stages["c3"]
    assert isinstance(c3, TableConv)
    links = iter(c3.weight)
    for to, seen in enumerate(TABLE):
        bound = 2.4 / (25 * len(seen))
        largest = max(float(next(links).abs().max()) for _ in seen)
        assert 0.9 * bound < largest <= bound
        assert abs(float(c3.bias[to])) <= bound


@torch.no_grad()
def test_the_practical_start_has_a_variance_of_one_over_the_fan_in():
    torch.manual_seed(0)
    net = build("lenet5", start="he")
    for name, fan in {"c1": 25, "c5": 400, "f6": 120}.items():
        assert float(net.get_parameter(f"{name}.weight").std()) == pytest.approx(fan**-0.5, rel=0.1)
    c3 = net.stages["c3"]
    assert isinstance(c3, TableConv)
    assert float(c3.weight[:18].std()) == pytest.approx(75**-0.5, rel=0.1)
    assert float(c3.weight[-6:].std()) == pytest.approx(150**-0.5, rel=0.15)
    for stage in net.stages.values():
        assert not [key for key, p in stage.named_parameters() if key == "bias" and p.any()]
        if isinstance(stage, SubSampling):
            assert (stage.coefficient == 0.5).all()


@pytest.mark.parametrize("name", NAMES)
def test_weights_fit_a_net_that_was_built_without_any(name):
    net = net_of(name).float()
    with torch.device("meta"):
        empty = build(name)
    empty.load_state_dict(net.state_dict(), assign=True)
    x = images().float()
    assert torch.equal(empty.eval()(x), net(x))
    assert not [key for key in net.state_dict() if key not in from_convolutions(net, net.state_dict())]


def test_what_drew_the_old_classes_starts_anew():
    assert build("lenet5").fresh == {"f6", "output"}
    assert build("lenet5_softmax").fresh == {"output"}
