"""Image search: embed, index, open_index, and the drawing of what is similar."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from alexnet.api.given import place, source_of
from alexnet.errors import InputError
from alexnet.images import ImageProblem, read_image
from alexnet.pictures.similar import BESIDE, similar_figure
from alexnet.pictures.style import refuse_other_suffixes, save
from alexnet.pictures.subject import open_subject
from alexnet.retrieval import embed as embedding
from alexnet.retrieval.build import create
from alexnet.retrieval.index import Index
from alexnet.retrieval.vectors import Vectors


def embed(
    run: str | Path,
    source: Any,
    out: str | Path,
    stage: str | None = None,
    split: embedding.Split = "all",
    float16: bool = False,
    normalise: bool = False,
    batch: int = 128,
    root: str | Path | None = None,
    device: str = "auto",
) -> Vectors:
    """Write the features of images into the new folder `out`; give them, memory-mapped.

    >>> vectors = alexnet.embed(run, "photos", "vectors")  # doctest: +SKIP
    >>> vectors.array.shape, vectors.paths[0]              # doctest: +SKIP
    ((2600, 4096), 'cats/1.jpg')

    Args:
        run: a run's folder or a file of weights.
        source: a SOURCE of the command line, a Dataset as for `train`, or a folder with nothing but images in it.
        out: a path where nothing is yet; interrupted, the same call goes on.
        stage: by default the one that feeds the net's classifier: fc7 after its ReLU in AlexNet.
        split: "train", "val", "test" or "all".
        float16: numbers of 16 bits instead of 32.
        normalise: divide each vector by its length (L2).
        batch: images at once.
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: `out` exists; a stage that the net does not have; a source without images.
    """
    images = source if isinstance(source, str | Path) else source_of(source)
    assert images is not None
    return embedding.embed(run, images, out, stage, split, float16, normalise, batch, place(root), device)


index = create


def open_index(path: str | Path, run: str | Path | None = None, device: str = "auto") -> Index:
    """Open an index, in milliseconds; see `alexnet.retrieval.index.Index` for what can be asked and changed.

    Args:
        path: the folder that `index` wrote.
        run: a run's folder or file of weights that gives the features of queries; by default the one that gave
            those of the index.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: no index, or a file of it is missing, foreign or cut short.
    """
    return Index(path, run, device)


def draw_similar(
    run: str | Path, images: Sequence[str | Path], index: str | Path | None, device: str, out: str | Path
) -> Figure:
    """Draw queries and the indexed images most like each, as figure 4 (right) of AlexNet's paper; write it.

    Args:
        run: a run's folder or a file of weights.
        images: files; by default five of the run's test images.
        index: the folder of an index.
        device: "auto", "cpu", "cuda" or "mps".
        out: a .png or .svg file.

    An indexed image of the very bytes of the query is left out.

    Raises:
        InputError: no index; an image that cannot be read.
    """
    refuse_other_suffixes(Path(out))
    if index is None:
        raise InputError(f"similar needs an index: alexnet show {run} similar --index INDEX; alexnet index makes one")
    if images:
        queries = [_query(image) for image in images]
        digests = [hashlib.sha256(Path(image).read_bytes()).digest() for image in images]
        titles = [Path(image).name for image in images]
    else:
        subject = open_subject(run, device)
        rows, labels = subject.one_of_each_class(5)
        queries = [np.asarray(image) for image in subject.packed.read(rows)]
        queries = [np.repeat(image, 3, 2) if image.shape[2] == 1 else image for image in queries]
        digests = [digest.tobytes() for digest in subject.packed.digests[rows]]
        titles = [subject.classes[label] for label in labels]
    found = []
    with Index(index, run, device) as opened:
        for pixels, digest in zip(queries, digests):
            itself = opened.table.of_digest(digest)
            hits = opened.search(pixels, BESIDE + len(itself))
            found.append([hit for hit in hits if hit.id not in itself][:BESIDE])
    drawing = similar_figure(queries, titles, found)
    save(drawing, Path(out))
    return drawing


def _query(image: str | Path) -> np.ndarray:
    try:
        return read_image(image)
    except ImageProblem as problem:
        raise InputError(f"{image}: {problem.detail}: give an image that opens") from None
