"""The recipes of ResNet: for photographs, for CIFAR-10, and for the 110 layers that need a warm-up there.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015 (CVPR 2016), sections 3.4 and 4.2.

Published: top-1 / top-5 error on the ILSVRC-2012 validation part with ten views (table 3): 34 layers (B) 24.52 /
7.46 %, 50 22.85 / 6.71 %, 101 21.75 / 6.05 %, 152 21.43 / 5.71 %. Error on CIFAR-10 (table 6): 20 layers 8.75 %,
32 7.51 %, 44 7.17 %, 56 6.97 %, 110 6.43 %.
Commands: alexnet train imagenet --root FOLDER --recipe resnet
          alexnet train cifar10 --recipe resnet_cifar
          alexnet train cifar10 --recipe resnet_cifar_deep
          (with --model for another depth)
Ours: not yet measured on ImageNet and CIFAR-10.
Departures: 1. The figures on CIFAR-10 are of nets trained on all 50,000 images, ours keep 5,000 for the validation.
2. The warm-up ends after as many steps as the paper reports, not when the training error falls below 80 %.
3. On CIFAR-10 the paper subtracts the mean image, then pads with zeros and cuts; here images are padded with the mean
colour and cut, then the mean image is subtracted. So the border is near zero, not zero, and the mean does not move with
the cut.
4. The rate of `resnet` goes by the error on a tenth of the training images, which do not train: 120 epochs are then 540
thousand steps, not 600.
"""

from dataclasses import replace

from alexnet.recipe import Augmentation, Data, Evaluation, Event, Net, Optimiser, Recipe, Schedule

RESNET = Recipe(
    name="resnet",
    model="resnet50",
    size=224,  # section 3.4
    epochs=120,  # section 3.4: up to 600,000 steps of 256 images
    data=Data(margin=256 / 224, crop="none"),
    net=Net(
        start="paper",  # section 3.4: He's
        mean="image",  # section 3.4: the mean of each pixel
        scale="one",
    ),
    augmentation=Augmentation(  # section 3.4
        scale=(256 / 224, 480 / 224),
        crop=True,
        colour="paper",
    ),
    optimiser=Optimiser(  # section 3.4
        rate=0.1,
        momentum=0.9,
        decay=0.0001,
        batch=256,
        velocity="paper",  # the authors' Caffe: its history holds the rate too
    ),
    schedule=Schedule(
        kind="plateau",  # section 3.4
        factor=10.0,
        drops=3,  # ours: the paper does not count them
        patience=5,  # ours
    ),
    evaluation=Evaluation(views="ten", averaged="softmax"),  # section 3.4
)

RESNET_CIFAR = Recipe(
    name="resnet_cifar",
    model="resnet20_cifar",
    size=32,  # section 4.2
    epochs=182,  # 64,000 steps of 128 out of 45,000 images
    data=Data(margin=1.0, validation=0.1),  # 45,000 and 5,000
    net=Net(start="paper", mean="image", scale="one"),
    augmentation=Augmentation(pad=4, crop=True, colour="off"),
    optimiser=Optimiser(rate=0.1, momentum=0.9, decay=0.0001, batch=128, velocity="paper"),
    schedule=Schedule(
        kind="steps",
        published_epochs=182,
        events=(Event(91, rate=0.01), Event(136.5, rate=0.001)),  # after 32,000 and 48,000 steps
    ),
    evaluation=Evaluation(views="center", averaged="softmax"),  # the image itself
)

RESNET_CIFAR_DEEP = replace(
    RESNET_CIFAR,
    name="resnet_cifar_deep",
    model="resnet110_cifar",
    schedule=replace(
        RESNET_CIFAR.schedule,
        events=(Event(0, rate=0.01), Event(1.14, rate=0.1), *RESNET_CIFAR.schedule.events),  # about 400 steps
    ),
)
