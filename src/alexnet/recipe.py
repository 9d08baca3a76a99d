"""What a run is: frozen dataclasses that say data, net, augmentation, optimiser, schedule and test.

A recipe is the whole description of a training run. Every field can be set on the command line
(`--optimiser.rate 0.1`) or in a YAML file; `None` means "decided from the data or the net" and is
replaced by the value chosen before training starts, so that the recipe saved beside the weights has no
`None` that mattered.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Data:
    """How images are stored and parted.

    Attributes:
        test: share of the images kept for the test, where the source names no test part.
        validation: share kept for validation, where the source names no validation part; with 0 the last weights
            are the run's, and nothing is calibrated.
        margin: shorter side of stored photographs as a multiple of the input's side.
        stored: the same in pixels, where it is not to follow the input's side.
        crop: store centre squares, or whole images for recipes that sample scales.
        format: raw bytes, JPEG, or raw as long as the pack stays under 4 GB.
        class_weights: weigh each class in the loss by the inverse of its count.
    """

    test: float = 0.2
    validation: float = 0.1
    margin: float = 256 / 224
    stored: int | None = None
    crop: Literal["centre", "none"] = "centre"
    format: Literal["auto", "raw", "jpeg"] = "auto"
    class_weights: bool = False


@dataclass(frozen=True)
class Net:
    """How the net starts and what it subtracts.

    Attributes:
        start: initial weights: the paper's own; He's normal start (2015), which learns in minutes; or, for the
            deeper VGG nets, the paper's own with layers of a trained vgg_a, which `--from` names.
        mean: subtract the training set's mean image, its mean per channel, or what the fresh net has by itself
            (LeNet-5: 20, the others nothing).
        scale: divide by nothing (the paper: inputs of about +-128), by the training set's deviation, or by what
            the fresh net has by itself (LeNet-5: 200, the others 1).
    """

    start: Literal["paper", "he", "vgg_a"] = "paper"
    mean: Literal["image", "channel", "own"] = "image"
    scale: Literal["one", "deviation", "own"] = "one"


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images, each time one is used.

    Attributes:
        scale: least and greatest shorter side that an image is brought to before the patch is cut, as multiples of
            the input's side, all between them alike; by default always what tests are cut from.
        area: smallest and largest share of the image's area that the patch covers, with sides between 3:4 and
            4:3, before it is brought to the input's size; by default the patch is cut at the input's size.
        pad: pixels added on every side before the patch is cut, in the mean colour: exactly zero for the net where a
            mean per channel is subtracted; test views are cut from the unpadded image.
        crop: crop at random, or take the centre.
        mirror: mirror with probability 0.5; by default on, and off for digits and characters.
        shared_by: consecutive images that share one crop position and mirror (32 in the 2012 code).
        colour: colour noise along the principal axes of RGB: off, as the paper prints it, or as the 2012
            code has it (which also divides by 1 + colour_deviation).
        colour_deviation: standard deviation of the noise's coefficients.
    """

    scale: tuple[float, float] | None = None
    area: tuple[float, float] | None = None
    pad: int = 0
    crop: bool = True
    mirror: bool | None = None
    shared_by: int = 1
    colour: Literal["off", "paper", "source_2012"] = "off"
    colour_deviation: float = 0.1


@dataclass(frozen=True)
class Optimiser:
    """Stochastic gradient descent with momentum.

    Attributes:
        rate: learning rate at the start (of the peak, for one_cycle); where there is none, what suits the net in
            batches of 32: 0.01 for most.
        momentum: share of the last step that is kept.
        decay: weight decay.
        batch: images in a step.
        micro_batch: images put through the net at once; the gradients of a batch are added up. By
            default the whole batch. Batch norm then goes by the statistics of each part, so that only nets without it
            take the same steps.
        bias_rate: the biases' rate as a multiple of `rate`.
        bias_decay: whether biases decay too.
        kept_rate: rate of the layers taken from another run, as a multiple of `rate` (fine-tuning).
        velocity: what happens to the velocity when the rate changes: it keeps its size (the paper's
            rule), or is scaled with the rate (torch's rule).
        precision: numbers of the forward and backward pass; weights stay float32. auto: float32 on a CPU, so that
            runs are equal from machine to machine; bfloat16 on a GPU that has it.
    """

    rate: float | None = 0.01
    momentum: float = 0.9
    decay: float = 0.0005
    batch: int = 128
    micro_batch: int | None = None
    bias_rate: float = 1.0
    bias_decay: bool = True
    kept_rate: float = 0.1
    velocity: Literal["paper", "torch"] = "paper"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


@dataclass(frozen=True)
class Event:
    """Something that changes at a moment of the run.

    Attributes:
        epoch: when, in epochs of a run of `Schedule.published_epochs`; scaled to the run's own length.
        rate: new rate of the weights.
        stage: the only stage that it concerns; all stages by default, those with a rate of their own left out.
        colour_deviation: new deviation of the colour noise.
    """

    epoch: float
    rate: float | None = None
    stage: str | None = None
    colour_deviation: float | None = None


@dataclass(frozen=True)
class Schedule:
    """How the rate changes.

    Attributes:
        kind: plateau divides the rate when the validation error stops improving; one_cycle warms up and
            falls to zero; steps follows `events`; decay divides it again and again; constant does nothing.
        factor: what plateau and decay divide by.
        every: epochs between two divisions by decay, counted as those of events.
        patience: epochs without a better validation error before plateau divides.
        drops: how often plateau divides; one plateau more ends the run.
        warm_up: share of the run in which one_cycle rises.
        events: what steps does.
        published_epochs: length of the run that the events are counted in.
        biases_follow: whether a drop by plateau or an event changes the biases' rate too.
        early_stop: end after so many epochs without a better validation error.
    """

    kind: Literal["plateau", "one_cycle", "steps", "decay", "constant"] = "plateau"
    factor: float = 10.0
    every: float = 8.0
    patience: int = 5
    drops: int = 3
    warm_up: float = 0.2
    events: tuple[Event, ...] = ()
    published_epochs: int = 90
    biases_follow: bool = True
    early_stop: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """The test protocol, part of every result.

    Attributes:
        views: the centre crop; four corners and centre, each mirrored; or every position of the net.
        averaged: what is averaged over the views: softmax outputs (AlexNet) or scores.
    """

    views: Literal["center", "ten", "dense"] = "center"
    averaged: Literal["softmax", "scores"] = "softmax"


@dataclass(frozen=True)
class Speed:
    """How the work of a step is done; the numbers stay the same but for rounding.

    Attributes:
        response_norm: how response normalisation is computed: op by op; compiled, which takes half a minute once; or
            by a kernel of its own on a GPU. auto goes by the device and the length of the run.
        memory_format: order of images and maps in memory: n c h w, or n h w c (channels_last). auto goes by the
            device and the input's size.
        step: op by op; forward and loss compiled; or, on a GPU, the whole step as one CUDA graph. What is compiled is
            put into a graph there, too.
    """

    response_norm: Literal["auto", "eager", "compiled", "triton"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    step: Literal["auto", "eager", "compiled", "graph"] = "auto"


@dataclass(frozen=True)
class Recipe:
    """A whole run.

    Attributes:
        name: which recipe this is, or was before fields were set; a file's name says which one it changes.
        model: one of `alexnet models`.
        size: side of the net's input in pixels; by default what the net was published with (224, Caffe's 227), and
            for images of at most 64 pixels a smaller one that depends on the net.
        epochs: passes over the training part; by default as many as see about 20,000 images, 6 to 60.
        max_minutes: stop training after so many minutes, keeping what was reached; counted anew when resumed.
        seed: of the initial weights, the order of the images, the augmentation and the dropout.
    """

    name: str = "practical"
    model: str = "alexnet"
    size: int | None = None
    epochs: int | None = None
    max_minutes: float | None = None
    seed: int = 0
    data: Data = field(default_factory=Data)
    net: Net = field(default_factory=Net)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    evaluation: Evaluation = field(default_factory=Evaluation)
    speed: Speed = field(default_factory=Speed)
