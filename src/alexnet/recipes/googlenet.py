"""The recipe of GoogLeNet.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich: Going Deeper with Convolutions, 2014 (CVPR
2015), section 6. What the paper leaves out is taken from Caffe's replica (models/bvlc_googlenet), marked "Caffe".

Published: top-5 error on the ILSVRC-2012 validation part for one net: 10.07 % with one view, 9.15 % with ten, 7.89 %
with 144 (table 3). Caffe's replica: 31.3 / 11.1 % top-1 / top-5 error with one view (its readme).
Command: alexnet train imagenet --root FOLDER --recipe googlenet
Ours: not yet measured on ImageNet.
Departures: 1. No Polyak average of the weights. 2. One machine instead of asynchronous ones. 3. Of the photometric
distortions only AlexNet's colour noise. 4. No test with 144 views.
"""

from alexnet.recipe import Augmentation, Data, Evaluation, Net, Optimiser, Recipe, Schedule

GOOGLENET = Recipe(
    name="googlenet",
    model="googlenet",
    size=224,  # section 5
    epochs=250,  # Caffe: 10 million steps of 32 images
    data=Data(
        margin=256 / 224,  # section 7: the smallest of the test's scales
        crop="none",  # patches from whole images
        validation=0,  # all images train: the steps are counted so
    ),
    net=Net(
        start="paper",  # Caffe: Xavier's
        mean="channel",  # section 5: zero mean
        scale="one",
    ),
    augmentation=Augmentation(area=(0.08, 1.0), crop=True, colour="paper"),  # section 6
    optimiser=Optimiser(
        rate=0.01,  # Caffe
        momentum=0.9,  # section 6
        decay=0.0002,  # Caffe
        batch=32,  # Caffe
        bias_rate=2.0,  # Caffe
        bias_decay=False,  # Caffe
        velocity="paper",
    ),
    schedule=Schedule(  # section 6: 4 % less every 8 epochs
        kind="decay",
        factor=1 / 0.96,
        every=8,
        published_epochs=250,
    ),
    evaluation=Evaluation(views="ten", averaged="softmax"),  # section 7
)
