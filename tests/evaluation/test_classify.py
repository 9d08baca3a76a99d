"""Running a net by a protocol: each image once, views averaged as said, nothing left changed."""

import numpy as np
import pytest
import torch

from alexnet.augment import center_view, to_planes
from alexnet.data import open_source, pack
from alexnet.evaluation import classify
from alexnet.evaluation.classify import batch_probabilities, measure, probabilities
from alexnet.models import build


@pytest.fixture
def net(tiny):
    torch.manual_seed(0)
    net = build(tiny, classes=10, size=67, start="he").eval()
    net.set_preprocessing(torch.full((3,), 80.0), 60.0)
    with torch.no_grad():
        net.fc8.weight.mul_(50)  # answers that differ from image to image
    return net


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return pack(open_source("digits"), tmp_path_factory.mktemp("digits") / "packed")


def test_each_image_counts_once_and_in_order_whatever_the_batch(net, packed):
    rows = np.array([5, 3, 1000, 7, 7, 42, 9])
    together = probabilities(net, packed, rows, 77, 67, batch=100)
    one_by_one = np.concatenate([probabilities(net, packed, rows[i : i + 1], 77, 67) for i in range(len(rows))])
    threes = probabilities(net, packed, rows, 77, 67, batch=3)
    assert together.shape == (7, 10)
    assert np.abs(together - one_by_one).max() < 1e-6
    assert np.abs(together - threes).max() < 1e-6
    assert np.allclose(together.sum(1), 1)
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_the_centre_view_is_the_softmax_of_the_centre(net, packed):
    images = packed.read(np.arange(4))
    with torch.no_grad():
        wanted = net(center_view(to_planes(images, 77, "cpu"), 67)[0]).double().softmax(-1)
    assert torch.allclose(batch_probabilities(net, images, 77, 67, "center"), wanted, atol=1e-7)


def test_dense_averages_the_map_and_the_mirror(net):
    images = np.random.default_rng(0).integers(0, 256, (2, 131, 163, 3), dtype=np.uint8)
    planes = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float()
    with torch.no_grad():
        maps = [net.score_map(x) for x in (planes, planes.flip(-1))]
    assert maps[0].shape[2:] == (3, 4)
    wanted = sum(m.double().mean((2, 3)).softmax(-1) for m in maps) / 2
    assert torch.allclose(batch_probabilities(net, images, 131, 67, "dense"), wanted, atol=1e-6)
    ragged = [images[0], images[1, :, :140]]
    apart = batch_probabilities(net, ragged, 131, 67, "dense")
    assert torch.allclose(apart[0], wanted[0], atol=1e-6)


def test_measuring_leaves_a_net_in_training_as_it_was(net, packed):
    net.train()
    result = measure(net, packed, np.arange(50), 77, 67, batch=16)
    assert net.training
    p = probabilities(net, packed, np.arange(50), 77, 67)
    labels = packed.labels[:50]
    assert result["error"] == pytest.approx((p.argmax(1) != labels).mean())
    assert result["loss"] == pytest.approx(-np.log(p[np.arange(50), labels]).mean(), rel=1e-5)


@pytest.mark.parametrize(("views", "sizes"), [("center", [64, 6]), ("ten", [6] * 11 + [4]), ("dense", [8] * 8 + [6])])
def test_of_more_or_larger_views_fewer_images_are_taken_at_once(net, packed, monkeypatch, views, sizes):
    seen = []

    def count(net, images, *_):
        seen.append(len(images))
        return torch.full((len(images), 10), 0.1)

    monkeypatch.setattr(classify, "batch_probabilities", count)
    probabilities(net, packed, np.arange(70), 134, 67, views, batch=64)
    assert seen == sizes  # dense: an image and its mirror image of four times the pixels each
