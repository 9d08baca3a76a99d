"""Published error figures, and which of them a result may be compared with.

Sources: Krizhevsky et al. 2012, section 6 and tables 1 and 2; Simonyan and Zisserman 2014, table 3; Szegedy et al.
2014, table 3; He et al. 2015, tables 2, 3 and 6; Lin et al. 2014, tables 1 and 4; LeCun et al. 1998, section III; the
readmes of BVLC's nets and of the NIN release; torchvision's documentation of its first weights of each net.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """One figure: error in per cent, and under which protocol; top-5 where there is one."""

    model: str
    data: str
    views: str
    top1: float | None
    top5: float | None
    where: str

    def __str__(self) -> str:
        """As a sentence has it."""
        errors = {"top-1": self.top1, "top-5": self.top5}
        text = " and ".join(f"{value:g} % {kind}" for kind, value in errors.items() if value is not None)
        return f"{text} error, {self.data}, {self.views} views ({self.where})"


IMAGENET = "ILSVRC-2012 validation"
CIFAR10 = "CIFAR-10 test"
MNIST = "MNIST test"
# Name of a source -> the images of its test part.
TESTED = {"cifar10": CIFAR10, "mnist": MNIST}

_KRIZHEVSKY = "Krizhevsky et al. 2012, table 2, one net"
_SIMONYAN = "Simonyan and Zisserman 2014, table 3"
_SZEGEDY = "Szegedy et al. 2014, table 3"
_HE = "He et al. 2015"
_TORCHVISION = "torchvision's documentation"

PUBLISHED = [
    Published("alexnet", IMAGENET, "ten", 40.7, 18.2, _KRIZHEVSKY),
    Published("alexnet_2012", IMAGENET, "ten", 40.7, 18.2, "the 2012 code's own note on net 145"),
    Published("caffe_alexnet", IMAGENET, "center", 42.9, 19.8, "BVLC bvlc_alexnet readme"),
    Published("caffenet", IMAGENET, "center", 42.6, 19.6, "BVLC bvlc_reference_caffenet readme"),
    Published("alexnet_2014", IMAGENET, "center", 43.478, 20.934, _TORCHVISION),
    Published("lenet5", MNIST, "center", 0.95, None, "LeCun et al. 1998, section III"),
    Published("nin", IMAGENET, "center", 40.64, None, "the release's readme"),
    Published("nin_cifar", CIFAR10, "center", 10.41, None, "Lin et al. 2014, table 1; 8.81 with shifts and mirror"),
    Published("nin_mnist", MNIST, "center", 0.47, None, "Lin et al. 2014, table 4"),
    Published("vgg_a", IMAGENET, "dense", 29.6, 10.4, f"{_SIMONYAN}, side 256"),
    Published("vgg_a_lrn", IMAGENET, "dense", 29.7, 10.5, f"{_SIMONYAN}, side 256"),
    Published("vgg_b", IMAGENET, "dense", 28.7, 9.9, f"{_SIMONYAN}, side 256"),
    Published("vgg_c", IMAGENET, "dense", 27.3, 8.8, f"{_SIMONYAN}, side 384, scales drawn in training"),
    Published("vgg_d", IMAGENET, "dense", 25.6, 8.1, f"{_SIMONYAN}, side 384, scales drawn in training"),
    Published("vgg_e", IMAGENET, "dense", 25.5, 8.0, f"{_SIMONYAN}, side 384, scales drawn in training"),
    Published("vgg_a", IMAGENET, "center", 30.98, 11.372, f"{_TORCHVISION}, vgg11"),
    Published("vgg_b", IMAGENET, "center", 30.072, 10.754, f"{_TORCHVISION}, vgg13"),
    Published("vgg_d", IMAGENET, "center", 28.408, 9.618, f"{_TORCHVISION}, vgg16"),
    Published("vgg_e", IMAGENET, "center", 27.624, 9.124, f"{_TORCHVISION}, vgg19"),
    Published("vgg_a_bn", IMAGENET, "center", 29.63, 10.19, f"{_TORCHVISION}, vgg11_bn"),
    Published("vgg_b_bn", IMAGENET, "center", 28.414, 9.626, f"{_TORCHVISION}, vgg13_bn"),
    Published("vgg_d_bn", IMAGENET, "center", 26.64, 8.484, f"{_TORCHVISION}, vgg16_bn"),
    Published("vgg_e_bn", IMAGENET, "center", 25.782, 8.158, f"{_TORCHVISION}, vgg19_bn"),
    Published("googlenet", IMAGENET, "center", None, 10.07, f"{_SZEGEDY}, one net, one crop"),
    Published("googlenet", IMAGENET, "ten", None, 9.15, f"{_SZEGEDY}, one net, 10 crops"),
    Published("googlenet_torchvision", IMAGENET, "center", 30.222, 10.47, f"{_TORCHVISION}, googlenet"),
    Published("plain18", IMAGENET, "ten", 27.94, None, f"{_HE}, table 2"),
    Published("plain34", IMAGENET, "ten", 28.54, None, f"{_HE}, table 2"),
    Published("resnet34", IMAGENET, "ten", 24.52, 7.46, f"{_HE}, table 3, option B"),
    Published("resnet50", IMAGENET, "ten", 22.85, 6.71, f"{_HE}, table 3"),
    Published("resnet101", IMAGENET, "ten", 21.75, 6.05, f"{_HE}, table 3"),
    Published("resnet152", IMAGENET, "ten", 21.43, 5.71, f"{_HE}, table 3"),
    Published("resnet18", IMAGENET, "center", 30.242, 10.922, f"{_TORCHVISION}, resnet18"),
    Published("resnet34", IMAGENET, "center", 26.686, 8.58, f"{_TORCHVISION}, resnet34"),
    Published("resnet50_v1_5", IMAGENET, "center", 23.87, 7.138, f"{_TORCHVISION}, resnet50"),
    Published("resnet101_v1_5", IMAGENET, "center", 22.626, 6.454, f"{_TORCHVISION}, resnet101"),
    Published("resnet152_v1_5", IMAGENET, "center", 21.688, 5.954, f"{_TORCHVISION}, resnet152"),
    Published("resnet20_cifar", CIFAR10, "center", 8.75, None, f"{_HE}, table 6"),
    Published("resnet32_cifar", CIFAR10, "center", 7.51, None, f"{_HE}, table 6"),
    Published("resnet44_cifar", CIFAR10, "center", 7.17, None, f"{_HE}, table 6"),
    Published("resnet56_cifar", CIFAR10, "center", 6.97, None, f"{_HE}, table 6"),
    Published("resnet110_cifar", CIFAR10, "center", 6.43, None, f"{_HE}, table 6, best of five"),
]


def comparable_to(model: str, source: str, views: str, averaged: str, split: str, imagenet: bool) -> str:
    """Say which published figure a result may be compared with, or why with none.

    Only a result on the same images, of the same net, with the same views averaged in the same way compares.

    Args:
        model: name of the net.
        source: name of the images.
        views: "center", "ten" or "dense".
        averaged: "softmax" or "scores".
        split: "train", "val", "test" or "all".
        imagenet: whether the images are those of ILSVRC-2012 as distributed, whose validation part is our test.
    """
    data = IMAGENET if imagenet else TESTED.get(source)
    same = [row for row in PUBLISHED if row.model == model and row.data == data]
    if not same and not imagenet:
        return f"no published figure: no paper measured {model} on {source}"
    if not same:
        return f"no published figure known for {model}"
    if split != "test":
        return f"no published figure: these are the {split} images, published figures are of held-out ones"
    if averaged != "softmax":
        return "no published figure: the published ones average softmax outputs, not scores"
    for row in same:
        if row.views == views:
            return str(row)
    known = " and ".join(row.views for row in same)
    return f"no published figure with {views} views: the published one of {model} has {known}"
