"""The classifier around the stages: preprocessing, sizes, features, loss, convolutions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alexnet.errors import InputError
from alexnet.models import VARIANTS, Classifier, as_convolutions, build_variant, from_convolutions
from comparing import difference


def small(name: str = "alexnet", size: int = 67, classes: int = 5, **fields) -> Classifier:
    """A variant with small fully-connected layers, He weights and biases that are not 0."""
    torch.manual_seed(3)
    net = build_variant(replace(VARIANTS[name], hidden=(24, 16), **fields), classes, size, start="he")
    for name, p in net.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(p, 0, 0.1)
    return net


def images(n: int = 2, side: int = 67, seed: int = 0) -> Tensor:
    """Two unlike images, as floats in 0..255."""
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 255


def test_state_keys_are_the_stages_names():
    net = small()
    assert list(net.state_dict())[:4] == ["mean", "scale", "conv1.weight", "conv1.bias"]
    assert {key.split(".")[0] for key in net.state_dict()} == {
        "mean", "scale", "conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8",
    }  # fmt: skip
    assert net.stages["conv3"] is net.conv3
    assert net.classifier_stage == "fc8"
    assert net.classes == 5


def test_features_are_what_the_stages_give_one_after_the_other():
    net, x = small().eval(), images()
    y = net.preprocess(x)
    for name, stage in net.stages.items():
        y = stage(y)
        assert torch.equal(net.features(x, name), y)
    assert torch.equal(net(x), y)
    with pytest.raises(InputError, match="no stage 'conv9'; it has conv1, norm1"):
        net.features(x, "conv9")


def test_the_mean_is_subtracted_before_padding():
    net = small(size=68)
    assert sum(net.conv1.ends) == 3
    mean = images(1, 68)[0]
    net.set_preprocessing(mean, 2.0)
    # An image that is the mean is 0 everywhere, padding included, so only the bias is left.
    y = net.features(mean[None], "conv1")
    expected = net.conv1.bias.clamp(min=0)[None, :, None, None].expand_as(y)
    assert torch.equal(y, expected)


def test_preprocessing_is_mean_and_scale_and_leaves_the_images_alone():
    net, x = small(), images()
    kept = x.clone()
    net.set_preprocessing([10.0, 20.0, 30.0], 4.0)
    expected = (x.numpy() - np.array([10, 20, 30], np.float32)[:, None, None]) / 4
    np.testing.assert_allclose(net.preprocess(x).numpy(), expected, rtol=1e-6)
    assert torch.equal(x, kept)


def test_a_mean_image_serves_its_own_size_and_its_channel_means_every_other():
    net, mean = small(), images(1)[0]
    net.set_preprocessing(mean.numpy(), 1)
    torch.testing.assert_close(net.preprocess(images(seed=1)), images(seed=1) - mean)
    larger = images(2, 80)
    torch.testing.assert_close(net.preprocess(larger), larger - mean.mean((1, 2), keepdim=True))


@pytest.mark.parametrize("mean", [torch.zeros(4), torch.zeros(3, 60, 60), torch.zeros(1, 67, 67)])
def test_a_mean_of_another_shape_is_an_error(mean):
    with pytest.raises(InputError, match="give 3 numbers or an image"):
        small().set_preprocessing(mean, 1.0)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_not_positive_is_an_error(scale):
    with pytest.raises(InputError, match="give a positive number"):
        small().set_preprocessing(torch.zeros(3), scale)


def test_a_mean_image_travels_in_the_state():
    net, other = small(), small()
    net.set_preprocessing(images(1)[0], 3.0)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.mean, images(1)[0])
    assert float(other.scale) == 3.0
    other.load_state_dict(small().state_dict())
    assert other.mean.shape == (3, 1, 1)


def test_larger_images_give_the_heads_scores_at_every_position():
    net = small(conv1_padding=0).eval()
    net.set_preprocessing([120.0, 120.0, 120.0], 60.0)
    x = images(2, 67 + 32)
    scores = net.score_map(x)
    assert scores.shape == (2, 5, 2, 2)
    torch.testing.assert_close(net(x), scores.mean((2, 3)))
    assert net.score_map(x[:, :, :67, :67]).shape == (2, 5, 1, 1)
    assert net(x[:, :, :67, :83]).shape == (2, 5)
    # One position of the map is the head on the window of pool5 that lies there.
    maps = net.features(x, "pool5")
    y = net.stages["fc8"](net.stages["drop7"](net.fc7(net.drop6(net.fc6(maps[:, :, 1:2, :1])))))
    assert difference(scores[:, :, 1, 0], y) <= 1e-5


def test_images_of_the_wrong_shape_are_an_error():
    net = small()
    with pytest.raises(InputError, match=r"shape \(1, 1, 67, 67\) came; alexnet takes \[n, 3, h, w\]"):
        net(torch.zeros(1, 1, 67, 67))
    with pytest.raises(InputError, match=r"images of 66 x 90 pixels came; .* 67 x 67 .* build it with size=66"):
        net(torch.zeros(1, 3, 66, 90))


def test_adaptive_pooling_lets_smaller_and_larger_images_in():
    net = small("alexnet_2014", size=224).eval()
    for side in (net.smallest, 100, 300):
        assert net(images(1, side)).shape == (1, 5)
        assert net.score_map(images(1, side)).shape == (1, 5, 1, 1)
    with pytest.raises(InputError, match="takes 63 x 63 or larger"):
        net(images(1, net.smallest - 1))


def test_the_loss_is_the_mean_cross_entropy():
    net, x, labels = small().eval(), images(3), torch.tensor([0, 4, 2])
    scores, terms = net.scores_and_loss(x, labels)
    logs = scores.detach().double().log_softmax(1)
    expected = -logs[range(3), labels].mean()
    torch.testing.assert_close(terms["cross_entropy"].double(), expected)
    assert list(net.loss(x, labels)) == ["cross_entropy"]


def test_weighted_losses_of_parts_average_to_that_of_the_whole():
    net, x, labels = small().eval(), images(4), torch.tensor([0, 1, 1, 3])
    weights = torch.tensor([2.0, 0.5, 1.0, 1.5, 1.0])
    each = [net.loss(x[i : i + 1], labels[i : i + 1])["cross_entropy"] for i in range(4)]
    expected = sum(weights[label] * one for label, one in zip(labels, each, strict=True)) / 4
    whole = net.loss(x, labels, weights)["cross_entropy"]
    halves = [net.loss(x[rows], labels[rows], weights)["cross_entropy"] for rows in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(whole, expected)
    torch.testing.assert_close(whole, sum(halves) / 2)
    torch.testing.assert_close(
        net.loss(x, labels, torch.ones(5))["cross_entropy"], net.loss(x, labels)["cross_entropy"]
    )


def test_weights_go_to_convolutions_and_back():
    net, x = small(size=131).eval(), images(2, 131)
    state = as_convolutions(net)
    side = net.stages["fc6"].field[1]
    assert state["fc6.weight"].shape == (24, 256, side, side)
    assert side > 1
    y = net.features(x, "pool5")
    for name in ("fc6", "fc7", "fc8"):
        weight = state[f"{name}.weight"]
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2])
        conv.load_state_dict({"weight": weight, "bias": state[f"{name}.bias"]})
        y = conv(y) if name == "fc8" else conv(y).relu() * 0.5
    assert difference(net(x), y.flatten(1)) <= 1e-5
    back = from_convolutions(net, state)
    for key, value in net.state_dict().items():
        assert torch.equal(back[key], value)
