"""The recipe of LeNet-5.

LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, 1998, section III-B and
appendix C.

Published: 0.95 % error on the 10,000 test images of MNIST after 20 passes over 60,000, without distortions.
Command: alexnet train mnist --recipe lenet5
Ours: not yet measured on MNIST.
Departures: 1. The paper divides each weight's rate by mu + h, with a second derivative h estimated on 500 patterns
before every pass (stochastic diagonal Levenberg-Marquardt) and mu = 0.02; here all weights have the same rate, which
is the paper's. 2. The paper sets digits of 28 pixels into a field of 32; here they are enlarged to it.
"""

from alexnet.recipe import Augmentation, Data, Evaluation, Event, Net, Optimiser, Recipe, Schedule

LENET5 = Recipe(
    name="lenet5",
    model="lenet5",
    size=32,  # section II-B: 32x32
    epochs=20,  # section III-B: 20 passes
    data=Data(margin=1.0, validation=0),  # the whole image, no patches; all 60,000 train
    net=Net(
        start="paper",  # appendix A: uniform within 2.4 / fan-in
        mean="own",  # section II-B: background -0.1, ink 1.175
        scale="own",
    ),
    augmentation=Augmentation(crop=False, mirror=False, colour="off"),  # section III-B: the plain set
    optimiser=Optimiser(
        rate=0.0005,  # section III-B, before it is divided
        momentum=0.0,
        decay=0.0,
        batch=1,  # appendix C: a step after every pattern
    ),
    schedule=Schedule(
        kind="steps",
        published_epochs=20,
        events=(
            Event(2, rate=0.0002),
            Event(5, rate=0.0001),
            Event(8, rate=0.00005),
            Event(12, rate=0.00001),
        ),
    ),
    evaluation=Evaluation(views="center"),
)
