"""Published figures: each of its own protocol, and those of torchvision as torchvision carries them."""

import pytest
import torchvision

from alexnet.evaluation.published import IMAGENET, PUBLISHED, TESTED, comparable_to
from alexnet.models import ALIASES, names


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("alexnet", "imagenet", "ten", "softmax", "test"), "40.7 % top-1 and 18.2 % top-5"),
        (("alexnet", "imagenet", "center", "softmax", "test"), "no published figure with center views"),
        (("alexnet", "imagenet", "ten", "scores", "test"), "average softmax outputs"),
        (("alexnet", "imagenet", "ten", "softmax", "val"), "these are the val images"),
        (("caffe_alexnet", "imagenet", "center", "softmax", "test"), "42.9 % top-1 and 19.8 % top-5"),
        (("alexnet_one_column", "imagenet", "center", "softmax", "test"), "no published figure known"),
        (("vgg_d", "imagenet", "dense", "softmax", "test"), "25.6 % top-1 and 8.1 % top-5"),
        (("vgg_d", "imagenet", "center", "softmax", "test"), "28.408 % top-1 and 9.618 % top-5"),
        (("vgg_d", "imagenet", "ten", "softmax", "test"), "the published one of vgg_d has dense and center"),
        (("googlenet", "imagenet", "ten", "softmax", "test"), "9.15 % top-5 error, ILSVRC-2012 validation, ten views"),
        (("resnet50", "imagenet", "ten", "softmax", "test"), "22.85 % top-1 and 6.71 % top-5"),
        (("resnet50", "imagenet", "center", "softmax", "test"), "no published figure with center views"),
        (("resnet50_v1_5", "imagenet", "center", "softmax", "test"), "23.87 % top-1"),
        (("resnet20_cifar", "imagenet", "center", "softmax", "test"), "no published figure known"),
    ],
)
def test_a_result_compares_only_with_a_figure_of_its_own_protocol(arguments, words):
    assert words in comparable_to(*arguments, imagenet=True)
    model, _, *protocol = arguments
    assert comparable_to(model, "digits", *protocol, imagenet=False) == (
        f"no published figure: no paper measured {model} on digits"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resnet20_cifar", "cifar10", "center", "softmax", "test"), "8.75 % top-1 error, CIFAR-10 test, center views"),
        (("resnet20_cifar", "cifar10", "center", "softmax", "train"), "these are the train images"),
        (("resnet20_cifar", "cifar10", "ten", "softmax", "test"), "no published figure with ten views"),
        (("resnet20_cifar", "mnist", "center", "softmax", "test"), "no paper measured resnet20_cifar on mnist"),
        (("resnet50", "cifar10", "center", "softmax", "test"), "no paper measured resnet50 on cifar10"),
        (("nin_cifar", "cifar10", "center", "softmax", "test"), "10.41 % top-1 error, CIFAR-10 test"),
        (("nin_mnist", "mnist", "center", "softmax", "test"), "0.47 % top-1 error, MNIST test"),
        (("lenet5", "fashion-mnist", "center", "softmax", "test"), "no paper measured lenet5 on fashion-mnist"),
    ],
)
def test_small_images_have_figures_of_their_own(arguments, words):
    assert words in comparable_to(*arguments, imagenet=False)


def test_published_figures_name_where_they_stand_and_a_net_that_there_is():
    for row in PUBLISHED:
        assert row.model in names()
        assert row.data in (IMAGENET, *TESTED.values())
        assert row.where
        errors = [error for error in (row.top5, row.top1) if error is not None]
        assert errors
        assert errors == sorted(errors)
        assert 0 < errors[0] <= errors[-1] < 50
    places = [(row.model, row.data, row.views) for row in PUBLISHED]
    assert len(set(places)) == len(places)


def test_torchvisions_figures_are_those_that_its_first_weights_carry():
    rows = [row for row in PUBLISHED if row.where.startswith("torchvision")]
    assert len(rows) == 15
    for row in rows:
        theirs = row.where.partition(", ")[2] or "alexnet"
        weights = torchvision.models.get_model_weights(theirs)["IMAGENET1K_V1"]
        measured = weights.meta["_metrics"]["ImageNet-1K"]
        assert (row.top1, row.top5) == (round(100 - measured["acc@1"], 3), round(100 - measured["acc@5"], 3))
        assert ALIASES.get(theirs, row.model) == row.model
