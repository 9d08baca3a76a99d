"""Nets that slide: fully-connected stages as convolutions, score maps of larger images, and where these look."""

from functools import lru_cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.errors import InputError
from alexnet.evaluation.classify import batch_probabilities
from alexnet.models import Classifier, as_convolutions, build, from_convolutions, names
from alexnet.models.alignment import alignment
from alexnet.models.blocks import FullyConnected, FullyConnectedReLU
from alexnet.models.initial import he
from alexnet.models.lenet import FullyConnectedTanh, squash

# The same windows as a net that the fast tests have, or only more of them.
SIBLINGS = [
    *("alexnet_one_column", "alexnet_half", "lenet5_mse", "nin_mnist", "googlenet_bn"),
    *("vgg_a_lrn", "vgg_b", "vgg_c", "vgg_e", "vgg_a_bn", "vgg_b_bn", "vgg_e_bn"),
    *("plain34", "resnet34", "resnet101", "resnet152", "resnet101_v1_5", "resnet152_v1_5"),
    *("resnet32_cifar", "resnet44_cifar", "resnet56_cifar", "resnet110_cifar"),
]
EVERY = [pytest.param(name, marks=pytest.mark.slow) if name in SIBLINGS else name for name in names() if name != "tiny"]
SLIDING = ["alexnet", "caffenet", "googlenet", "nin_cifar", "resnet20_cifar", "vgg_cifar"]
ACTIVATION = {FullyConnectedReLU: functional.relu, FullyConnectedTanh: squash, FullyConnected: lambda x: x}


def outline(name: str, more: int = 0) -> Classifier:
    """A net for the smallest image and `more` pixels, without weights, its fully-connected stages thin."""
    with torch.device("meta"):
        net = build(name, 5, build(name, 5).smallest + more).eval()
        if "fc7" in net.stages:
            six, seven, eight = (net.get_submodule(f"fc{i}") for i in (6, 7, 8))
            net.fc6, net.fc7 = type(six)(six.field, 24), type(seven)((24, 1, 1), 16)  # type: ignore[operator]
            net.fc8 = type(eight)((16, 1, 1), 5)  # type: ignore[operator]
    return net


def adaptive(net: Classifier) -> bool:
    """Whether the net looks at the whole image at once."""
    return any(isinstance(stage, nn.AdaptiveAvgPool2d) for stage in net.stages.values())


@torch.no_grad()
def without_weights(net: Classifier) -> Classifier:
    """All zeros: what depends on what can be seen without a weight."""
    net.to_empty(device="cpu")
    for tensor in (*net.parameters(), *net.buffers()):
        tensor.zero_()
    net.scale.fill_(1.0)
    return net


@lru_cache(maxsize=1)
@torch.no_grad()
def with_weights(name: str, more: int = 0) -> Classifier:
    """He's weights, random biases and statistics; float64, at test."""
    torch.manual_seed(3)
    if name.startswith("lenet"):  # constants of its own, and small
        net = build(name, 5, 32, "he")
    else:
        net = without_weights(outline(name, more))
        he(net)
        nn.init.kaiming_normal_(net.stages[net.classifier_stage].get_parameter("weight"))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    for key, p in net.named_parameters():
        if key.endswith("bias"):
            p.normal_(0, 0.1)
    net.set_preprocessing([110.0, 120.0, 130.0], 60.0)
    return net.double().eval()


def picture(h: int, w: int, seed: int = 0) -> Tensor:
    """Noise in patches of 8 pixels of very different brightness, float64 [1, 3, h, w]."""
    chance = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, -(-h // 8), -(-w // 8), generator=chance, dtype=torch.float64)
    fine = torch.rand(1, 3, h, w, generator=chance, dtype=torch.float64)
    return (200 * coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)[:, :, :h, :w] + 55 * fine).contiguous()


def unlike(a: Tensor, b: Tensor) -> bool:
    """Whether they differ by more than 1 % of the largest value."""
    return bool((a - b).abs().max() > 0.01 * torch.stack([a, b]).abs().max())


@pytest.mark.parametrize("name", EVERY)
def test_every_net_gives_a_map_of_a_position_a_step_that_sees_its_field_and_not_a_pixel_more(name):
    net = outline(name)
    step = 8 if adaptive(net) else alignment(net).step
    maps = [net.score_map(torch.empty(2, 3, net.size + more * step, net.size, device="meta")) for more in range(4)]
    if adaptive(net):
        assert {m.shape for m in maps} == {(2, 5, 1, 1)}
        with pytest.raises(InputError, match="whole image at once"):
            alignment(net)
        return
    assert [m.shape[2] - maps[0].shape[2] for m in maps] == [0, 1, 2, 3]
    assert {(*m.shape[:2], m.shape[3]) for m in maps} == {(2, 5, maps[0].shape[2])}

    first, step, field = alignment(net)
    last = int(first + (field - 1) / 2)  # the last row that position (0, 0) sees: a NaN spreads to all that see it
    assert last == first + (field - 1) / 2, "a field begins and ends with a pixel"
    image = torch.zeros(2, 3, max(net.size, last + step + 1), net.size)
    image[0, :, last:] = torch.nan
    image[1, :, last + 1 :] = torch.nan
    with torch.inference_mode():
        seen, not_seen = without_weights(net).score_map(image)[:, 0, :, 0].isnan()
    assert bool(seen[0])
    assert not bool(not_seen[0])
    assert not_seen.numel() == 1 or bool(not_seen[1])  # its neighbour sees `step` rows more


@pytest.mark.parametrize("name", [*SLIDING, "lenet5", "lenet5_softmax", "alexnet_2014"])
def test_dense_views_average_the_scores_of_all_positions_and_then_the_two_softmax_outputs(name):
    net = with_weights(name).float()
    try:
        side = net.size + 4 if adaptive(net) else net.size + 2 * alignment(net).step
        images = picture(side, side).round().byte().permute(0, 2, 3, 1).numpy()
        p = batch_probabilities(net, images, side, net.size, "dense")
        whole = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            maps = [net.score_map(x) for x in (whole, whole.flip(-1))]
    finally:
        net.double()
    assert adaptive(net) or maps[0].shape[2:] >= (3, 3)
    wanted = sum(m.mean((2, 3)).double().softmax(1) for m in maps) / 2
    assert (p - wanted).abs().max() < 1e-6
    assert adaptive(net) or unlike(maps[0][0, :, 0, 0], maps[0][0, :, 2, 2])


@pytest.mark.parametrize("name", SLIDING)
def test_the_map_of_a_crop_is_the_crop_of_the_map_where_no_padding_reaches(name):
    net = with_weights(name)
    first, step, field = alignment(net)
    start = first - (field - 1) / 2
    inside = int(-(start // step))  # the first position whose field lies within the image, from its first row on
    rows = max(net.size, int(start + (inside + 2) * step + field))
    image = picture(rows, net.size)
    with torch.inference_mode():
        whole = net.score_map(image)[0, :, :, 0]
        crop = net.score_map(image[:, :, step:])[0, :, :, 0]
    assert start + (inside + 2) * step + field <= rows
    for i in (inside, inside + 1):
        largest = whole[:, i + 1].abs().max()
        assert unlike(whole[:, i], whole[:, i + 1])
        assert (whole[:, i + 1] - crop[:, i]).abs().max() <= 1e-10 * largest


@pytest.mark.parametrize("name", ["lenet5", "lenet5_softmax"])
def test_without_padding_every_position_is_the_net_on_its_crop(name):
    net = with_weights(name)
    image = picture(net.size + 8, net.size + 4)
    with torch.inference_mode():
        scores = net.score_map(image)[0]
        assert scores.shape == (5, 3, 2)
        for i in range(3):
            for j in range(2):
                alone = net(image[:, :, 4 * i : 4 * i + net.size, 4 * j : 4 * j + net.size])[0]
                assert (scores[:, i, j] - alone).abs().max() <= 1e-10 * alone.abs().max()
    assert unlike(scores[:, 0, 0], scores[:, 2, 1])


def convolved(net: Classifier, kernels: dict[str, Tensor], images: Tensor) -> Tensor:
    """The net with its fully-connected stages as convolutions with these kernels: [n classes H W]."""
    x = net.preprocess(images)
    for name, stage in net.stages.items():
        if isinstance(stage, FullyConnected):
            assert kernels[f"{name}.weight"].dim() == 4
            x = functional.conv2d(x, kernels[f"{name}.weight"], kernels[f"{name}.bias"])
            x = ACTIVATION[type(stage)](x)
        else:
            x = stage(x)
    return x


CONNECTED = ["alexnet", "alexnet_2012", "caffenet", "alexnet_2014", "vgg_cifar", "vgg_a_lrn", "lenet5_softmax"]
CONNECTED_TOO = [pytest.param(name, marks=pytest.mark.slow) for name in ("vgg_b_bn", "vgg_c", "vgg_d", "vgg_e_bn")]


@pytest.mark.parametrize("name", [*CONNECTED, *CONNECTED_TOO])
def test_fully_connected_stages_are_convolutions_in_both_directions(name):
    net = with_weights(name, more=0 if name.startswith("lenet") else 32)
    fields = [stage.field[1] for stage in net.stages.values() if isinstance(stage, FullyConnected)]
    assert name.startswith("lenet") or fields[0] > 1, "a kernel of one pixel has no up and down"
    image, other = picture(net.size, net.size), picture(net.size, net.size, seed=1)
    with torch.inference_mode():
        kernels = as_convolutions(net)
        scores, others = net(image), net(other)
        assert unlike(scores, others)
        assert (convolved(net, kernels, image)[:, :, 0, 0] - scores).abs().max() <= 1e-10 * scores.abs().max()
        if not adaptive(net):
            step = alignment(net).step
            larger = picture(net.size + 2 * step, net.size + step)
            maps = net.score_map(larger)
            assert maps.shape[2:] == (3, 2)
            assert (convolved(net, kernels, larger) - maps).abs().max() <= 1e-10 * maps.abs().max()
        # And back: kernels of another net make this one that net.
        changed = {key: value.flip(0) if key.endswith("weight") else value for key, value in kernels.items()}
        before = {key: value.clone() for key, value in net.state_dict().items()}
        try:
            net.load_state_dict(from_convolutions(net, changed))
            wanted = convolved(net, changed, image)[:, :, 0, 0]
            assert (net(image) - wanted).abs().max() <= 1e-10 * wanted.abs().max()
            assert unlike(net(image), scores)
        finally:
            net.load_state_dict(before)
