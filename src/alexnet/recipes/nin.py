"""The recipes of Network in Network: the author's ImageNet release, and the net for CIFAR-10.

Lin, Chen, Yan: Network In Network, 2013 (ICLR 2014). The paper has no net for ImageNet; its author released one later,
for Caffe, with its solver.

Published: `nin` 59.36 % top-1 accuracy on the ILSVRC-2012 validation part (the release's page). `nin_cifar` 10.41 %
error on CIFAR-10, 8.81 % with shifted and mirrored images (section 4.2).
Commands: alexnet train imagenet --root FOLDER --recipe nin
          alexnet train cifar10 --recipe nin_cifar
          alexnet train cifar10 --recipe nin_cifar --augmentation.pad 4 --augmentation.crop true
              --augmentation.mirror true   (with shifts and mirror, as for the 8.81 %)
Ours: not yet measured on ImageNet and CIFAR-10.
Departure: the paper trains on CIFAR-10 images that were contrast-normalised and whitened; here the mean image is
subtracted and the deviation divided by.
"""

from alexnet.recipe import Augmentation, Data, Evaluation, Event, Net, Optimiser, Recipe, Schedule

NIN = Recipe(
    name="nin",
    model="nin",
    size=224,  # the release: crops of 224 from 256
    epochs=22,  # 450,000 steps of 64 images are 22.5
    data=Data(margin=256 / 224, validation=0),  # all images train: the steps are counted so
    net=Net(start="paper", mean="image", scale="one"),
    augmentation=Augmentation(crop=True, colour="off"),
    optimiser=Optimiser(
        rate=0.01,
        momentum=0.9,
        decay=0.0005,
        batch=64,
        bias_rate=2.0,
        bias_decay=False,
        velocity="paper",  # Caffe's history holds the rate too
    ),
    schedule=Schedule(
        kind="steps",
        published_epochs=22,
        events=(Event(10, rate=0.001), Event(20, rate=0.0001)),  # a tenth each 200,000 steps
    ),
    evaluation=Evaluation(views="center", averaged="softmax"),
)

NIN_CIFAR = Recipe(
    name="nin_cifar",
    model="nin_cifar",
    size=32,
    epochs=307,  # the release: 120,000 steps of 128 out of 50,000 images
    data=Data(margin=1.0, validation=0),  # the whole image; all 50,000 train
    net=Net(start="paper", mean="image", scale="deviation"),  # for whitened images: see the departure above
    augmentation=Augmentation(crop=False, mirror=False, colour="off"),
    optimiser=Optimiser(
        rate=0.1,
        momentum=0.9,
        decay=0.0001,
        batch=128,
        bias_rate=2.0,
        bias_decay=False,
        velocity="paper",
    ),
    schedule=Schedule(
        kind="steps",
        published_epochs=307,
        events=(  # the last layer at a tenth of the others' rate, all at a tenth after 100,000 steps
            Event(0, stage="cccp6", rate=0.01),
            Event(256, rate=0.01),
            Event(256, stage="cccp6", rate=0.001),
        ),
    ),
    evaluation=Evaluation(views="center", averaged="softmax"),
)
