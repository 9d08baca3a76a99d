"""Where the publications say what LeNet-5, NIN, VGG, GoogLeNet and ResNet are, and how their weights begin.

Read in the papers, their released files and torchvision. The numbers of the nets themselves stand in their own files
and nowhere else. What the publications say of the training: `published_training`.
"""

from alexnet.models.published import CAFFE, COMPUTED, OURS, TV, Fact

# How the weights begin.


def _start(weights: str, biases: str, source: str) -> dict[str, Fact]:
    return {"initial weights": Fact(weights, source), "initial biases": Fact(biases, source)}


_LENET = "paper, appendix A"
_NIN = "release, train_val.prototxt"
_VGG = f"paper, section 3.1; {OURS}: its variance of 0.01 is read as the deviation"
_GOOGLENET = f"{CAFFE}, models/bvlc_googlenet/train_val.prototxt: the paper does not say"
_HE = "paper, section 3.4: He and others, 2015"
_UNIFORM = "uniform within 2.4 / fan-in of the unit"
_CAFFES = _start("uniform, variance 1 / fan-in", "0.2, of the last layers 0", _GOOGLENET)
_OF_VGG = _start("N(0, 0.01)", "0", _VGG)
_OF_RESNET = _start("normal, variance 2 / fan-in; fc N(0, 0.01)", "0", _HE)

START: dict[str, dict[str, Fact]] = {
    "lenet5": _start(_UNIFORM, _UNIFORM, _LENET),
    "lenet5_mse": _start(_UNIFORM, _UNIFORM, _LENET),
    "lenet5_softmax": _start(_UNIFORM, _UNIFORM, f"{OURS}: as lenet5"),
    "nin": _start("N(0, 0.05); conv1, conv3 and cccp8 0.01", "0", _NIN),
    "nin_cifar": _start("N(0, 0.05)", "0", _NIN),
    "nin_mnist": _start("N(0, 0.05)", "0", f"{OURS}: as nin_cifar"),
    **{f"vgg_{column}": _OF_VGG for column in ("a", "a_lrn", "b", "c", "d", "e")},
    **{f"vgg_{column}_bn": _start("N(0, 0.01)", "0", f"{OURS}: as without batch norm") for column in "abde"},
    "vgg_cifar": _start("N(0, 0.01)", "0", f"{OURS}: as vgg_a"),
    "googlenet": _CAFFES,
    "googlenet_bn": _CAFFES,
    "googlenet_torchvision": _start("N(0, 0.01)", "uniform within 1 / sqrt(fan-in)", f"{TV}, models/googlenet.py"),
    **dict.fromkeys(("plain18", "plain34"), _OF_RESNET),
    **{f"resnet{layers}": _OF_RESNET for layers in (18, 34, 50, 101, 152)},
    **{f"resnet{layers}_v1_5": _OF_RESNET for layers in (50, 101, 152)},
    **{f"resnet{layers}_cifar": _OF_RESNET for layers in (20, 32, 44, 56, 110)},
}

# Where the facts of the net are written. The first line of each holds for every topic not named below it.

_NET_OF_LENET = COMPUTED | {"": "paper, section II.B", "activation": _LENET, "loss": "paper, section II.C"}
_NET_OF_NIN = COMPUTED | {
    "": _NIN,
    "rounding of pooling": f"{CAFFE}, src/caffe/layers/pooling_layer.cpp",
    "dropout": f"{CAFFE}, src/caffe/layers/dropout_layer.cpp",
}
_NET_OF_VGG = COMPUTED | {
    "": "paper, section 2.1 and table 1",
    "dropout": "paper, section 3.1",
    "dropout's place": "paper, section 3.1",
    "loss": "paper, section 3.1",
}
_NET_OF_GOOGLENET = COMPUTED | {
    "": "paper, section 5 and table 1",
    "LRN constant k": _GOOGLENET,
    "LRN factor of a square": _GOOGLENET,
    "LRN window and power": _GOOGLENET,
    "LRN maps in reach": "paper, figure 3",
    "rounding of pooling": f"{OURS}: only so do 112 pixels give 56",
}
_NET_OF_RESNET = COMPUTED | {
    "": "paper, section 3.3 and table 1",
    "shortcuts": "paper, sections 3.3 and 4.1",
    "stride within a block": "the authors' released files",
    "batch normalisation": "paper, section 3.4",
    "pooling": f"{OURS}, as torchvision: the paper does not say how it meets the edge",
    "rounding of pooling": f"{OURS}, as torchvision: the paper does not say how it meets the edge",
    "dropout": "paper, section 3.4",
}
_TV_VGG, _TV_RESNET = ({"": f"{TV}, models/{file}.py"} | COMPUTED for file in ("vgg", "resnet"))

NET_SOURCES: dict[str, dict[str, str]] = {
    "lenet5": _NET_OF_LENET,
    "lenet5_mse": _NET_OF_LENET,
    "lenet5_softmax": COMPUTED | {"": "tutorials", "activation": f"{OURS}: the paper's"},
    "nin": _NET_OF_NIN,
    "nin_cifar": _NET_OF_NIN | {"": "release for CIFAR"},
    "nin_mnist": _NET_OF_NIN | {"": "release for MNIST"},
    **{f"vgg_{column}": _NET_OF_VGG for column in ("a", "a_lrn", "b", "c", "d", "e")},
    **{f"vgg_{column}_bn": _TV_VGG for column in "abde"},
    "vgg_cifar": COMPUTED | {"": f"{OURS}: vgg_a for small images"},
    "googlenet": _NET_OF_GOOGLENET,
    "googlenet_bn": _NET_OF_GOOGLENET | {"batch normalisation": f"{OURS}: the paper has none"},
    "googlenet_torchvision": COMPUTED | {"": f"{TV}, models/googlenet.py"},
    **dict.fromkeys(("plain18", "plain34"), _NET_OF_RESNET),
    **{f"resnet{layers}": _NET_OF_RESNET for layers in (18, 34, 50, 101, 152)},
    **{f"resnet{layers}_v1_5": _TV_RESNET for layers in (50, 101, 152)},
    **{f"resnet{layers}_cifar": COMPUTED | {"": "paper, section 4.2"} for layers in (20, 32, 44, 56, 110)},
}
