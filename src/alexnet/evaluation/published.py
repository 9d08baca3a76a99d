"""Published error figures, and which of them a result may be compared with.

Source: Krizhevsky et al. 2012, section 6 and tables 1 and 2; the readme of BVLC's bvlc_alexnet; torchvision's
documentation of its AlexNet weights.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """One figure: error in per cent, and under which protocol."""

    model: str
    data: str
    views: str
    top1: float
    top5: float
    where: str


PUBLISHED = [
    Published("alexnet", "ILSVRC-2012 validation", "ten", 40.7, 18.2, "Krizhevsky et al. 2012, table 2, one net"),
    Published("alexnet_2012", "ILSVRC-2012 validation", "ten", 40.7, 18.2, "the 2012 code's own note on net 145"),
    Published("caffe_alexnet", "ILSVRC-2012 validation", "center", 42.9, 19.8, "BVLC bvlc_alexnet readme"),
    Published("caffenet", "ILSVRC-2012 validation", "center", 42.6, 19.6, "BVLC bvlc_reference_caffenet readme"),
    Published("alexnet_2014", "ILSVRC-2012 validation", "center", 43.478, 20.934, "torchvision's documentation"),
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
    if not imagenet:
        return f"no published figure: no paper measured {model} on {source}"
    if split != "test":
        return f"no published figure: these are the {split} images, published figures are of held-out ones"
    if averaged != "softmax":
        return "no published figure: AlexNet's figures average softmax outputs, not scores"
    same = [row for row in PUBLISHED if row.model == model and row.data == "ILSVRC-2012 validation"]
    for row in same:
        if row.views == views:
            return f"{row.top1} % top-1 and {row.top5} % top-5 error, {row.data}, {row.views} views ({row.where})"
    if same:
        return f"no published figure with {views} views: the published one of {model} has {same[0].views}"
    return f"no published figure known for {model}"
