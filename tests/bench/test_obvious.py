"""The obvious way computes what ours computes, so that their times can be compared."""

import numpy as np
import pytest
import torch

from alexnet.augment import ten_views, to_planes
from alexnet.bench.obvious import (
    DEVIATION,
    MEAN,
    RATE,
    PlainAlexNet,
    loader,
    one_view_at_a_time,
    ten_crop,
    training_step,
)
from alexnet.bench.step import batch_of, net_for
from alexnet.bench.synthetic import about, jpeg_folder, synthetic_image
from alexnet.evaluation.classify import batch_probabilities
from alexnet.models.dropout import Dropout


@pytest.fixture
def nets(thin, settings):
    """Ours and the obvious one with its weights, in evaluation mode, in float64: only the formula may differ."""
    ours = net_for(settings).double().eval()
    return ours, PlainAlexNet(ours).double().eval()


def test_the_obvious_net_gives_the_scores_of_ours(nets, settings):
    ours, plain = nets
    images = batch_of(settings)[0].double()
    torch.testing.assert_close(plain(images - ours.mean), ours(images), rtol=1e-9, atol=1e-9)


def test_the_obvious_net_gives_the_gradients_of_ours(nets, settings):
    ours, plain = nets
    images, labels = batch_of(settings)
    images = images.double()
    for net, x in ((ours, images), (plain, images - ours.mean)):
        torch.nn.functional.cross_entropy(net(x), labels).backward()
    torch.testing.assert_close(plain[0].weight.grad, ours.conv1.weight.grad, rtol=1e-8, atol=1e-14)
    torch.testing.assert_close(plain[4].weight.grad, ours.conv2.weight.grad, rtol=1e-8, atol=1e-14)
    # Behind a dropout the weights stand halved, and so the gradient is twice as large.
    torch.testing.assert_close(plain[19].weight.grad, 2 * ours.fc7.weight.grad, rtol=1e-8, atol=1e-14)


def test_with_dropout_both_see_the_same_in_the_mean(nets):
    ours, plain = nets
    drops = [layer for layer in plain if isinstance(layer, torch.nn.Dropout)]
    assert [layer.p for layer in drops] == [1 - s.keep for s in ours.stages.values() if isinstance(s, Dropout)]


def test_a_step_of_the_obvious_way_is_the_rule_of_the_paper(nets, settings):
    _, plain = nets
    images, labels = batch_of(settings)
    plain.eval()
    step = training_step(plain, images.double() - 120, labels)
    plain.eval()  # without dropout, to compute the same once more
    before = plain[0].weight.detach().clone()
    torch.nn.functional.cross_entropy(plain(images.double() - 120), labels).backward()
    gradient = plain[0].weight.grad.clone()
    step()
    torch.testing.assert_close(plain[0].weight.detach(), before - RATE * (gradient + 5e-4 * before))


def test_the_ten_views_of_torchvision_give_the_probabilities_of_ours(nets, settings):
    ours, plain = nets
    images = np.random.default_rng(0).integers(0, 256, (3, 76, 76, 3), dtype=np.uint8)
    moved = torch.from_numpy(images).permute(0, 3, 1, 2)
    wanted = batch_probabilities(ours.float(), images, 76, 67, "ten")
    for way in (ten_crop, one_view_at_a_time):
        torch.testing.assert_close(way(plain.float(), moved, 67, ours.mean).double(), wanted, rtol=1e-4, atol=1e-6)
    assert len(ten_views(to_planes(images, 76, "cpu"), 67)) == 10


def test_the_reference_loader_gives_normalised_batches_of_every_class(small_images):
    folder = jpeg_folder(16)
    batches = list(loader(folder, 8, 67))
    assert [tuple(images.shape) for images, _ in batches] == [(8, 3, 67, 67)] * 2
    images = torch.cat([images for images, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    assert sorted(labels.tolist()) == sorted(list(range(8)) * 2)
    values = images * torch.tensor(DEVIATION)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    assert -1e-6 <= values.min() < 0.2
    assert 0.8 < values.max() <= 1 + 1e-6


def test_made_images_have_the_size_of_imagenets_and_about_the_length_of_its_files(tmp_path):
    folder = jpeg_folder(4)
    facts = about(folder)
    assert (facts["height"], facts["width"], facts["images"]) == (375, 500, 4)
    assert 90_000 < facts["mean_bytes"] < 130_000
    made = sorted(path.stat().st_mtime_ns for path in folder.rglob("*.jpg"))
    assert sorted(path.stat().st_mtime_ns for path in jpeg_folder(4).rglob("*.jpg")) == made  # written once
    assert np.array_equal(synthetic_image(1, 40, 60), synthetic_image(1, 40, 60))
    assert not np.array_equal(synthetic_image(1, 40, 60), synthetic_image(2, 40, 60))
