"""The recipe of Caffe's AlexNet (BVLC, models/bvlc_alexnet: solver.prototxt and train_val.prototxt).

Published: 57.1 % top-1 and 80.2 % top-5 accuracy on the ILSVRC-2012 validation part, centre crop (its readme).
Command: alexnet train imagenet --root FOLDER --recipe caffe
Ours: not yet measured on ImageNet.
Departure: Caffe warps every image to 256x256; this package keeps the aspect and takes the centre.
"""

from alexnet.recipe import Augmentation, Data, Evaluation, Event, Net, Optimiser, Recipe, Schedule

CAFFE = Recipe(
    name="caffe",
    model="caffe_alexnet",
    size=227,
    epochs=90,  # 450,000 steps of 256 images
    data=Data(margin=256 / 227, validation=0),  # all images train: the steps are counted so
    net=Net(start="paper", mean="image", scale="one"),
    augmentation=Augmentation(crop=True, colour="off"),  # mirrored (but digits are not), no relighting
    optimiser=Optimiser(
        rate=0.01,
        momentum=0.9,
        decay=0.0005,
        batch=256,
        bias_rate=2.0,
        bias_decay=False,
        velocity="paper",  # Caffe's history holds the rate too
    ),
    schedule=Schedule(
        kind="steps",
        published_epochs=90,
        events=(  # a tenth each 100,000 steps
            Event(20, rate=0.001),
            Event(40, rate=0.0001),
            Event(60, rate=0.00001),
            Event(80, rate=0.000001),
        ),
    ),
    evaluation=Evaluation(views="center", averaged="softmax"),
)
