"""The recipe of the paper.

Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, 2012.

Published: top-1 / top-5 error 37.5 / 17.0 % on the ILSVRC-2010 test part with ten views (table 1), and
40.7 / 18.2 % on the ILSVRC-2012 validation part for one net (table 2). About 90 passes over 1.2 million
images, five to six days on two GTX 580 cards (section 5).
Command: alexnet train imagenet --root FOLDER --recipe paper
Ours: not yet measured on ImageNet. On little data this start stays at ln(classes) for thousands of
steps: use `practical` there.
"""

from alexnet.recipe import Augmentation, Data, Evaluation, Net, Optimiser, Recipe, Schedule

PAPER = Recipe(
    name="paper",
    model="alexnet",
    size=224,  # section 3.5: 224x224x3 (crops of 256x256, section 4.1)
    epochs=90,  # section 5: roughly 90 cycles
    data=Data(margin=256 / 224),  # section 2: shorter side to 256, then the central patch
    net=Net(
        start="paper",  # section 5: N(0, 0.01), biases 1 in conv2, conv4, conv5 and the hidden fully-connected layers
        mean="image",  # section 2: the mean activity of each pixel
        scale="one",  # nothing else is done to the pixels
    ),
    augmentation=Augmentation(
        crop=True,  # section 4.1: random 224x224 patches
        mirror=None,  # and their horizontal reflections; off for digits, which a mirror makes into others
        colour="paper",  # section 4.1: principal components of RGB
        colour_deviation=0.1,
    ),
    optimiser=Optimiser(  # section 5, all but the last two
        rate=0.01,
        momentum=0.9,
        decay=0.0005,
        batch=128,
        bias_rate=1.0,  # "an equal learning rate for all layers"
        velocity="paper",  # the printed rule holds the rate inside the velocity
    ),
    schedule=Schedule(
        kind="plateau",  # section 5: divided by 10 when the validation error stopped improving
        factor=10.0,
        drops=3,  # "reduced three times prior to termination"
        patience=5,  # ours: the paper judged by eye
    ),
    evaluation=Evaluation(views="ten", averaged="softmax"),  # section 4.1
)
