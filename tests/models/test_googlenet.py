"""GoogLeNet: against the net written out, against torchvision's, its side classifiers, starts and sizes."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, cross_entropy, linear, local_response_norm, max_pool2d

from alexnet.errors import InputError
from alexnet.models import build, googlenet
from alexnet.models.blocks import Conv, ConvNorm, ConvReLU, FullyConnected, MaxPool
from alexnet.models.classifier import Classifier
from alexnet.models.dropout import Dropout
from alexnet.models.googlenet import TABLE, VARIANTS, Inception, build_variant, torchvision_names
from comparing import MEAN, SCALE, difference, preprocessed, two_images

BRANCHES = ("one", "three_reduce", "three", "five_reduce", "five", "projection")


def lively(name: str, size: int = 64, classes: int = 7) -> Classifier:
    """A net with He weights, random biases and batch norms, sides included; float64, at test."""
    torch.manual_seed(3)
    net = build(name, classes, size, start="he")
    for key, tensor in net.state_dict().items():
        if key.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.1)
        elif key.endswith(("norm.weight", "running_var")):
            tensor.uniform_(0.5, 2)
    net.set_preprocessing(MEAN, SCALE)
    return net.double().eval()


class WrittenOut:
    """The printed net from its state alone, with torch's functions; keeps what the sides read."""

    def __init__(self, net: Classifier):
        self.state = net.state_dict()
        self.read: dict[str, Tensor] = {}

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        w = self.state[f"{name}.weight"]
        return conv2d(x, w, self.state[f"{name}.bias"], stride, w.shape[2] // 2).relu()

    def block(self, name: str, x: Tensor) -> Tensor:
        one = self.conv(f"{name}.one", x)
        three = self.conv(f"{name}.three", self.conv(f"{name}.three_reduce", x))
        five = self.conv(f"{name}.five", self.conv(f"{name}.five_reduce", x))
        pooled = self.conv(f"{name}.projection", max_pool2d(x, 3, 1, 1))
        return torch.cat([one, three, five, pooled], 1)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return linear(x.flatten(1), self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def __call__(self, x: Tensor) -> Tensor:
        x = max_pool2d(self.conv("conv1", preprocessed(x), 2), 3, 2, ceil_mode=True)
        x = self.conv("conv2", self.conv("conv2_reduce", local_response_norm(x, 5, 1e-4, 0.75, 1.0)))
        x = max_pool2d(local_response_norm(x, 5, 1e-4, 0.75, 1.0), 3, 2, ceil_mode=True)
        for name in TABLE:
            x = self.block(name, x)
            self.read[name] = x
            if name in ("inception3b", "inception4e"):
                x = max_pool2d(x, 3, 2, ceil_mode=True)
        return self.linear("linear", x.mean((2, 3)))

    def side(self, name: str, reads: str) -> Tensor:
        x = self.read[reads]
        x = self.conv(f"{name}.reduce", avg_pool2d(x, min(5, x.shape[2]), 3))
        return self.linear(f"{name}.linear", self.linear(f"{name}.fc", x).relu())


@pytest.mark.parametrize("size", [31, 64, 96])
@torch.no_grad()
def test_the_printed_net_is_the_papers_table_written_out(size):
    net = lively("googlenet", size)
    other = WrittenOut(net)
    assert difference(net(two_images(size)), other(two_images(size))) < 1e-10
    for name, reads in (("side4a", "inception4a"), ("side4d", "inception4d")):
        features = net.features(two_images(size), reads)
        assert difference(features, other.read[reads]) < 1e-10
        assert difference(net.sides[name](features), other.side(name, reads)) < 1e-10


@torch.no_grad()
def test_without_any_one_branch_outputs_are_others():
    net = lively("googlenet", 32)
    expected = WrittenOut(net)(two_images(32))
    for name in TABLE:
        for branch in BRANCHES:
            layer = net.get_submodule(f"{name}.{branch}")
            assert isinstance(layer, ConvReLU)
            kept = layer.weight.clone()
            layer.weight.zero_()
            assert float((net(two_images(32)) - expected).abs().max() / expected.abs().max()) > 1e-5, f"{name} {branch}"
            layer.weight.copy_(kept)
    assert difference(net(two_images(32)), expected) < 1e-10


@torch.no_grad()
def test_a_block_is_four_branches_beside_each_other_position_by_position():
    # With loops over positions and maps, for one block of few maps.
    torch.manual_seed(0)
    block = Inception(3, (2, 2, 3, 1, 2, 2), lambda i, o, k: ConvReLU(i, o, k, padding=(k // 2, k // 2))).double()
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64)

    def at(layer: Conv, maps: Tensor, y: int, column: int) -> Tensor:
        total = layer.bias.clone()  # type: ignore[union-attr]
        reach = layer.kernel_size[0] // 2
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if 0 <= y + dy < 4 and 0 <= column + dx < 4:
                    total += layer.weight[:, :, dy + reach, dx + reach] @ maps[0, :, y + dy, column + dx]
        return total.clamp(min=0)

    def whole(layer: Conv, maps: Tensor) -> Tensor:
        rows = [torch.stack([at(layer, maps, y, column) for column in range(4)], 1) for y in range(4)]
        return torch.stack(rows, 1)[None]

    pooled = torch.empty_like(x)
    for y in range(4):
        for column in range(4):
            window = x[0, :, max(y - 1, 0) : y + 2, max(column - 1, 0) : column + 2]
            pooled[0, :, y, column] = window.amax((1, 2))
    expected = [
        whole(block.one, x),
        whole(block.three, whole(block.three_reduce, x)),
        whole(block.five, whole(block.five_reduce, x)),
        whole(block.projection, pooled),
    ]
    assert [part.shape[1] for part in expected] == [2, 3, 2, 2]
    assert block.five.kernel_size == (5, 5)
    assert (block(x) - torch.cat(expected, 1)).abs().max() < 1e-10


# torchvision's net


def theirs_with_weights_of(net: Classifier) -> nn.Module:
    with torch.device("meta"):
        theirs = torchvision.models.googlenet(
            num_classes=net.classes, aux_logits=True, init_weights=False, transform_input=False
        )
    state = net.state_dict()
    assert set(state) - set(torchvision_names(net)) == {"mean", "scale"}
    # Copies, since training moves the statistics of both.
    theirs.load_state_dict({key: state[ours].clone() for ours, key in torchvision_names(net).items()}, assign=True)
    return theirs.eval()


@pytest.mark.parametrize("size", [64, 80, 224])
@torch.no_grad()
def test_outputs_are_torchvisions_on_the_same_weights(size):
    net = lively("googlenet_torchvision", size)
    theirs = theirs_with_weights_of(net)
    expected = theirs(preprocessed(two_images(size)))
    assert difference(net(two_images(size)), expected) < 1e-10
    net.inception5b.five.conv.weight.zero_()
    assert difference(net(two_images(size)), expected) > 1e-3


def test_in_training_sides_terms_and_statistics_are_torchvisions():
    net = lively("googlenet_torchvision", 96)
    theirs = theirs_with_weights_of(net)
    for module in [*net.modules(), *theirs.modules()]:
        if isinstance(module, Dropout):
            module.keep = 1.0
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
    labels = torch.tensor([2, 5])
    scores, terms = net.train().scores_and_loss(two_images(96), labels)
    outputs = theirs.train()(preprocessed(two_images(96)))
    assert difference(scores.double(), outputs.logits) < 1e-5  # the loss is taken of float32
    for name, term, weight in (
        ("cross_entropy", outputs.logits, 1.0),
        ("side4a", outputs.aux_logits1, 0.3),
        ("side4d", outputs.aux_logits2, 0.3),
    ):
        assert float(terms[name].detach()) == pytest.approx(
            weight * float(cross_entropy(term.detach(), labels)), rel=1e-5
        )
    assert len({round(float(term.detach()), 3) for term in terms.values()}) == 3
    moved = theirs.state_dict()
    for ours, key in torchvision_names(net).items():
        if "running" in key:
            torch.testing.assert_close(net.state_dict()[ours], moved[key], rtol=1e-9, atol=1e-9)


def test_torchvisions_keys_have_the_same_shapes_at_full_size():
    with torch.device("meta"):
        theirs = torchvision.models.googlenet(aux_logits=True, init_weights=False).state_dict()
        net = build("googlenet_torchvision")
    ours = net.state_dict()
    assert set(torchvision_names(net).values()) == set(theirs)
    assert all(ours[key].shape == theirs[other].shape for key, other in torchvision_names(net).items())
    with torch.device("meta"), pytest.raises(InputError, match="is not googlenet_bn: build googlenet_torchvision"):
        torchvision_names(build("googlenet_bn"))


def test_batch_normalisation_changes_the_printed_net_in_nothing_else():
    with torch.device("meta"):
        printed, with_norm = build("googlenet"), build("googlenet_bn")
    assert [name for name in printed.stages if name not in with_norm.stages] == ["norm1", "norm2"]
    kernels = [
        [(layer.weight.shape, layer.stride, layer.ends) for layer in net.modules() if isinstance(layer, Conv)]
        for net in (printed, with_norm)
    ]
    assert kernels[0] == kernels[1]
    assert all(layer.bias is None for layer in with_norm.modules() if isinstance(layer, Conv))
    norms = [module for module in with_norm.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == len(kernels[0]) == 57 + 2


# Sizes, sides, starts


@pytest.mark.parametrize(
    ("size", "last", "side"), [(31, 1, 1), (32, 1, 1), (64, 2, 1), (78, 2, 1), (79, 2, 1), (127, 4, 2), (224, 7, 4)]
)
def test_averages_and_sides_are_built_for_the_size(size, last, side):
    with torch.device("meta"):
        net = build("googlenet", 5, size)
        assert net.average.side == last
        assert net.side4a.fc.field == net.side4d.fc.field == (128, side, side)
        assert net(torch.empty(1, 3, size, size)).shape == (1, 5)
        assert net.score_map(torch.empty(1, 3, size + 64, size + 32)).shape == (1, 5, 3, 2)


@pytest.mark.parametrize("name", list(VARIANTS))
def test_at_every_size_the_last_average_is_of_the_whole_map(name, monkeypatch):
    monkeypatch.setattr(googlenet, "TABLE", dict.fromkeys(TABLE, (1,) * 6))  # thin blocks: the poolings are meant
    built = {}
    with torch.device("meta"):
        for size in (31, 79, 230):
            built[size] = googlenet._stages(VARIANTS[name], 5, size)
    for size in range(31, 231):
        side = size
        for stage in built[31].values():
            layer = stage.conv if isinstance(stage, ConvNorm) else stage
            side = layer.output_side(side) if isinstance(layer, Conv | MaxPool) else side
        assert googlenet._last_side(VARIANTS[name], size) == side, size
        assert size not in built or built[size]["average"].side == side


@pytest.mark.parametrize(("size", "window"), [(64, 4), (78, 4), (79, 5), (224, 5)])
def test_below_79_pixels_a_sides_window_is_the_whole_map(size, window):
    with torch.device("meta"):
        net = build("googlenet", 5, size)
        assert net.side4a.average.kernel_size == net.side4d.average.kernel_size == window
        assert net.side4a.average.stride == 3
        if window < 5:
            assert net.features(torch.empty(1, 3, size, size), "inception4a").shape[2:] == (window, window)


def test_larger_images_train_too():
    net = build("googlenet", 3, 32, start="he").train()
    scores, terms = net.scores_and_loss(torch.rand(2, 3, 96, 64) * 255 - 128, torch.tensor([0, 2]))
    assert scores.shape == (2, 3)
    assert set(terms) == {"cross_entropy", "side4a", "side4d"}


def test_too_small_a_size_is_an_error_that_names_the_smallest():
    with pytest.raises(InputError, match="googlenet cannot be built for 30 x 30 pixels: the smallest size is 31"):
        build("googlenet", 10, 30)
    with pytest.raises(InputError, match="googlenet_bn: 1 classes came"):
        build("googlenet_bn", 1)


def of_layers(net: Classifier) -> list[Conv | FullyConnected]:
    return [layer for layer in net.modules() if isinstance(layer, Conv | FullyConnected)]


@torch.no_grad()
def test_the_published_start_is_caffes():
    torch.manual_seed(0)
    net = build("googlenet", 50, 64)
    last = (net.linear, net.side4a.linear, net.side4d.linear)
    assert len(of_layers(net)) == 57 + 1 + 2 * 3
    for layer in of_layers(net):
        bound = (3 / layer.weight[0].numel()) ** 0.5
        assert 0.98 * bound < float(layer.weight.abs().max()) <= bound
        assert abs(float(layer.weight.mean())) < 0.1 * bound
        assert (layer.bias == (0 if layer in last else 0.2)).all()


@torch.no_grad()
def test_torchvisions_net_starts_as_torchvisions():
    torch.manual_seed(0)
    net = build("googlenet_torchvision", 50, 64)
    for layer in of_layers(net):
        assert float(layer.weight.std()) == pytest.approx(0.01, rel=0.05)
        if layer.bias is not None:
            bound = layer.weight[0].numel() ** -0.5
            assert 0.8 * bound < float(layer.bias.abs().max()) <= bound


@pytest.mark.parametrize("name", list(VARIANTS))
@torch.no_grad()
def test_hes_start_reaches_the_sides_too(name):
    torch.manual_seed(0)
    net = build(name, 50, 64, start="he")
    last = (net.linear, net.side4a.linear, net.side4d.linear)
    for layer in of_layers(net):
        expected = 0.01 if layer in last else (2 / layer.weight[0].numel()) ** 0.5
        assert float(layer.weight.std()) == pytest.approx(expected, rel=0.1)
        assert layer.bias is None or not layer.bias.any()


def test_an_ablation_is_a_changed_row():
    with torch.device("meta"):
        net = build_variant(replace(VARIANTS["googlenet"], widest=3), 10, 32)
    assert net.inception3a.five.kernel_size == (3, 3)
