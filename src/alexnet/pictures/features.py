"""Images laid out in the plane by a stage's features: neighbours there are alike to the net.

Features are brought to 50 numbers by PCA and to two by t-SNE (L. van der Maaten, G. Hinton, "Visualizing Data using
t-SNE", 2008), as scikit-learn has them, with a fixed seed. t-SNE keeps neighbours: how far apart two groups lie, and
how large they are, means nothing.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

from alexnet.errors import InputError
from alexnet.pictures.style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, VERMILLION, figure, short, styled

MOST_IMAGES = 1500
"""Images that are laid out: half a minute of t-SNE on one core."""

NAMED = 20
"""Classes that points are drawn for; of more, thumbnails alone."""

CELLS = 26
"""Thumbnails in a row and in a column."""

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, "#56b4e9", INK)
MARKERS = ("o", "^", "s", "D", "v")


def plane(features: np.ndarray, seed: int = 0, steps: int = 1000) -> np.ndarray:
    """Places of images in the plane: float32 [n, 2].

    Args:
        features: [n, d].
        seed: of t-SNE.
        steps: of t-SNE, 250 or more.

    Raises:
        InputError: fewer than five images.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(features) < 5:
        raise InputError(f"{len(features)} images came: a map of features takes 5 or more")
    features = np.asarray(features, np.float64)
    features = features / (features.std() or 1.0)
    few = PCA(min(50, *features.shape), random_state=seed).fit_transform(features)
    perplexity = min(30.0, (len(few) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed, max_iter=steps).fit_transform(few)


@styled
def features_figure(
    places: np.ndarray, images: Sequence[np.ndarray], labels: np.ndarray, classes: Sequence[str], title: str
) -> Figure:
    """Points by class, each class's name at its middle, and beside them the images themselves.

    A class has both a colour and a form of its own, so that no two of the first 20 are told apart by colour alone.

    Args:
        places: [n, 2].
        images: uint8 [h, w, 1 or 3] each.
        labels: int64 [n].
        classes: names.
        title: over all.
    """
    points = len(classes) <= NAMED
    drawing = figure(10.6 if points else 6.4, 5.6)
    panels = drawing.subplots(1, 2 if points else 1, squeeze=False)[0]
    if points:
        _points(panels[0], places, labels, classes)
    panels[-1].imshow(thumbnails(places, images), interpolation="antialiased")
    panels[-1].set_axis_off()
    drawing.suptitle(title, x=0.01, ha="left", fontsize=10)
    return drawing


def thumbnails(places: np.ndarray, images: Sequence[np.ndarray], cells: int = CELLS, side: int = 28) -> np.ndarray:
    """The plane in cells; in each the image that lies nearest to its middle.

    Args:
        places: [n, 2].
        images: uint8 [h, w, 1 or 3] each.
        cells: in a row and in a column.
        side: of a cell in pixels.

    Returns:
        uint8 [cells * side, cells * side, 4], transparent where there is no image.
    """
    low, span = places.min(0), np.ptp(places, axis=0).max() or 1.0
    scaled = (places - low) / span * cells * 0.9999
    scaled += (cells - np.ptp(scaled, axis=0) - 1e-3) / 2  # in the middle of the square
    cell = scaled.astype(int).clip(0, cells - 1)
    off = ((scaled - cell - 0.5) ** 2).sum(1)
    sheet = np.zeros((cells * side, cells * side, 4), np.uint8)
    taken = set()
    for number in np.argsort(off, kind="stable"):
        column, row = cell[number]
        if (column, row) in taken:
            continue
        taken.add((column, row))
        pixels = images[number]
        pixels = pixels if pixels.shape[2] == 3 else pixels.repeat(3, 2)
        small = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((side - 2, side - 2)))
        top, left = (cells - 1 - row) * side, column * side
        sheet[top : top + side - 2, left : left + side - 2, :3] = small
        sheet[top : top + side - 2, left : left + side - 2, 3] = 255
    return sheet


@styled
def points_figure(places: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Figure | None:
    """The points alone, for a page that has the images beside them; None of more classes than can be told apart."""
    if len(classes) > NAMED:
        return None
    drawing = figure(5, 5)
    _points(drawing.subplots(), places, labels, classes)
    return drawing


def _points(axes: Axes, places: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> None:
    for number, name in enumerate(classes):
        of_class = places[labels == number]
        if not len(of_class):
            continue
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axes.scatter(*of_class.T, s=11, color=colour, marker=marker, linewidths=0, alpha=0.75)
        middle = np.median(of_class, axis=0)
        halo = [withStroke(linewidth=3, foreground="white")]
        axes.text(
            middle[0], middle[1], short(name, 20), ha="center", va="center", fontsize=9, fontweight="bold",
            color=INK, path_effects=halo,
        )  # fmt: skip
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(labelcolor=MUTED)
