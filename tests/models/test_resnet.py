"""ResNet: against torchvision, against the nets written out, and each part of a block by itself."""

from collections.abc import Iterator
from dataclasses import replace
from math import log

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, max_pool2d

from alexnet.errors import InputError
from alexnet.models import Classifier, build
from alexnet.models.blocks import ConvNorm
from alexnet.models.residual import Bottleneck, Residual
from alexnet.models.resnet import VARIANTS, build_variant, torchvision_names
from alexnet.models.summary import layer_table
from comparing import MEAN, SCALE, difference, preprocessed


@torch.no_grad()
def random_net(name: str, size: int, classes: int = 7, **fields) -> Classifier:
    """He weights, batch normalisation with random statistics, scales and shifts; float64, at test."""
    torch.manual_seed(3)
    net = build_variant(replace(VARIANTS[name], **fields), classes, size).double()
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.normal_(0, 0.2)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.2)
    nn.init.normal_(net.fc.weight, 0, 0.1)  # type: ignore[arg-type, union-attr]
    nn.init.normal_(net.fc.bias, 0, 0.1)  # type: ignore[arg-type, union-attr]
    net.set_preprocessing(MEAN, SCALE)
    return net.eval()


def images(side: int) -> Tensor:
    """Two unlike images, the second one darker."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(2, 3, side, side, generator=generator, dtype=torch.float64)
    return noise * torch.tensor([255.0, 100.0], dtype=torch.float64).view(2, 1, 1, 1)


def same(ours: Tensor, other: Tensor) -> bool:
    """Equal relative to the largest output, in float64."""
    return bool((ours - other).abs().max() <= 1e-10 * other.abs().max())


def theirs(net: Classifier) -> nn.Module:
    """Torchvision's net with our weights; a name or shape too many or too few is an error."""
    with torch.device("meta"):
        other = getattr(torchvision.models, net.name.removesuffix("_v1_5"))(num_classes=net.classes)
    state = net.state_dict()
    other.load_state_dict({key: state[ours] for ours, key in torchvision_names(net).items()}, assign=True)
    return other.eval()


def branches(net: Classifier) -> Iterator[tuple[str, nn.BatchNorm2d]]:
    """The normalisation that ends each branch and each projection: without its scale and shift, nothing comes."""
    for name, stage in net.stages.items():
        for i, block in enumerate(stage.blocks if isinstance(stage, Residual) else [], start=1):
            yield f"{name}.{i}", block.convolutions[-1].norm
            if isinstance(block.shortcut, ConvNorm):
                yield f"{name}.{i}.shortcut", block.shortcut.norm


@torch.no_grad()
def zeroed(norm: nn.BatchNorm2d, net: Classifier, x: Tensor) -> Tensor:
    """Scores where one branch gives nothing."""
    saved = norm.weight.clone(), norm.bias.clone()
    norm.weight.zero_()
    norm.bias.zero_()
    scores = net(x)
    norm.weight.copy_(saved[0])
    norm.bias.copy_(saved[1])
    return scores


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("resnet18", 64),
        ("resnet34", 64),
        ("resnet50_v1_5", 64),
        pytest.param("resnet101_v1_5", 32, marks=pytest.mark.slow),  # one deep net is enough in the fast suite
        ("resnet152_v1_5", 32),
    ],
)
@torch.no_grad()
def test_outputs_are_torchvisions_on_its_weights_and_every_branch_counts(name, side):
    net = random_net(name, side)
    other = theirs(net)
    x = images(side)
    expected = other(preprocessed(x))
    assert difference(net(x), expected) <= 1e-10
    ends = list(branches(net))
    assert len(ends) == sum(VARIANTS[name].blocks) + (3 if name in ("resnet18", "resnet34") else 4)
    # All of the smallest net, the first two, the middle one and the last of the others.
    chosen = ends if name == "resnet18" else [*ends[:2], ends[len(ends) // 2], ends[-1]]
    for where, norm in chosen:
        assert not same(zeroed(norm, net, x), expected), f"{where} can be left out and nobody notices"


@torch.no_grad()
def test_torchvisions_larger_images_meet_the_same_average():
    net = random_net("resnet18", 96)
    assert difference(net(images(96)), theirs(net)(preprocessed(images(96)))) <= 1e-10


@torch.no_grad()
def test_the_papers_stride_and_that_of_v1_5_give_other_scores_with_the_same_weights():
    later = random_net("resnet50_v1_5", 64, width=8)
    paper = random_net("resnet50", 64, width=8)
    paper.load_state_dict(later.state_dict())
    a, b = paper(images(64)), later(images(64))
    assert (a - b).abs().max() > 0.01 * a.abs().max()


# Written out


def norm(x: Tensor, layer: nn.BatchNorm2d) -> Tensor:
    mean, variance = layer.running_mean, layer.running_var
    assert mean is not None
    assert variance is not None
    shape = (1, -1, 1, 1)
    x = (x - mean.view(shape)) / (variance.view(shape) + 1e-5).sqrt()
    return x * layer.weight.view(shape) + layer.bias.view(shape)


def written_out(net: Classifier, x: Tensor, shortcuts: str, up: bool = False) -> Tensor:
    """The paper's nets by functions alone, from the names in the state; v1, any shortcuts."""
    state = {key: layer for key, layer in net.named_modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)}

    def conv(a: Tensor, key: str, stride: int = 1) -> Tensor:
        weight = state[f"{key}.conv"].weight
        assert isinstance(weight, Tensor)
        kernel = weight.shape[2]
        return norm(conv2d(a, weight, None, stride, kernel // 2), state[f"{key}.norm"])  # type: ignore[arg-type]

    x = preprocessed(x)
    photographs = "pool1" in net.stages
    x = conv(x, "conv1", 2 if photographs else 1).relu()
    if photographs:
        x = max_pool2d(x, 3, 2, ceil_mode=True) if up else max_pool2d(x, 3, 2, 1)
    for stage in [name for name in net.stages if name.endswith("_x")]:
        count = max(int(key.split(".")[1]) for key in state if key.startswith(f"{stage}."))
        for i in range(1, count + 1):
            key = f"{stage}.{i}"
            stride = 2 if i == 1 and stage != "conv2_x" else 1
            depth = 3 if f"{key}.conv3.conv" in state else 2
            y = conv(x, f"{key}.conv1", stride).relu()
            for j in range(2, depth):
                y = conv(y, f"{key}.conv{j}").relu()
            y = conv(y, f"{key}.conv{depth}")
            if f"{key}.shortcut.conv" in state:
                assert shortcuts in "BC"
                y = y + conv(x, f"{key}.shortcut", stride)
            elif shortcuts != "none":
                y = y.clone()
                y[:, : x.shape[1]] += x[:, :, ::stride, ::stride]
            x = y.relu()
    return x.mean((2, 3)) @ net.fc.weight.T + net.fc.bias  # type: ignore[union-attr, operator]


@pytest.mark.parametrize(
    ("name", "side", "fields"),
    [
        ("resnet20_cifar", 32, {}),
        ("resnet20_cifar", 28, {}),
        ("resnet32_cifar", 9, {}),
        ("resnet50", 64, {"width": 8}),
        ("resnet50", 75, {"width": 8, "stem_pool": "up"}),
        ("resnet50", 64, {"width": 8, "shortcuts": "A"}),
        ("resnet34", 64, {"width": 8, "shortcuts": "C"}),
        ("plain18", 64, {"width": 8}),
    ],
)
@torch.no_grad()
def test_the_net_written_out(name, side, fields):
    net = random_net(name, side, **fields)
    x = images(side)
    shortcuts = fields.get("shortcuts", VARIANTS[name].shortcuts)
    expected = written_out(net, x, shortcuts, fields.get("stem_pool") == "up")
    assert difference(net(x), expected) <= 1e-10
    for where, end in branches(net):
        assert not same(zeroed(end, net, x), expected), f"{where} can be left out and nobody notices"


@torch.no_grad()
def test_the_two_poolings_of_the_stem_give_maps_of_one_size_and_other_scores():
    padded, up = random_net("resnet18", 64, width=8), random_net("resnet18", 64, width=8, stem_pool="up")
    up.load_state_dict(padded.state_dict())
    x = images(64)
    assert padded.features(x, "pool1").shape == up.features(x, "pool1").shape == (2, 8, 16, 16)
    a, b = padded(x), up(x)
    assert (a - b).abs().max() > 0.01 * a.abs().max()


# Sizes


@pytest.mark.parametrize("name", list(VARIANTS))
@torch.no_grad()
def test_the_smallest_size_can_be_run_and_the_next_smaller_cannot_be_built(name):
    variant = replace(VARIANTS[name], width=4)
    net = build_variant(variant, 3, variant.smallest).eval()
    assert net(torch.rand(2, 3, variant.smallest, variant.smallest)).shape == (2, 3)
    last = [stage for stage in net.stages if stage.endswith("_x")][-1]
    side = net.features(torch.rand(1, 3, variant.smallest, variant.smallest), last).shape[2]
    assert side == (2 if variant.stem == "small" else 1)
    with pytest.raises(InputError, match=rf"^{name} cannot be built for .* the smallest size is {variant.smallest}$"):
        build_variant(variant, 3, variant.smallest - 1)


@pytest.mark.parametrize("size", [8, 9, 27, 28, 30, 32, 33, 47])
@torch.no_grad()
def test_the_cifar_nets_take_every_size_and_average_over_the_whole_map(size):
    net = random_net("resnet20_cifar", size)
    x = images(size)
    maps = net.features(x, "conv4_x")
    assert maps.shape == (2, 64, -(-size // 4), -(-size // 4))
    assert difference(net.features(x, "average"), maps.mean((2, 3))) <= 1e-10
    assert net.score_map(x).shape == (2, 7, 1, 1)


@torch.no_grad()
def test_of_larger_images_every_window_of_the_last_maps_is_scored():
    net = random_net("resnet18", 64, width=8)
    x = images(128)
    scores = net.score_map(x)
    maps = net.features(x, "conv5_x")
    assert (maps.shape[2], scores.shape[2]) == (4, 3)
    for i in range(3):
        for j in range(3):
            window = maps[:, :, i : i + 2, j : j + 2].mean((2, 3))
            assert difference(scores[:, :, i, j], net.fc(window)) <= 1e-10  # type: ignore[operator]
    assert difference(net(x), scores.mean((2, 3))) <= 1e-10


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet50_v1_5", "resnet20_cifar"])
def test_a_unit_depends_on_its_receptive_field_and_on_nothing_else(name):
    side = 129
    net = random_net(name, side, width=8)
    rows = {row["name"]: row for row in layer_table(net)}
    image = images(side)[:1].requires_grad_()
    for stage in ("conv1", "conv2_x", "conv3_x"):
        if (sees := rows[stage]["receptive_field"]) > side - 20:
            continue
        maps = net.features(image, stage)
        middle = maps.shape[2] // 2
        (gradient,) = torch.autograd.grad(maps[:, :, middle, middle].abs().sum(), image)
        columns = gradient.abs().sum((0, 1, 2)).nonzero()
        # The maximum of the stem may leave out a few of the pixels that it looked at, at either end.
        least = sees if name == "resnet20_cifar" else sees - 8
        assert least <= int(columns.max() - columns.min()) + 1 <= sees


def test_receptive_fields_worked_out_by_hand():
    def fields(name: str) -> dict[str, int]:
        with torch.device("meta"):
            return {row["name"]: row["receptive_field"] for row in layer_table(build(name))}

    # A 3x3 at step s adds 2 s, a 1x1 nothing; the stride counts for what comes after it.
    expected = {"conv1": 7, "pool1": 11}
    expected["conv2_x"] = 11 + 3 * 2 * 4  # one 3x3 a bottleneck, at step 4
    expected["conv3_x"] = expected["conv2_x"] + 4 * 2 * 8  # the stride comes first, at the 1x1
    expected["conv4_x"] = expected["conv3_x"] + 6 * 2 * 16
    expected["conv5_x"] = expected["conv4_x"] + 3 * 2 * 32
    found = fields("resnet50")
    assert {stage: found[stage] for stage in expected} == expected
    assert expected["conv5_x"] == 483
    # In v1.5 the first 3x3 of each later stage still has the step before.
    assert fields("resnet50_v1_5")["conv5_x"] == 483 - 2 * (4 + 8 + 16)
    # 20 layers: conv1 and 6 of 3x3 at step 1, the first of conv3_x too, and so on.
    assert fields("resnet20_cifar")["conv4_x"] == 1 + 7 * 2 + (2 + 5 * 4) + (4 + 5 * 8)


# Initial weights


@pytest.mark.parametrize("start", ["paper", "he"])
@torch.no_grad()
def test_weights_start_normal_with_variance_two_over_fan_in(start):
    torch.manual_seed(0)
    net = build("resnet20_cifar", 10, start=start)
    for key, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d):
            assert float(layer.weight.std()) == pytest.approx((2 / layer.weight[0].numel()) ** 0.5, rel=0.1), key
        if isinstance(layer, nn.BatchNorm2d):
            assert torch.equal(layer.weight, torch.ones_like(layer.weight))  # also the last of a branch
            assert layer.running_var is not None
            assert torch.equal(layer.running_var, torch.ones_like(layer.running_var))
            assert not layer.bias.any()
            assert layer.running_mean is not None
            assert not layer.running_mean.any()
    assert float(net.fc.weight.std()) == pytest.approx(0.01, rel=0.1)  # type: ignore[union-attr, operator, arg-type]
    assert not net.fc.bias.any()  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("name", ["resnet50", "resnet110_cifar"])
@torch.no_grad()
def test_the_first_loss_is_that_of_a_guess(name):
    torch.manual_seed(0)
    net = build_variant(replace(VARIANTS[name], width=8), 10, VARIANTS[name].smallest).train()
    net.set_preprocessing(128.0 * torch.ones(3), 74.0)
    side = net.size
    loss = net.loss(torch.rand(8, 3, side, side) * 255, torch.arange(8))
    assert list(loss) == ["cross_entropy"]
    assert float(loss["cross_entropy"]) == pytest.approx(log(10), rel=0.2)


def test_one_step_follows_the_gradient_through_branch_and_shortcut():
    net = random_net("resnet20_cifar", 8).train()
    x, labels = images(8), torch.tensor([0, 1])
    cross_entropy(net(x), labels).backward()
    for key, p in net.named_parameters():
        assert p.grad is not None, key
        assert p.grad.abs().max() > 0, key


@torch.no_grad()
def test_a_block_leaves_its_input_as_it_was():
    torch.manual_seed(0)
    block = Bottleneck(16, 4, 1, nn.Identity(), 1)
    x = torch.randn(2, 16, 5, 5)
    before = x.clone()
    block(x)
    assert torch.equal(x, before)


def test_fine_tuning_starts_the_last_layer_anew():
    with torch.device("meta"):
        assert build("resnet18").fresh == {"fc"}
