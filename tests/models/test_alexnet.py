"""The variants: against two towers written out, against torchvision, and their initial weights."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import conv2d, local_response_norm, max_pool2d, pad

from alexnet.errors import InputError
from alexnet.models import MODELS, VARIANTS, build, build_variant, names, parameters
from alexnet.models.alexnet import TORCHVISION_LAYERS, padding_of_conv1, sides, smallest_size
from alexnet.models.classifier import Classifier
from alexnet.models.dropout import Dropout
from comparing import difference, two_images

PAPERS_ORDER = "conv1 norm1 pool1 conv2 norm2 pool2 conv3 conv4 conv5 pool5 fc6 drop6 fc7 drop7 fc8"
ORDERS = {
    "alexnet": PAPERS_ORDER,
    "alexnet_2012": "conv1 norm1 pool1 relu1 conv2 norm2 spatial2 pool2 conv3 conv4 conv5 pool5 relu5 "
    "fc6 drop6 fc7 drop7 fc8",
    "alexnet_one_column": PAPERS_ORDER,
    "alexnet_half": PAPERS_ORDER,
    "caffe_alexnet": PAPERS_ORDER,
    "caffenet": "conv1 pool1 norm1 conv2 pool2 norm2 conv3 conv4 conv5 pool5 fc6 drop6 fc7 drop7 fc8",
    "alexnet_2014": "conv1 pool1 conv2 pool2 conv3 conv4 conv5 pool5 average5 drop5 fc6 drop6 fc7 fc8",
}


def small(name: str, size: int = 75, **fields) -> Classifier:
    """A variant with small fully-connected layers, He weights and some biases; float64, at test."""
    torch.manual_seed(5)
    net = build_variant(replace(VARIANTS[name], hidden=(24, 16), **fields), 7, size, start="he")
    for key, p in net.named_parameters():
        if key.endswith("bias"):
            nn.init.normal_(p, 0, 0.1)
    net.set_preprocessing([110.0, 120.0, 130.0], 2.0)
    return net.double().eval()


def halves(layer: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of a layer's two towers."""
    return list(zip(layer.weight.chunk(2), layer.bias.chunk(2), strict=True))  # type: ignore[union-attr, operator]


def head(net: Classifier, towers: list[Tensor], keep: float) -> Tensor:
    """fc6 to fc8 on the two towers' pool5, at test."""
    x = torch.cat(towers, 1).flatten(1)
    for name, layer in net.stages.items():
        if name in ("fc6", "fc7"):
            x = (x @ layer.weight.T + layer.bias).clamp(min=0) * keep  # type: ignore[union-attr, operator]
    return x @ net.fc8.weight.T + net.fc8.bias  # type: ignore[union-attr, operator]


def two_gpus(net: Classifier, x: Tensor, published: str) -> Tensor:
    """The two-tower nets written out, one tower after the other, with torch's own normalisation."""
    code = published == "2012"
    alpha = 1e-4 if code else 5e-4  # torch divides by 5
    x = (x - torch.tensor([110.0, 120.0, 130.0]).view(3, 1, 1)) / 2
    missing = -(x.shape[2] - 11) % 4
    x = pad(x, (0, missing, 0, missing) if code else (missing // 2, missing - missing // 2) * 2)

    def norm(a: Tensor) -> Tensor:
        return local_response_norm(a, 5, alpha, 0.75, 2.0)

    def spatial(a: Tensor) -> Tensor:
        squares = pad(a * a, (2, 2, 2, 2)).unfold(2, 5, 1).unfold(3, 5, 1)
        return a / (1 + 1e-3 / 25 * squares.sum((4, 5))) ** 0.75

    towers = []
    for w, b in halves(net.conv1):
        a = conv2d(x, w, b, stride=4)
        a = max_pool2d(norm(a), 3, 2, ceil_mode=code).relu() if code else max_pool2d(norm(a.relu()), 3, 2)
        towers.append(a)
    for i, (w, b) in enumerate(halves(net.conv2)):
        a = norm(conv2d(towers[i], w, b, padding=2).relu())
        towers[i] = max_pool2d(spatial(a) if code else a, 3, 2, ceil_mode=code)
    both = torch.cat(towers, 1)
    towers = [conv2d(both, w, b, padding=1).relu() for w, b in halves(net.conv3)]
    for layer in (net.conv4, net.conv5):
        towers = [conv2d(a, w, b, padding=1).relu() for a, (w, b) in zip(towers, halves(layer), strict=True)]
    return head(net, [max_pool2d(a, 3, 2, ceil_mode=code) for a in towers], 0.5)


@pytest.mark.parametrize("size", [67, 68, 75, 97])
@torch.no_grad()
def test_alexnet_is_the_papers_two_towers(size):
    net = small("alexnet", size)
    assert difference(net(two_images(size)), two_gpus(net, two_images(size), "paper")) <= 1e-10


@pytest.mark.parametrize("size", [67, 72, 99])
@torch.no_grad()
def test_alexnet_2012_is_the_codes_two_towers(size):
    net = small("alexnet_2012", size)
    assert difference(net(two_images(size)), two_gpus(net, two_images(size), "2012")) <= 1e-10


@torch.no_grad()
def test_the_two_writings_of_the_net_differ():
    net, other = small("alexnet", 99), small("alexnet_2012", 99)
    other.load_state_dict(net.state_dict())
    ours, theirs = net(two_images(99)), other(two_images(99))
    assert (ours - theirs).abs().max() > 0.01 * ours.abs().max()


@pytest.mark.parametrize("name", ["caffe_alexnet", "caffenet"])
@torch.no_grad()
def test_the_caffe_nets_written_out(name):
    net = small(name, 75)

    def norm(a: Tensor) -> Tensor:
        return local_response_norm(a, 5, 1e-4, 0.75, 1.0)

    def pool(a: Tensor) -> Tensor:
        return max_pool2d(a, 3, 2, ceil_mode=True)

    first, then = (norm, pool) if name == "caffe_alexnet" else (pool, norm)
    x = (two_images(75) - torch.tensor([110.0, 120.0, 130.0]).view(3, 1, 1)) / 2
    x = then(first(conv2d(x, net.conv1.weight, net.conv1.bias, stride=4).relu()))
    x = then(first(conv2d(x, net.conv2.weight, net.conv2.bias, padding=2, groups=2).relu()))
    x = conv2d(x, net.conv3.weight, net.conv3.bias, padding=1).relu()
    x = conv2d(x, net.conv4.weight, net.conv4.bias, padding=1, groups=2).relu()
    x = conv2d(x, net.conv5.weight, net.conv5.bias, padding=1, groups=2).relu()
    assert difference(net(two_images(75)), head(net, [pool(x)], 1.0)) <= 1e-10


@pytest.mark.parametrize("side", [224, 256])
@torch.no_grad()
def test_alexnet_2014_is_torchvisions_alexnet(side):
    torch.manual_seed(0)
    net = build("alexnet_2014", classes=11, start="he").eval()
    for layer in net.stages.values():
        if getattr(layer, "bias", None) is not None:
            nn.init.normal_(layer.bias, 0, 0.1)  # type: ignore[arg-type]
    theirs = torchvision.models.alexnet(num_classes=11).eval()
    theirs.load_state_dict(
        {
            f"{layer}.{part}": net.state_dict()[f"{stage}.{part}"]
            for stage, layer in TORCHVISION_LAYERS.items()
            for part in ("weight", "bias")
        }
    )
    x = two_images(side).float()
    net.set_preprocessing([124.0, 116.0, 104.0], 58.0)
    mean = torch.tensor([124.0, 116.0, 104.0]).view(3, 1, 1)
    assert difference(net(x), theirs((x - mean) / 58)) <= 1e-5


def test_dropout_stands_where_the_variant_says():
    for name, kind, before in (
        ("alexnet", "paper", "fc6"),
        ("alexnet_2012", "paper", "fc6"),
        ("alexnet_one_column", "paper", "fc6"),
        ("caffenet", "inverted", "fc6"),
        ("caffe_alexnet", "inverted", "fc6"),
        ("alexnet_2014", "inverted", "average5"),
    ):
        with torch.device("meta"):
            stages = list(build(name, 7).stages.items())
        drops = [i for i, (_, stage) in enumerate(stages) if isinstance(stage, Dropout)]
        assert len(drops) == 2
        assert all(stages[i][1].kind == kind and stages[i][1].keep == 0.5 for i in drops)  # type: ignore[union-attr]
        assert stages[drops[0] - 1][0] == before


@pytest.mark.parametrize("name", list(VARIANTS))
def test_stages_stand_in_the_variants_order(name):
    with torch.device("meta"):
        net = build(name)
    assert " ".join(net.stages) == ORDERS[name]
    assert net.name == name
    assert net.size == MODELS[name].size


# Sizes


@pytest.mark.parametrize(
    ("size", "zeros"), [(224, (1, 2)), (227, (0, 0)), (67, (0, 0)), (66, (0, 1)), (65, (1, 1)), (64, (1, 2))]
)
def test_conv1_is_padded_so_that_the_strides_come_out_even(size, zeros):
    assert padding_of_conv1(VARIANTS["alexnet"], size) == zeros
    assert (size + sum(zeros) - 11) % 4 == 0


def test_sides_at_the_size_for_digits():
    assert list(sides(VARIANTS["alexnet"], 67).values()) == [15, 7, 7, 3, 3, 3, 3, 1]


@pytest.mark.parametrize("name", list(VARIANTS))
def test_the_smallest_size_can_be_built_and_run_and_the_next_smaller_cannot(name):
    variant = replace(VARIANTS[name], hidden=(8, 8))
    smallest = smallest_size(variant)
    net = build_variant(variant, 3, smallest).eval()
    assert net.smallest == smallest
    assert net(torch.rand(1, 3, smallest, smallest)).shape == (1, 3)
    with pytest.raises(InputError, match=rf"{name} cannot be built for .* pool5's .* smallest size is {smallest}$"):
        build_variant(variant, 3, smallest - 1)


def test_the_error_names_the_first_layer_that_does_not_fit():
    with pytest.raises(InputError, match="8 x 8 pixels, conv1's window does not fit"):
        build("caffenet", 10, 8)


@pytest.mark.parametrize("name", list(VARIANTS))
@pytest.mark.parametrize("size", [64, 67, 70, 97, 224, 227, 256])
def test_the_sides_are_those_of_the_maps(name, size):
    with torch.device("meta"):
        net = build_variant(replace(VARIANTS[name], hidden=(8, 8)), 3, size)
        expected = sides(VARIANTS[name], size)
        x = torch.empty(1, 3, size, size)
        for layer, side in expected.items():
            assert net.features(x, layer).shape[2:] == (side, side)
        assert net(x).shape == (1, 3)


# Names and initial weights


def test_names_are_those_of_the_table_and_others_are_an_error():
    assert list(VARIANTS) == list(ORDERS)
    assert names()[: len(ORDERS)] == list(ORDERS)
    with pytest.raises(InputError, match=r"no model 'alexnett'; did you mean alexnet\? choose one of alexnet, "):
        build("alexnett")
    with pytest.raises(InputError, match="a classifier needs at least 2"):
        build("alexnet", 1)
    with pytest.raises(InputError, match="no start 'xavier'; choose 'paper' or 'he'"):
        build("alexnet", 2, start="xavier")  # type: ignore[arg-type]


def test_parameters_are_counted_without_building_the_net():
    assert parameters("alexnet", 10) == 60_965_224 - 990 * 4097


@pytest.mark.parametrize("name", list(VARIANTS))
def test_the_same_seed_gives_the_same_weights(name):
    nets = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        nets.append(build_variant(replace(VARIANTS[name], hidden=(8, 8)), 3, 67).state_dict())
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])
    assert not torch.equal(nets[0]["conv1.weight"], nets[2]["conv1.weight"])


INITIAL = {
    "alexnet": ([0.01] * 8, [0, 1, 0, 1, 1, 1, 1, 0]),
    "alexnet_2012": ([0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01], [0, 1, 0, 1, 1, 1, 1, 0]),
    "alexnet_one_column": ([0.01] * 8, [0, 1, 0, 1, 1, 1, 1, 0]),
    "alexnet_half": ([0.01] * 8, [0, 1, 0, 1, 1, 1, 1, 0]),
    "caffe_alexnet": ([0.01] * 5 + [0.005, 0.005, 0.01], [0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0]),
    "caffenet": ([0.01] * 5 + [0.005, 0.005, 0.01], [0, 1, 0, 1, 1, 1, 1, 0]),
}


@pytest.mark.parametrize("name", list(INITIAL))
@torch.no_grad()
def test_initial_weights_and_biases_are_the_publications(name):
    torch.manual_seed(0)
    net = build_variant(replace(VARIANTS[name], hidden=(300, 200)), 100, 67)
    deviations, biases = INITIAL[name]
    layers = [stage for stage in net.stages.values() if hasattr(stage, "weight")]
    for layer, deviation, bias in zip(layers, deviations, biases, strict=True):
        assert float(layer.weight.std()) == pytest.approx(deviation, rel=0.03)
        assert abs(float(layer.weight.mean())) < deviation * 0.05
        assert (layer.bias == bias).all()


@torch.no_grad()
def test_alexnet_2014_starts_as_torchs_layers_do():
    torch.manual_seed(0)
    net = build_variant(replace(VARIANTS["alexnet_2014"], hidden=(300, 200)), 100, 67)
    for name in TORCHVISION_LAYERS:
        layer = net.stages[name]
        bound = layer.weight[0].numel() ** -0.5  # uniform within 1 / sqrt(fan-in)
        for values in (layer.weight, layer.bias):
            assert float(values.abs().max()) <= bound
            assert float(values.abs().max()) > 0.8 * bound


@pytest.mark.parametrize("name", list(VARIANTS))
@torch.no_grad()
def test_hes_start_is_the_same_for_all(name):
    torch.manual_seed(0)
    net = build_variant(replace(VARIANTS[name], hidden=(300, 200)), 100, 67, start="he")
    for stage, layer in net.stages.items():
        if not hasattr(layer, "weight"):
            continue
        expected = 0.01 if stage == "fc8" else (2 / layer.weight[0].numel()) ** 0.5
        assert float(layer.weight.std()) == pytest.approx(expected, rel=0.03)
        assert (layer.bias == 0).all()


def test_a_table_row_that_normalises_without_constants_is_an_error():
    with pytest.raises(InputError, match="has no constants: set normalisation"):
        build_variant(replace(VARIANTS["alexnet"], normalisation=None), 3, 67)
