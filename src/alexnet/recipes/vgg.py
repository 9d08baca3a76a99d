"""The recipes of VGG: net A from random weights, and the deeper nets from a trained A.

Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014 (ICLR 2015), section 3.

Published: top-1 / top-5 error on the ILSVRC-2012 validation part, one scale, dense (table 3): A 29.6 / 10.4 %;
D 25.6 / 8.1 % and E 25.5 / 8.0 %, both trained at scales of 256 to 512 pixels and tested at 384.
Commands: alexnet train imagenet --root FOLDER --recipe vgg --out A
          alexnet train imagenet --root FOLDER --recipe vgg_deep --from A
          (E: --model vgg_e beside it)
Ours: not yet measured on ImageNet.
Departures: 1. The paper trains the nets of drawn scales further from ones trained at 384 pixels; `vgg_deep` begins
with A's layers at once. 2. Initial weights have a deviation of 0.01, where the paper prints a variance of 0.01: with
that, the first scores are of the order of 10^8. 3. The rate goes by the error on a tenth of the training images, which
do not train: 74 epochs are then 333 thousand steps, not 370. The authors had ILSVRC's validation part, our test.
"""

from dataclasses import replace

from alexnet.recipe import Augmentation, Data, Evaluation, Net, Optimiser, Recipe, Schedule

VGG = Recipe(
    name="vgg",
    model="vgg_a",
    size=224,  # section 2.1
    epochs=74,  # section 3.1: 370 thousand steps, 74 epochs
    data=Data(
        margin=256 / 224,  # section 3.1: S = 256, and section 4.1: Q = S
        crop="none",  # patches from the whole image
    ),
    net=Net(
        start="paper",  # section 3.1
        mean="channel",  # section 2.1: the mean RGB value
        scale="one",  # "the only preprocessing"
    ),
    augmentation=Augmentation(crop=True, colour="paper"),  # section 3.1: mirror and RGB colour shift
    optimiser=Optimiser(  # section 3.1
        rate=0.01,
        momentum=0.9,
        decay=0.0005,
        batch=256,
        velocity="paper",  # the authors' Caffe: its history holds the rate too
    ),
    schedule=Schedule(
        kind="plateau",
        factor=10.0,
        drops=3,
        patience=5,  # ours: the paper does not say how long it waited
    ),
    evaluation=Evaluation(views="dense", averaged="softmax"),  # section 3.2
)

VGG_DEEP = replace(
    VGG,
    name="vgg_deep",
    model="vgg_d",
    data=replace(VGG.data, margin=384 / 224),  # section 4.1: Q is the middle of the scales
    net=replace(VGG.net, start="vgg_a"),  # section 3.1: the first four convolutions and the last three layers of A
    augmentation=replace(VGG.augmentation, scale=(256 / 224, 512 / 224)),  # section 3.1: S in [256, 512]
)
