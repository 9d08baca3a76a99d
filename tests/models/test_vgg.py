"""The VGG nets: against torchvision, against the net written out, their starts and their sizes."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.functional import conv2d, linear, local_response_norm, max_pool2d
from torchvision.models.vgg import VGG, cfgs, make_layers

from alexnet.errors import InputError
from alexnet.models import ALIASES, build, names, parameters
from alexnet.models.blocks import Conv, ConvNorm, FullyConnected
from alexnet.models.classifier import Classifier
from alexnet.models.dropout import Dropout
from alexnet.models.vgg import BLOCKS, FROM_A, VARIANTS, build_variant, from_shallower, torchvision_names
from comparing import MEAN, SCALE, difference, preprocessed, two_images

IN_TORCHVISION = [name for name, variant in VARIANTS.items() if variant.torchvision]


def small(name: str, size: int = 32, classes: int = 7, **fields) -> Classifier:
    """A net with few maps and hidden units, He weights, random biases and batch norms; float64, at test."""
    torch.manual_seed(3)
    fields = {"hidden": 24, "widths": (8, 12, 16, 24, 24)} | fields
    net = build_variant(replace(VARIANTS[name], **fields), classes, size, start="he")
    for key, tensor in net.state_dict().items():
        if key.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.1)
        elif key.endswith(("norm.weight", "running_var")):
            tensor.uniform_(0.5, 2)
    nn.init.normal_(net.fc8.weight, 0, 0.3)  # type: ignore[arg-type]
    net.set_preprocessing(MEAN, SCALE)
    return net.double().eval()


def theirs_with_weights_of(net: Classifier) -> nn.Module:
    """torchvision's net as thin as ours, on our weights; where pool5 is not 7 x 7 without its pooling to that."""
    variant, side = VARIANTS[net.name], net.size // 32
    maps = dict(zip((64, 128, 256), (net.stages[f"conv{block}_1"] for block in (1, 2, 3)), strict=True))
    maps = {wide: next(thin.parameters()).shape[0] for wide, thin in maps.items()} | {512: net.fc6.field[0]}
    hidden = net.fc6.out_features
    with torch.device("meta"):
        layers = [one if one == "M" else maps[one] for one in cfgs[variant.column]]
        theirs = VGG(make_layers(layers, batch_norm=variant.norm), init_weights=False)
        theirs.classifier[0] = nn.Linear(maps[512] * side * side, hidden)
        theirs.classifier[3] = nn.Linear(hidden, hidden)
        theirs.classifier[6] = nn.Linear(hidden, net.classes)
    state = net.state_dict()
    assert set(state) - set(torchvision_names(net)) == {"mean", "scale"}
    theirs.load_state_dict({key: state[ours] for ours, key in torchvision_names(net).items()}, assign=True)
    if side != 7:
        theirs.avgpool = nn.Identity()
    return theirs.eval()


@pytest.mark.parametrize("name", IN_TORCHVISION)
@torch.no_grad()
def test_outputs_are_torchvisions_on_the_same_weights(name):
    net = small(name)
    assert difference(net(two_images()), theirs_with_weights_of(net)(preprocessed(two_images()))) < 1e-10


@torch.no_grad()
def test_outputs_are_torchvisions_with_all_maps():
    net = small("vgg_d", widths=VARIANTS["vgg_d"].widths).float()
    x = two_images().float()
    assert difference(net(x), theirs_with_weights_of(net)(preprocessed(x))) < 1e-5


@torch.no_grad()
def test_net_a_is_torchvisions_at_its_own_size():
    net = small("vgg_a", 224)
    theirs = theirs_with_weights_of(net)
    assert isinstance(theirs.avgpool, nn.AdaptiveAvgPool2d)
    assert difference(net(two_images(224)), theirs(preprocessed(two_images(224)))) < 1e-10


@pytest.mark.parametrize("name", ["vgg_d", "vgg_a_bn"])
@torch.no_grad()
def test_without_any_one_layer_outputs_are_others(name):
    net = small(name)
    theirs = theirs_with_weights_of(net)(preprocessed(two_images()))
    for stage in net.stages.values():
        for layer in stage.modules():
            if isinstance(layer, Conv | FullyConnected | nn.BatchNorm2d):
                kept = layer.weight.clone()
                layer.weight.zero_()
                assert float((net(two_images()) - theirs).abs().max() / theirs.abs().max()) > 0.01
                layer.weight.copy_(kept)
    assert difference(net(two_images()), theirs) < 1e-10


@pytest.mark.parametrize("name", ["vgg_a_lrn", "vgg_c", "vgg_cifar"])
@torch.no_grad()
def test_nets_that_torchvision_lacks_are_those_of_the_table_written_out(name):
    net = small(name, 64)
    state = net.state_dict()
    rows = {
        "vgg_a_lrn": "1_1 L P 2_1 P 3_1 3_2 P 4_1 4_2 P 5_1 5_2 P",
        "vgg_c": "1_1 1_2 P 2_1 2_2 P 3_1 3_2 3_3 P 4_1 4_2 4_3 P 5_1 5_2 5_3 P",
        "vgg_cifar": "1_1 P 2_1 P 3_1 3_2 P 4_1 4_2 P 5_1 5_2 P",
    }
    x = preprocessed(two_images(64))
    for row in rows[name].split():
        if row == "P":
            x = max_pool2d(x, 2)
        elif row == "L":
            x = local_response_norm(x, 5, 5e-4, 0.75, 2.0)  # torch divides alpha by 5
        else:
            w, b = state[f"conv{row}.weight"], state[f"conv{row}.bias"]
            assert w.shape[2] == (1 if name == "vgg_c" and row in ("3_3", "4_3", "5_3") else 3)
            x = conv2d(x, w, b, padding=w.shape[2] // 2).relu()
    x = linear(x.flatten(1), state["fc6.weight"], state["fc6.bias"]).relu()
    x = linear(x, state["fc7.weight"], state["fc7.bias"]).relu()
    x = linear(x, state["fc8.weight"], state["fc8.bias"])
    assert difference(net(two_images(64)), x) < 1e-10


@pytest.mark.parametrize("name", IN_TORCHVISION)
def test_torchvisions_keys_have_the_same_shapes_at_full_size(name):
    with torch.device("meta"):
        theirs = torchvision.models.get_model(VARIANTS[name].torchvision).state_dict()
        net = build(name)
    ours = net.state_dict()
    assert set(torchvision_names(net).values()) == set(theirs)
    assert all(ours[key].shape == theirs[other].shape for key, other in torchvision_names(net).items())


@pytest.mark.parametrize("name", ["vgg_a_lrn", "vgg_c", "vgg_cifar"])
def test_nets_that_torchvision_lacks_have_no_names_there(name):
    with torch.device("meta"), pytest.raises(InputError, match=f"torchvision has no {name}: it has vgg_a, vgg_b"):
        torchvision_names(build(name))


# Names, sizes, dropout


def test_the_names_by_which_they_are_known_build_the_same_nets():
    assert {alias: ours for alias, ours in ALIASES.items() if alias.startswith("vgg")} == {
        "vgg11": "vgg_a", "vgg13": "vgg_b", "vgg16": "vgg_d", "vgg19": "vgg_e",
        "vgg11_bn": "vgg_a_bn", "vgg13_bn": "vgg_b_bn", "vgg16_bn": "vgg_d_bn", "vgg19_bn": "vgg_e_bn",
    }  # fmt: skip
    for alias, ours in ALIASES.items():
        assert ours in names()
        assert alias not in names()
        assert parameters(alias) == parameters(ours)
    with torch.device("meta"):
        assert build("vgg16").name == "vgg_d"


@pytest.mark.parametrize("name", list(VARIANTS))
def test_dropout_scales_in_training_and_follows_fc6_and_fc7(name):
    with torch.device("meta"):
        stages = build_variant(VARIANTS[name], 3, 32).stages
    assert list(stages)[-5:] == ["fc6", "drop6", "fc7", "drop7", "fc8"]
    for drop in (stages["drop6"], stages["drop7"]):
        assert isinstance(drop, Dropout)
        assert (drop.kind, drop.keep) == ("inverted", 0.5)


@pytest.mark.parametrize(("size", "side"), [(32, 1), (63, 1), (64, 2), (100, 3), (224, 7)])
def test_fc6_is_built_for_the_size(size, side):
    with torch.device("meta"):
        net = build("vgg_c", 5, size)
        assert net.fc6.field == (512, side, side)
        assert net(torch.empty(1, 3, size, size)).shape == (1, 5)
        assert net.score_map(torch.empty(1, 3, size + 64, size + 32)).shape == (1, 5, 3, 2)


def test_too_small_a_size_is_an_error_that_names_the_smallest():
    with pytest.raises(InputError, match="vgg_d cannot be built for 31 x 31 pixels: the smallest size is 32"):
        build("vgg_d", 10, 31)
    with pytest.raises(InputError, match="vgg_a: 1 classes came"):
        build("vgg_a", 1)
    with pytest.raises(InputError, match="no start 'glorot'"):
        build("vgg_a", 2, start="glorot")  # type: ignore[arg-type]


# Starts


@pytest.mark.parametrize("start", ["paper", "he"])
@pytest.mark.parametrize("name", ["vgg_c", "vgg_a_bn", "vgg_cifar"])
@torch.no_grad()
def test_initial_weights_are_the_papers_or_hes_and_biases_0(name, start):
    torch.manual_seed(0)
    net = build_variant(replace(VARIANTS[name], hidden=200), 100, 32, start)
    layers = [layer for layer in net.modules() if isinstance(layer, Conv | FullyConnected)]
    assert len(layers) == (16 if name == "vgg_c" else 11)
    for layer in layers:
        paper = start == "paper" or layer is net.fc8
        expected = 0.01 if paper else (2 / layer.weight[0].numel()) ** 0.5
        assert float(layer.weight.std()) == pytest.approx(expected, rel=0.05)
        assert abs(float(layer.weight.mean())) < expected * 0.1
        assert (layer.bias == 0).all()


@pytest.mark.parametrize("name", list(FROM_A))
@torch.no_grad()
def test_a_deeper_net_takes_the_papers_seven_layers_from_a(name):
    shallower, net = small("vgg_a", 64), small(name, 64)
    before = {stage: layer.weight.clone() for stage, layer in net.stages.items() if hasattr(layer, "weight")}
    for layer in shallower.modules():
        if isinstance(layer, Conv | FullyConnected):
            layer.weight.normal_(0, 0.2)
            assert layer.bias is not None
            layer.bias.normal_(0, 0.2)
    taken = ["conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8"]
    assert from_shallower(net, shallower) == taken == list(FROM_A[name])
    for stage, weight in before.items():
        now = net.stages[stage]
        if stage in taken:
            assert torch.equal(now.weight, shallower.stages[stage].weight)
            assert torch.equal(now.bias, shallower.stages[stage].bias)
        else:
            assert torch.equal(now.weight, weight)


def test_fc8_of_other_classes_is_not_taken():
    shallower, net = small("vgg_a", 32, classes=4), small("vgg_d", 32, classes=7)
    before = net.fc8.weight.clone()
    assert "fc8" not in from_shallower(net, shallower)
    assert torch.equal(net.fc8.weight, before)
    assert torch.equal(net.fc7.weight, shallower.fc7.weight)


def test_the_start_from_a_refuses_other_pairs_and_sizes():
    with pytest.raises(InputError, match="vgg_d cannot start from vgg_b: start one of vgg_b, vgg_c, vgg_d, vgg_e"):
        from_shallower(small("vgg_d"), small("vgg_b"))
    with pytest.raises(InputError, match="vgg_a_lrn cannot start from vgg_a"):
        from_shallower(small("vgg_a_lrn"), small("vgg_a"))
    with pytest.raises(InputError, match="built for 64 pixels, the trained vgg_a for 32: build it with size=32"):
        from_shallower(small("vgg_b", 64), small("vgg_a", 32))


def test_the_same_seed_gives_the_same_weights():
    first, again = small("vgg_cifar").state_dict(), small("vgg_cifar").state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_batch_normalisation_stands_between_convolution_and_relu():
    net = small("vgg_a_bn")
    stages = [stage for name, stage in net.stages.items() if name.startswith("conv")]
    assert len(stages) == sum(map(len, BLOCKS["A"]))
    for stage in stages:
        assert isinstance(stage, ConvNorm)
        assert stage.relu
        assert stage.conv.bias is not None
    assert net.features(two_images(), "conv3_1").min() == 0
