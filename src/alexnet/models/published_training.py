"""What the publications say of the training of LeNet-5, NIN, VGG, GoogLeNet and ResNet.

Read in the papers, the authors' released files and torchvision's references; AlexNets': `published`.
"""

from alexnet.models.published import CAFFE, TV, Fact
from alexnet.models.published import TRAINING as OF_ALEXNETS

Said = dict[str, tuple[str, str]]  # topic -> value and source

_NIN = "release, train_val.prototxt"
_HOLDS = "holds the rate: steps shrink slowly after a drop"

_LENET_TRAINING: Said = {
    "batch": ("1 image", "paper, section III.B"),
    "momentum": ("none", "paper, appendix C"),
    "first rate": ("0.0005 / (0.02 + h), h each weight's curvature", "paper, section III.B and appendix C"),
    "schedule": ("0.0005, 0.0002, 0.0001, 0.00005, 0.00001, after 2, 5, 8 and 12 passes", "paper, section III.B"),
    "length": ("20 passes", "paper, section III.B"),
    "resizing": ("digits of 28 x 28 in a field of 32 x 32", "paper, section II.B"),
    "mean": ("background -0.1", "paper, section II.B"),
    "scale": ("ink 1.175", "paper, section II.B"),
    "test views": ("1", "paper, section III.B"),
}
_NIN_TRAINING: Said = {
    "batch": ("64", _NIN),
    "momentum": ("0.9", "release, solver.prototxt"),
    "first rate": ("0.01", "release, solver.prototxt"),
    "rate of the biases": ("twice the weights', always", f"{_NIN}: lr_mult"),
    "weight decay": ("0.0005", "release, solver.prototxt"),
    "decay of the biases": ("none", f"{_NIN}: decay_mult"),
    "velocity": (_HOLDS, f"{CAFFE}, src/caffe/solvers/sgd_solver.cpp"),
    "schedule": ("rate / 10 every 200,000 steps", "release, solver.prototxt"),
    "length": ("450,000 steps", "release, solver.prototxt"),
    "mean": ("mean image, cut where the crop lies", f"{CAFFE}, src/caffe/data_transformer.cpp"),
    "scale": ("none: inputs of about +-128", _NIN),
    "training crop": ("224 of 256", _NIN),
    "mirror": ("yes", _NIN),
}
_NIN_CIFAR_TRAINING: Said = {
    "batch": ("128", "release for CIFAR, in Caffe's format"),
    "momentum": ("0.9", "release for CIFAR, solver"),
    "first rate": ("0.1, of the last layer 0.01", "release for CIFAR, solver"),
    "weight decay": ("0.0001", "release for CIFAR, solver"),
    "velocity": (_HOLDS, f"{CAFFE}, src/caffe/solvers/sgd_solver.cpp"),
    "schedule": ("rate / 10 after 100,000 steps", "release for CIFAR, solver"),
    "length": ("120,000 steps", "release for CIFAR, solver"),
    "mean": ("global contrast normalisation and ZCA whitening", "paper, section 4.1"),
}
_VGG_TRAINING: Said = {
    "batch": ("256", "paper, section 3.1"),
    "momentum": ("0.9", "paper, section 3.1"),
    "first rate": ("0.01", "paper, section 3.1"),
    "weight decay": ("0.0005", "paper, section 3.1"),
    "velocity": (_HOLDS, "paper, section 3.3: derived from Caffe"),
    "schedule": ("rate / 10 when validation error stops falling, 3 times", "paper, section 3.1"),
    "length": ("370,000 steps, 74 epochs", "paper, section 3.1"),
    "resizing": ("shorter side to 256, to 384, or to 256 to 512 as drawn", "paper, section 3.1"),
    "mean": ("one number a channel", "paper, section 2.1"),
    "scale": ("none: inputs of about +-128", "paper, section 2.1"),
    "training crop": ("224", "paper, section 3.1"),
    "crop drawn for": ("each image", "paper, section 3.1"),
    "mirror": ("yes", "paper, section 3.1"),
    "colour noise": ("AlexNet's", "paper, section 3.1"),
    "test views": ("the whole image, dense, and its mirror image", "paper, section 3.2"),
}
_GOOGLENET_TRAINING: Said = {
    "momentum": ("0.9, by several machines that do not wait for each other", "paper, section 6"),
    "schedule": ("rate less 4 % every 8 epochs", "paper, section 6"),
    "mean": ("subtracted; of what is not said", "paper, section 5"),
    "training crop": ("8 to 100 % of the image, sides 3:4 to 4:3, resized to 224", "paper, section 6"),
    "crop drawn for": ("each image", "paper, section 6"),
    "colour noise": ("photometric distortions", "paper, section 6"),
    "test views": ("144, softmax averaged", "paper, section 7"),
}
_RESNET_TRAINING: Said = {
    "batch": ("256", "paper, section 3.4"),
    "momentum": ("0.9", "paper, section 3.4"),
    "first rate": ("0.1", "paper, section 3.4"),
    "weight decay": ("0.0001", "paper, section 3.4"),
    "velocity": (_HOLDS, "the authors trained by Caffe"),
    "schedule": ("rate / 10 when the error stops falling", "paper, section 3.4"),
    "length": ("up to 600,000 steps", "paper, section 3.4"),
    "resizing": ("shorter side to 256 to 480, as drawn", "paper, section 3.4"),
    "mean": ("each pixel's mean over the training set", "paper, section 3.4"),
    "training crop": ("224", "paper, section 3.4"),
    "crop drawn for": ("each image", "paper, section 3.4"),
    "mirror": ("yes", "paper, section 3.4"),
    "colour noise": ("AlexNet's", "paper, section 3.4"),
    "test views": ("10", "paper, section 3.4"),
}
_RESNET_CIFAR_TRAINING: Said = {
    "batch": ("128", "paper, section 4.2"),
    "momentum": ("0.9", "paper, section 4.2"),
    "first rate": ("0.1", "paper, section 4.2"),
    "weight decay": ("0.0001", "paper, section 4.2"),
    "velocity": (_HOLDS, "the authors trained by Caffe"),
    "schedule": ("rate / 10 after 32,000 and 48,000 steps", "paper, section 4.2"),
    "length": ("64,000 steps", "paper, section 4.2"),
    "resizing": ("none", "paper, section 4.2"),
    "mean": ("each pixel's mean over the training set", "paper, section 4.2"),
    "training crop": ("32 of 40, 4 pixels added at each side", "paper, section 4.2"),
    "crop drawn for": ("each image", "paper, section 4.2"),
    "mirror": ("yes", "paper, section 4.2"),
    "colour noise": ("none", "paper, section 4.2"),
    "test views": ("1, the image itself", "paper, section 4.2"),
}


def _training(said: Said, error: str, where: str, silent: str = "paper") -> dict[str, Fact]:
    """All topics of training, with "not said" where a publication leaves one out."""
    told = said | {"published error": (error, where)}
    return {topic: Fact(*told.get(topic, ("not said", silent))) for topic in OF_ALEXNETS["alexnet"]}


def _by_torchvision(error: str) -> dict[str, Fact]:
    """As torchvision trained its AlexNet, whose rate of 0.01 is for nets without batch normalisation."""
    return OF_ALEXNETS["alexnet_2014"] | {
        "first rate": Fact("0.1", f"{TV}, references/classification/README.md"),
        "published error": Fact(f"{error} % of ILSVRC-2012 validation, centre", f"{TV}, documentation of the weights"),
    }


def _imagenet(said: Said, errors: str, views: str, where: str) -> dict[str, Fact]:
    return _training(said, f"{errors} % of ILSVRC-2012 validation, {views}", where)


def _cifar(error: str) -> dict[str, Fact]:
    return _training(_RESNET_CIFAR_TRAINING, f"{error} % of CIFAR-10's test part", "paper, table 6")


_UNTRAINED = dict.fromkeys(OF_ALEXNETS["alexnet"], Fact("–", "no publication trained it"))
_SIDE_256, _SIDE_384 = "dense at side 256", "dense at side 384, trained with drawn sides"

TRAINING: dict[str, dict[str, Fact]] = {
    "lenet5": _training(_LENET_TRAINING, "0.95 % of MNIST's test part", "paper, section III.B"),
    "lenet5_mse": _training(_LENET_TRAINING, "none of its own", "paper"),
    "lenet5_softmax": _UNTRAINED,
    "nin": _training(_NIN_TRAINING, "40.64 % of ILSVRC-2012 validation", "release, readme", "release"),
    "nin_cifar": _training(
        _NIN_CIFAR_TRAINING, "10.41 % of CIFAR-10's test part, 8.81 % with shifts and mirror", "paper, table 1"
    ),
    "nin_mnist": _training({}, "0.47 % of MNIST's test part", "paper, table 4"),
    "vgg_a": _imagenet(_VGG_TRAINING, "29.6 / 10.4", _SIDE_256, "paper, table 3"),
    "vgg_a_lrn": _imagenet(_VGG_TRAINING, "29.7 / 10.5", _SIDE_256, "paper, table 3"),
    "vgg_b": _imagenet(_VGG_TRAINING, "28.7 / 9.9", _SIDE_256, "paper, table 3"),
    "vgg_c": _imagenet(_VGG_TRAINING, "27.3 / 8.8", _SIDE_384, "paper, table 3"),
    "vgg_d": _imagenet(_VGG_TRAINING, "25.6 / 8.1", _SIDE_384, "paper, table 3"),
    "vgg_e": _imagenet(_VGG_TRAINING, "25.5 / 8.0", _SIDE_384, "paper, table 3"),
    "vgg_a_bn": _by_torchvision("29.63 / 10.19"),
    "vgg_b_bn": _by_torchvision("28.41 / 9.63"),
    "vgg_d_bn": _by_torchvision("26.64 / 8.48"),
    "vgg_e_bn": _by_torchvision("25.78 / 8.16"),
    "vgg_cifar": _UNTRAINED,
    "googlenet": _training(_GOOGLENET_TRAINING, "7.89 % top-5 of ILSVRC-2012 validation, 144 views", "paper, table 3"),
    "googlenet_bn": _UNTRAINED,
    "googlenet_torchvision": _training(
        {"test views": ("1, the centre", f"{TV}, documentation of the weights")},
        "30.22 / 10.47 % of ILSVRC-2012 validation, centre",
        f"{TV}, documentation of the weights",
        f"{TV}, references/classification/README.md: weights from elsewhere",
    ),
    "plain18": _imagenet(_RESNET_TRAINING, "27.94", "10 views", "paper, table 2"),
    "plain34": _imagenet(_RESNET_TRAINING, "28.54", "10 views", "paper, table 2"),
    "resnet18": _imagenet(_RESNET_TRAINING, "27.88", "10 views, option A", "paper, table 2"),
    "resnet34": _imagenet(_RESNET_TRAINING, "24.52 / 7.46", "10 views", "paper, table 3"),
    "resnet50": _imagenet(_RESNET_TRAINING, "22.85 / 6.71", "10 views", "paper, table 3"),
    "resnet101": _imagenet(_RESNET_TRAINING, "21.75 / 6.05", "10 views", "paper, table 3"),
    "resnet152": _imagenet(_RESNET_TRAINING, "21.43 / 5.71", "10 views", "paper, table 3"),
    "resnet50_v1_5": _by_torchvision("23.87 / 7.14"),
    "resnet101_v1_5": _by_torchvision("22.63 / 6.45"),
    "resnet152_v1_5": _by_torchvision("21.69 / 5.95"),
    "resnet20_cifar": _cifar("8.75"),
    "resnet32_cifar": _cifar("7.51"),
    "resnet44_cifar": _cifar("7.17"),
    "resnet56_cifar": _cifar("6.97"),
    "resnet110_cifar": _cifar("6.43 (best of five)"),
}
