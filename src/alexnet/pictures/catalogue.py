"""The pictures by name, for the command line and for `show`: what each shows and what it can be told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """One kind of picture.

    Attributes:
        text: what it shows, in a few words.
        takes: options that mean something to it: "stage", "unit", "label" (a class's name), "size".
        images: how many image files it takes at most; None for any number.
        needs: how many it cannot do without.
        of_model: whether a net's name will do for the run.
    """

    text: str
    takes: frozenset[str] = frozenset()
    images: int | None = 0
    needs: int = 0
    of_model: bool = False


CATALOGUE: dict[str, Picture] = {
    "filters": Picture("the first layer's filters, towers apart"),
    "maps": Picture("a stage's answers to an IMAGE", frozenset({"stage", "unit"}), 1, 1),
    "predictions": Picture("the five best answers to eight test images, or to IMAGEs", images=None),
    "similar": Picture("the images of an --index most like IMAGEs, or like five test images", images=None),
    "curves": Picture("loss, error and rate over the epochs"),
    "confusion": Picture("which class was taken for which"),
    "classes": Picture("the error of each class"),
    "saliency": Picture("pixels of an IMAGE that move a class's score most", frozenset({"label"}), 1, 1),
    "occlusion": Picture("what a grey square over an IMAGE costs a class", frozenset({"label", "size"}), 1, 1),
    "gradcam": Picture("where on an IMAGE a stage speaks for a class", frozenset({"label", "stage"}), 1, 1),
    "score_map": Picture("what the net says of a class all over an IMAGE", frozenset({"label", "size"}), 1, 1),
    "patches": Picture("what each filter of a stage answers to most", frozenset({"stage", "unit"})),
    "features": Picture("test images laid out by a stage's features", frozenset({"stage"})),
    "architecture": Picture("the net as a drawing, sizes on the edges", frozenset({"size"}), of_model=True),
    "c3": Picture("which maps each map of LeNet's c3 sees", of_model=True),
}
"""Name -> picture, in the order in which help lists them."""
