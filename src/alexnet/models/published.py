"""What the publications say of each AlexNet's training, and where they say what its net is; `Fact`.

Read in the paper, the source of 2012, Caffe's model folders and torchvision. The numbers of the net itself stand in
`alexnet.VARIANTS` and nowhere else.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """Something that is so, and where it is written."""

    value: str
    source: str


CODE = "2012 source"
CAFFE = "Caffe"
TV = "torchvision"
OURS = "ours"

COMPUTED = dict.fromkeys(("smallest input", "sees at the end", "parameters", "multiply-adds"), "computed")

# Where the facts of the net are written. The first line of each holds for every topic not named below it.
_PAPER = COMPUTED | {
    "": "paper, section 3.5",
    "activation": "paper, section 3.1",
    "pooling": "paper, section 3.4",
    "zeros at conv1": f"{OURS}: the paper does not say how 224 pixels give 55 positions",
    "rounding of pooling": f"{OURS}: 55, 27 and 13 come out even, the paper need not round",
    "towers": "paper, section 3.2 and figure 2",
    "LRN constant k": "paper, section 3.3",
    "LRN factor of a square": "paper, section 3.3: alpha times the sum",
    "LRN window and power": "paper, section 3.3",
    "LRN maps in reach": f"{OURS}: figure 2, each GPU holds its own maps",
    "spatial normalisation": "paper, section 3.3: none",
    "dropout": "paper, section 4.2",
    "dropout's place": "paper, section 4.2",
    "initial weights": "paper, section 5",
    "initial biases": "paper, section 5",
}
_ONE_COLUMN = _PAPER | {"towers": f"{OURS}: the paper's net on one device", "LRN maps in reach": f"{OURS}: all maps"}
_HALF = _ONE_COLUMN | {"maps": "paper, section 3.2, footnote", "towers": "paper, section 3.2, footnote"}
_SOURCE_2012 = COMPUTED | {
    "": f"{CODE}, layers-145.cfg",
    "zeros at conv1": f"{CODE}, layer parser: sizes are rounded up",
    "rounding of pooling": f"{CODE}, layer parser: sizes are rounded up",
    "LRN constant k": f"{CODE}, layer-params-145.cfg (minDiv)",
    "LRN factor of a square": f"{CODE}, layer parser: scale is divided by size",
    "LRN window and power": f"{CODE}, layer-params-145.cfg",
    "LRN maps in reach": f"{CODE}, layers-145.cfg: one normalisation a GPU",
    "spatial normalisation": f"{CODE}, layers-145.cfg (rnorm) and its parser",
    "dropout": f"{CODE}, layer code of the hidden layers",
}


def _caffe(folder: str) -> dict[str, str]:
    prototxt = f"{CAFFE}, models/{folder}/train_val.prototxt"
    return COMPUTED | {
        "": prototxt,
        "rounding of pooling": f"{CAFFE}, src/caffe/layers/pooling_layer.cpp",
        "LRN constant k": f"{CAFFE}, src/caffe/proto/caffe.proto: the default",
        "LRN factor of a square": f"{CAFFE}, src/caffe/layers/lrn_layer.cpp: alpha over size",
        "dropout": f"{CAFFE}, src/caffe/layers/dropout_layer.cpp",
    }


_TORCHVISION = COMPUTED | {
    "": f"{TV}, models/alexnet.py",
    "rounding of pooling": "torch, MaxPool2d's default",
    "dropout": "torch, Dropout",
    "initial weights": "torch, the layers' default",
    "initial biases": "torch, the layers' default",
}

NET_SOURCES: dict[str, dict[str, str]] = {
    "alexnet": _PAPER,
    "alexnet_2012": _SOURCE_2012,
    "alexnet_one_column": _ONE_COLUMN,
    "alexnet_half": _HALF,
    "caffe_alexnet": _caffe("bvlc_alexnet"),
    "caffenet": _caffe("bvlc_reference_caffenet"),
    "alexnet_2014": _TORCHVISION,
}

_PAPER_TRAINING = {
    "batch": Fact("128", "paper, section 5"),
    "momentum": Fact("0.9", "paper, section 5"),
    "first rate": Fact("0.01", "paper, section 5"),
    "rate of the biases": Fact("as the weights'", "paper, section 5: one rate for all layers"),
    "weight decay": Fact("0.0005", "paper, section 5"),
    "decay of the biases": Fact("not told apart", "paper, section 5"),
    "velocity": Fact("holds the rate: steps shrink slowly after a drop", "paper, section 5, update rule"),
    "schedule": Fact("rate / 10 when validation error stops falling, 3 times", "paper, section 5"),
    "length": Fact("about 90 epochs", "paper, section 5"),
    "rate of conv1": Fact("as all others'", "paper, section 5"),
    "order of the images": Fact("not said", "paper"),
    "resizing": Fact("shorter side to 256, then the central 256 x 256", "paper, section 2"),
    "mean": Fact("each pixel's mean over the training set", "paper, section 2"),
    "scale": Fact("none: inputs of about +-128", "paper, section 2"),
    "training crop": Fact("224 of 256, counted as 2048 with mirror (32 x 32 x 2)", "paper, section 4.1"),
    "crop drawn for": Fact("each image", "paper, section 4.1"),
    "mirror": Fact("yes", "paper, section 4.1"),
    "colour noise": Fact("P (a * l), a of deviation 0.1, l the eigenvalues", "paper, section 4.1"),
    "colour noise until": Fact("the end", "paper, section 4.1"),
    "test views": Fact("10, softmax averaged", "paper, section 4.1"),
    "published error": Fact("40.7 / 18.2 % of ILSVRC-2012 validation, 10 views", "paper, table 2"),
}
_TRAINING_2012 = _PAPER_TRAINING | {
    "batch": Fact("128", f"{CODE}, convnet.py, --mini"),
    "momentum": Fact("0.9", f"{CODE}, layer-params-145.cfg"),
    "first rate": Fact("0.01", f"{CODE}, layer-params-145.cfg, comments"),
    "rate of the biases": Fact("0.02: twice the weights', lowered at most once", f"{CODE}, layer-params-145.cfg, epsB"),
    "weight decay": Fact("0.0005", f"{CODE}, layer-params-145.cfg"),
    "decay of the biases": Fact("none", f"{CODE}, weight update"),
    "velocity": Fact("holds the rate: steps shrink slowly after a drop", f"{CODE}, weight update"),
    "schedule": Fact("rate / 10 by hand at epochs 25, 51 and 79", f"{CODE}, layer-params-145.cfg, comments"),
    "length": Fact("91 epochs", f"{CODE}, layer-params-145.cfg, comments"),
    "rate of conv1": Fact("0.00001 from epoch 67, frozen from 72", f"{CODE}, layer-params-145.cfg, comments"),
    "order of the images": Fact("as stored, the same in every epoch", f"{CODE}, data providers"),
    "resizing": Fact("done before: 256 x 256 are stored", f"{CODE}, data providers"),
    "mean": Fact("central 224 of the mean image, wherever the crop lies", f"{CODE}, data providers"),
    "scale": Fact("none: inputs of about +-128", f"{CODE}, data providers"),
    "training crop": Fact("224 of 256, 33 x 33 x 2 = 2178 with mirror", f"{CODE}, data providers"),
    "crop drawn for": Fact("32 images in a row, mirror too", f"{CODE}, data providers"),
    "mirror": Fact("yes", f"{CODE}, data providers"),
    "colour noise": Fact("0.1 P (z * s), s named deviations; then all / 1.1", f"{CODE}, data providers"),
    "colour noise until": Fact("about epoch 67 of 91", f"{CODE}, layer-params-145.cfg, comments"),
    "test views": Fact("10, softmax averaged", f"{CODE}, --multiview-test"),
    "published error": Fact(
        "40.66 / 18.21 % of ILSVRC-2012 validation, 10 views", f"{CODE}, layer-params-145.cfg, comments"
    ),
}


def _caffe_training(folder: str, error: str) -> dict[str, Fact]:
    solver = f"{CAFFE}, models/{folder}/solver.prototxt"
    prototxt = f"{CAFFE}, models/{folder}/train_val.prototxt"
    return {
        "batch": Fact("256", prototxt),
        "momentum": Fact("0.9", solver),
        "first rate": Fact("0.01", solver),
        "rate of the biases": Fact("twice the weights', always", f"{prototxt}: lr_mult"),
        "weight decay": Fact("0.0005", solver),
        "decay of the biases": Fact("none", f"{prototxt}: decay_mult"),
        "velocity": Fact(
            "holds the rate: steps shrink slowly after a drop", f"{CAFFE}, src/caffe/solvers/sgd_solver.cpp"
        ),
        "schedule": Fact("rate / 10 every 100,000 steps", solver),
        "length": Fact("450,000 steps, about 90 epochs", solver),
        "rate of conv1": Fact("as all others'", prototxt),
        "order of the images": Fact(
            "shuffled once, then the same in every epoch", f"{CAFFE}, examples/imagenet/create_imagenet.sh"
        ),
        "resizing": Fact("warped to 256 x 256", f"{CAFFE}, examples/imagenet/readme.md"),
        "mean": Fact("mean image, cut where the crop lies", f"{CAFFE}, src/caffe/data_transformer.cpp"),
        "scale": Fact("none: inputs of about +-128", prototxt),
        "training crop": Fact("227 of 256", prototxt),
        "crop drawn for": Fact("each image", f"{CAFFE}, src/caffe/data_transformer.cpp"),
        "mirror": Fact("yes", prototxt),
        "colour noise": Fact("none", f"{CAFFE}, models/{folder}/readme.md and train_val.prototxt"),
        "colour noise until": Fact("never", prototxt),
        "test views": Fact("1, the centre", prototxt),
        "published error": Fact(f"{error} % of ILSVRC-2012 validation, centre", f"{CAFFE}, models/{folder}/readme.md"),
    }


_REFERENCES = f"{TV}, references/classification"
TRAINING: dict[str, dict[str, Fact]] = {
    "alexnet": _PAPER_TRAINING,
    "alexnet_2012": _TRAINING_2012,
    "alexnet_one_column": _PAPER_TRAINING | {"published error": Fact("none", f"{OURS}: the paper trained no such net")},
    "alexnet_half": _PAPER_TRAINING
    | {"published error": Fact("1.7 / 1.2 points above the two-GPU net", "paper, section 3.2")},
    "caffe_alexnet": _caffe_training("bvlc_alexnet", "42.9 / 19.8"),
    "caffenet": _caffe_training("bvlc_reference_caffenet", "42.6 / 19.6"),
    "alexnet_2014": {
        "batch": Fact("256 (8 x 32)", f"{_REFERENCES}/README.md"),
        "momentum": Fact("0.9", f"{_REFERENCES}/train.py"),
        "first rate": Fact("0.01", f"{_REFERENCES}/README.md"),
        "rate of the biases": Fact("as the weights'", f"{_REFERENCES}/train.py"),
        "weight decay": Fact("0.0001", f"{_REFERENCES}/train.py"),
        "decay of the biases": Fact("as the weights'", f"{_REFERENCES}/train.py"),
        "velocity": Fact("without the rate: steps shrink at once after a drop", "torch, optim.SGD"),
        "schedule": Fact("rate / 10 every 30 epochs", f"{_REFERENCES}/train.py"),
        "length": Fact("90 epochs", f"{_REFERENCES}/train.py"),
        "rate of conv1": Fact("as all others'", f"{_REFERENCES}/train.py"),
        "order of the images": Fact("shuffled anew in every epoch", f"{_REFERENCES}/train.py"),
        "resizing": Fact("in training none, at test the shorter side to 256", f"{_REFERENCES}/presets.py"),
        "mean": Fact("one number a channel", f"{_REFERENCES}/presets.py"),
        "scale": Fact("a deviation a channel: inputs of about +-2", f"{_REFERENCES}/presets.py"),
        "training crop": Fact("8 to 100 % of the image, sides 3:4 to 4:3, resized to 224", f"{_REFERENCES}/presets.py"),
        "crop drawn for": Fact("each image", f"{_REFERENCES}/presets.py"),
        "mirror": Fact("yes", f"{_REFERENCES}/presets.py"),
        "colour noise": Fact("none", f"{_REFERENCES}/presets.py"),
        "colour noise until": Fact("never", f"{_REFERENCES}/presets.py"),
        "test views": Fact("1, the centre", f"{_REFERENCES}/presets.py"),
        "published error": Fact("43.48 / 20.93 % of ILSVRC-2012 validation, centre", f"{TV}, AlexNet_Weights"),
    },
}
