"""The package from Python: train, evaluate, report, and what `import alexnet` re-exports."""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from alexnet.checkpoint import read_run
from alexnet.data import Packed, Source, dataset_source, open_packed
from alexnet.errors import InputError, JobFailed
from alexnet.evaluation import ensemble as averaging
from alexnet.evaluation import evaluate as evaluation
from alexnet.evaluation import probe as probing
from alexnet.evaluation.predict import Answer, Prediction, Predictor, load
from alexnet.images import ImageProblem, read_image
from alexnet.models import build, names
from alexnet.pictures.report import write_report
from alexnet.pictures.show import show as draw_picture
from alexnet.pictures.similar import BESIDE, similar_figure
from alexnet.pictures.style import refuse_other_suffixes, save
from alexnet.pictures.subject import open_subject
from alexnet.progress import note
from alexnet.recipe import Recipe
from alexnet.recipes import as_fields, load_recipe, recipe_from
from alexnet.retrieval import embed as embedding
from alexnet.retrieval.build import create
from alexnet.retrieval.index import Hit, Index
from alexnet.retrieval.settings import Metric
from alexnet.retrieval.vectors import Vectors
from alexnet.training import start as starting
from alexnet.training.loop import STOPPED, fit
from alexnet.training.run import Run
from alexnet.training.summary import finish

__all__ = [
    "Answer",
    "Hit",
    "Index",
    "InputError",
    "JobFailed",
    "Prediction",
    "Predictor",
    "Vectors",
    "build",
    "embed",
    "ensemble",
    "evaluate",
    "index",
    "load",
    "load_recipe",
    "names",
    "open_index",
    "probe",
    "report",
    "resume",
    "show",
    "train",
]


def train(
    source: Any = "digits",
    recipe: str | Recipe = "practical",
    out: str | Path | None = None,
    weights: str | Path | None = None,
    freeze: str | tuple[str, ...] = (),
    device: str = "auto",
    root: str | Path | None = None,
    name: str = "dataset",
    **fields: Any,
) -> Path:
    """Train a net; give the run's folder.

    >>> import alexnet
    >>> run = alexnet.train("digits", epochs=1)          # doctest: +SKIP
    >>> alexnet.evaluate(run)["top1_error"]              # doctest: +SKIP
    0.06

    Args:
        source: a SOURCE of the command line, or any map-style torch Dataset of (image, label), where an image is a
            PIL image, an array uint8 [h, w] or [h, w, 3], or a float tensor [c, h, w] of 0..1.
        recipe: a name, a YAML file, or a Recipe.
        out: the run's folder; by default runs/<source>-<model>-<n>. An existing one is never overwritten.
        weights: run or file to start from (fine-tuning); it brings its net and size, so leave these out.
        freeze: stages that do not learn, such as ("conv1", "conv2").
        device: "auto", "cpu", "cuda" or "mps".
        root: where named sets are kept.
        name: what a Dataset is called in the run's folder.
        fields: fields of the recipe to set, such as `epochs=3`, `optimiser={"rate": 0.1}`.

    The run is then tested and its report written, as on the command line.

    Raises:
        InputError: one line on what came, what was wanted and what to do.
        JobFailed: the loss is not finite.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    if fields:
        chosen = recipe_from(_merged(as_fields(chosen), fields))
    if not isinstance(source, str | Path | Source | Packed):
        source = dataset_source(source, name)
    run = starting.start(
        str(source) if isinstance(source, Path) else source,
        chosen,
        out=Path(out) if out is not None else None,
        weights=Path(weights) if weights is not None else None,
        freeze=(freeze,) if isinstance(freeze, str) else freeze,
        device=device,
        root=Path(root) if root is not None else None,
        command=f"alexnet.train({name if not isinstance(source, str) else source!r}, ...) in {sys.argv[0] or 'Python'}",
        given=fields,
    )
    return _fitted(run)


def resume(run: str | Path, source: str | Path | None = None, device: str = "auto") -> Path:
    """Go on with a run that was stopped or killed, to its end; give its folder.

    Args:
        run: the run's folder.
        source: where the images are now, if they were moved.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: no such run; it has ended; the images are gone or others.
    """
    return _fitted(starting.resume(Path(run), str(source) if source is not None else None, device))


def evaluate(
    run: str | Path,
    source: Any = None,
    views: str | None = None,
    split: str | None = None,
    root: str | Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure a run, or a file of weights, by a named protocol; errors are fractions 0..1.

    Args:
        run: a run's folder or a file of weights.
        source: other images, also a Dataset as for `train`; by default the run's own test part.
        views: "center", "ten" or "dense"; by default the recipe's.
        split: "train", "val" or "test".
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".

    Returns: images, top1_error, top5_error (of k, see `k`), interval (95 %), views, averaged, comparable_to,
        per_class, confusion, calibration, mistakes, trained_on and more.

    Raises:
        InputError: classes that the net does not know; a part without images.
    """
    return evaluation.evaluate(run, _images(source), views, split, _place(root), device)


def probe(
    run: str | Path,
    source: Any = None,
    stages: str | Sequence[str] = (),
    root: str | Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Fit a linear classifier on stages of a run's net; measure each on the test part.

    >>> alexnet.probe(run, stages=["conv5", "fc6"])["stages"][0]["top1_error"]  # doctest: +SKIP
    0.08

    Args:
        run: a run's folder or a file of weights.
        source: other images (transfer), also a Dataset as for `train`; by default those the run was trained on.
        stages: one name or several; by default the stage that feeds the net's own classifier.
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".

    Returns: see `alexnet.evaluation.probe.probe`; errors are fractions 0..1.

    Raises:
        InputError: a stage that the net does not have; a source without a test part.
    """
    wanted = (stages,) if isinstance(stages, str) else stages
    return probing.probe(run, _images(source), wanted, _place(root), device)


def ensemble(
    runs: Sequence[str | Path],
    source: Any = None,
    views: str | None = None,
    split: str | None = None,
    root: str | Path | None = None,
    device: str = "auto",
    allow_seen: bool = False,
) -> dict[str, Any]:
    """Average the softmax outputs of several runs on the same images; measure each and the average.

    Args:
        runs: folders of runs or files of weights: two or more, with the same classes.
        source: other images, also a Dataset as for `train`; by default the first run's own test part.
        views: "center", "ten" or "dense" for all; by default what each recipe says.
        split: "train", "val" or "test".
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".
        allow_seen: also measure images that one of the nets was trained on.

    Returns: see `alexnet.evaluation.ensemble.ensemble`; errors are fractions 0..1.

    Raises:
        InputError: fewer than two runs; other classes; images that a member was trained on.
    """
    return averaging.ensemble(runs, _images(source), views, split, _place(root), device, allow_seen)


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
    images = source if isinstance(source, str | Path) else _images(source)
    assert images is not None
    return embedding.embed(run, images, out, stage, split, float16, normalise, batch, _place(root), device)


def index(
    vectors: str | Path,
    out: str | Path,
    codes: int | None = None,
    method: str = "autoencoder",
    metric: Metric = "l2",
    store: str | None = None,
    seed: int = 0,
) -> Index:
    """Make an index of a folder of vectors; give it, opened.

    >>> found = alexnet.index("vectors", "photos-index", codes=128)  # doctest: +SKIP
    >>> found.search("cat.jpg", top=3)[0].path                       # doctest: +SKIP
    'photos/cats/1.jpg'

    Args:
        vectors: a folder that `embed` wrote; it stays where it is, and is needed.
        out: the folder of the index, where nothing is yet.
        codes: bits of a binary code, such as 128; None for features alone.
        method: "autoencoder", "hyperplanes" or "itq", how codes are made.
        metric: "l2" or "cosine", how features are compared.
        store: http://HOST:PORT or http://HOST:PORT/NAME of a Milvus server that keeps the rows; by default the folder.
        seed: of the codes.

    Raises:
        InputError: no vectors; `out` exists; a server that does not answer.
    """
    return create(vectors, out, codes, method, metric, store, seed)


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


def _images(source: Any) -> str | Source | None:
    """A source as the rooms below take it."""
    if source is not None and not isinstance(source, str | Path | Source):
        return dataset_source(source)
    return str(source) if isinstance(source, Path) else source


def _query(image: str | Path) -> np.ndarray:
    try:
        return read_image(image)
    except ImageProblem as problem:
        raise InputError(f"{image}: {problem.detail}: give an image that opens") from None


def _place(root: str | Path | None) -> Path | None:
    return Path(root) if root is not None else None


def _fitted(run: Run) -> Path:
    reason = fit(run)
    if reason == STOPPED:
        note(f"stopped and saved; to go on: alexnet.resume({str(run.folder)!r})")
        raise KeyboardInterrupt
    complete(run, reason)
    return run.folder


def complete(run: Run, reason: str) -> dict[str, Any]:
    """Test a run that has ended and write its report; give what the command line prints."""
    result = finish(run, reason)
    return result | {"report": str(report(run.folder))}


def report(run: str | Path) -> Path:
    """Write a run's report.html, one file that opens anywhere; give its path.

    Raises:
        InputError: no such run.
    """
    folder = Path(run)
    about = read_run(folder)
    if "compared_with" in about:
        raise InputError(
            f"the weights in {folder} were brought in, so there is no training to report: measure them with "
            f"alexnet evaluate {folder} SOURCE"
        )
    packed = Path(about["packed"])
    images = open_packed(packed) if packed.is_dir() else None
    return write_report(folder, images.read if images is not None else None)


def show(
    run: str | Path,
    what: str,
    images: Any = (),
    *,
    stage: str | None = None,
    unit: int | None = None,
    label: str | None = None,
    size: int | None = None,
    device: str = "auto",
    out: str | Path | None = None,
) -> Figure:
    """Draw a picture of a run; give it as a matplotlib Figure, and write it where told.

    >>> alexnet.show(run, "maps", "cat.jpg", stage="conv2", out="maps.svg")  # doctest: +SKIP

    Args:
        run: a run's folder or a file of weights; for "architecture" and "c3" also the name of a net.
        what: the name of a picture, as `alexnet show --help` lists them.
        images: what it looks at: one or several, each a path, bytes, a PIL image or an array uint8 [h, w, 3].
        stage: name of a stage.
        unit: number of one of its maps, from 1.
        label: name of a class.
        size: in pixels: of a score map the shorter side of the image; of occlusion the side of the square; of
            "architecture" the side of the input.
        device: "auto", "cpu", "cuda" or "mps".
        out: a .png or .svg file.

    Raises:
        InputError: another name; an option that means nothing to that picture; a picture that the net or the run
            cannot give.
    """
    if out is not None:
        refuse_other_suffixes(Path(out))  # before minutes of work
    drawing = draw_picture(run, what, images, stage=stage, unit=unit, label=label, size=size, device=device)
    if out is not None:
        save(drawing, Path(out))
    return drawing


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        inner = base.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
