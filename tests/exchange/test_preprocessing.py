"""What a foreign net does to its input is folded into ours exactly, and never guessed."""

from dataclasses import replace

import pytest
import torch

from alexnet.errors import InputError
from alexnet.exchange.agreement import images_to_compare
from alexnet.exchange.preprocessing import PREPROCESSING, Preprocessing, chosen_preprocessing
from alexnet.models import VARIANTS, build_variant, resnet

ODD = Preprocessing((10.0, 120.0, 200.0), (30.0, 60.0, 90.0), "bgr", "made up")


def random_net():
    torch.manual_seed(0)
    variant = replace(resnet.VARIANTS["resnet18"], blocks=(1, 1), width=8)
    net = resnet.build_variant(variant, 4, 33).double().eval()
    for norm in (module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.3)
        norm.running_var.uniform_(0.5, 1.5)
    net.fc.weight.data.normal_()
    return net


@pytest.mark.parametrize("name", [*PREPROCESSING, "odd"])
def test_a_folded_net_gives_on_pixels_what_the_other_gave_on_its_own_input(name):
    """Also at the edges, where the zeros of the padding stand for the mean before and after."""
    preprocessing = PREPROCESSING.get(name, ODD)
    net = random_net()
    images = images_to_compare(33, 2).double()
    with torch.inference_mode():
        before = net(preprocessing(images))
        preprocessing.fold_into(net)
        after = net(images)
        wrong = net(images.flip(1))
    largest = float(before.abs().max())
    assert float((before[0] - before[1]).abs().max()) > 0.01 * largest
    assert float((before - after).abs().max()) < 1e-6 * largest  # the net's mean and scale are float32
    assert float((before - wrong).abs().max()) > 0.01 * largest


def test_one_scale_for_all_channels_leaves_the_weights_as_they_are():
    net = random_net()
    weight = net.get_submodule("conv1.conv").weight.clone()
    PREPROCESSING["torchvision_googlenet"].fold_into(net)
    assert torch.equal(net.get_submodule("conv1.conv").weight, weight)
    assert float(net.scale) == 127.5


def test_folding_leaves_the_tensors_that_came_in_alone():
    net = build_variant(replace(VARIANTS["alexnet_half"], widths=(8, 8, 8, 8, 8), hidden=(8, 8)), 4, 67)
    weight = net.get_submodule("conv1").weight
    copy = weight.detach().clone()
    ODD.fold_into(net)
    assert torch.equal(weight, copy)
    assert not torch.equal(net.get_submodule("conv1").weight, copy)


def test_names_and_options_go_together():
    chosen = chosen_preprocessing("caffe", mean="1,2,3")
    assert (chosen.mean, chosen.channels, chosen.source) == ((1, 2, 3), "bgr", "given")
    assert chosen_preprocessing("caffe") == PREPROCESSING["caffe"]
    assert chosen_preprocessing(None, "1,2,3", "58", "rgb") == Preprocessing((1, 2, 3), (58, 58, 58), "rgb", "given")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((None,), "does not say .* one of torchvision, .* or all of --mean, --scale and --channels"),
        ((None, "1,2,3", "1"), "does not say"),
        (("tensorflow",), "no preprocessing 'tensorflow'"),
        (("caffe", "1,2"), "--mean 1,2: give three numbers"),
        (("caffe", "a,b,c"), "--mean a,b,c: give three numbers"),
        (("caffe", None, "0"), "--scale 0: give one positive number or three"),
        (("caffe", None, "1,2"), "--scale 1,2: give one positive number or three"),
    ],
)
def test_what_makes_no_sense_is_an_error(given, words):
    with pytest.raises(InputError, match=words):
        chosen_preprocessing(*given)
