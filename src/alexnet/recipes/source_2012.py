"""The recipe of the 2012 source code, for the net that was published (its net 145).

Published: 40.66 / 18.21 % on the ILSVRC-2012 validation part with ten views after 91 epochs, as noted in
the source's own files; the paper prints 40.7 / 18.2 % (table 2).
Command: alexnet train imagenet --root FOLDER --recipe source_2012
Ours: not yet measured on ImageNet.
Where the source departs from the paper, and why we know: `alexnet compare alexnet alexnet_2012`.
"""

from alexnet.recipe import Augmentation, Data, Evaluation, Event, Net, Optimiser, Recipe, Schedule

SOURCE_2012 = Recipe(
    name="source_2012",
    model="alexnet_2012",
    size=224,  # 256 less a border of 16 on each side
    epochs=91,
    data=Data(margin=256 / 224),
    net=Net(start="paper", mean="image", scale="one"),  # pixels stay in 0..255 less the mean image
    augmentation=Augmentation(
        crop=True,
        mirror=None,  # on, but for digits and characters
        shared_by=32,  # one position and one mirror for 32 images in a row
        colour="source_2012",  # noise of deviations, then divided by 1.1
        colour_deviation=0.1,
    ),
    optimiser=Optimiser(
        rate=0.01,
        momentum=0.9,
        decay=0.0005,
        batch=128,
        bias_rate=2.0,  # 0.02 at the start
        bias_decay=False,
        velocity="paper",
    ),
    schedule=Schedule(
        kind="steps",
        published_epochs=91,
        biases_follow=False,  # biases stay at 0.02 while the weights' rate falls a thousandfold
        events=(
            Event(25, rate=0.001),
            Event(51, rate=0.0001),
            Event(67, stage="conv1", rate=0.00001),
            Event(67, colour_deviation=0.0),
            Event(72, stage="conv1", rate=0.0),  # frozen, its biases too
            Event(79, rate=0.00001),
        ),
    ),
    evaluation=Evaluation(views="ten", averaged="softmax"),
)
