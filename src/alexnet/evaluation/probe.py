"""A linear probe: how much of a net's answer can be read off one stage by a linear classifier.

The net stays as it is. Features of the training part are standardised, a logistic regression is fitted on
them with the regularisation that serves the validation part best, and its error is taken on the test part.
With the images of another SOURCE the same says how far the features serve a task the net was not trained for.

Source of the idea: G. Alain, Y. Bengio, "Understanding intermediate layers using linear classifier probes",
2016. That maps are averaged over a grid, to a bounded number of features: R. Zhang, P. Isola, A. Efros,
"Colorful image colorization", 2016, section 3.2 (theirs were about 9,000). The bounds here are ours.
"""

import warnings
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from alexnet import processes
from alexnet.augment import center_view, to_planes
from alexnet.checkpoint import Card, load_weights, weights_file
from alexnet.data import Batch, Batches, Packed, Source, split
from alexnet.devices import choose_device
from alexnet.errors import InputError
from alexnet.evaluation.baselines import first_by_rank
from alexnet.evaluation.classify import probabilities
from alexnet.evaluation.evaluate import class_numbers, images_of, places, trained_on
from alexnet.evaluation.inference import for_inference
from alexnet.evaluation.metrics import errors_text, figures, top_k
from alexnet.evaluation.sharing import in_order, same_everywhere
from alexnet.models import Classifier, Dropout
from alexnet.progress import track

MOST_FEATURES = 4096
"""Numbers an image that a stage with maps is averaged down to at most: as many as AlexNet's fc7 has units."""

MOST_IMAGES = 10_000
"""Training images used at most, those whose SHA-256 ranks first: 160 MB of features a stage."""

GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the L2 regularisation that are tried (scikit-learn's C)."""

ITERATIONS = 200
"""Steps of the solver at most."""


def probe(
    run: str | Path,
    source: str | Source | None = None,
    stages: Sequence[str] = (),
    root: Path | None = None,
    device: str = "auto",
    most: int = MOST_IMAGES,
) -> dict[str, Any]:
    """Fit a linear classifier on each of the stages; measure each on the test part.

    Args:
        run: a run's folder or a file of weights.
        source: other images (transfer), with a training part; by default those the run was trained on.
        stages: names of stages; by default the one that feeds the net's own classifier.
        root: where named sets are kept.
        device: "auto", "cpu", "cuda" or "mps".
        most: training images at most, and validation images at most.

    Returns:
        "stages": one row each with "stage", "output" ([c, h, w] or [units]), "pooling", "features", "C",
        "converged", "validation_error", "top1_error", "top5_error" (of "k") and "interval" (95 %);
        "net": the same figures of the net itself on these images, None where it does not know the classes;
        and the protocol: "images" and "part_sizes", "views", "standardised", "grid", "seed" (None: nothing is
        drawn), "trained_on" (test images that the run was trained on). Errors are fractions 0..1.

    Raises:
        InputError: a stage that the net does not have; a source that has no test part or only one class to train on.
    """
    file = weights_file(run)
    net, card = load_weights(file)
    wanted = list(dict.fromkeys(stages)) or [before_classifier(net)]
    for stage in wanted:
        if stage not in net.stages:
            raise InputError(f"{net.name} has no stage {stage!r}; it has {', '.join(net.stages)}")
    packed = images_of(card, file.parent, source, root)
    for_inference(net, choose_device(device), len(packed) // processes.size())
    parts = split(packed, card.recipe["data"]["test"], card.recipe["data"]["validation"])
    if not len(parts.test):
        raise InputError(f"{packed.name} has no test part: give a source with more images, or with test/ inside")
    rows = {
        "train": first_by_rank(packed, parts.train, most),
        "validation": first_by_rank(packed, parts.validation, most),
        "test": parts.test,
    }
    if len(np.unique(packed.labels[rows["train"]])) < 2:
        raise InputError(
            f"{packed.name} has training images of one class alone, a linear classifier tells two or more apart: "
            "give a source with more classes"
        )
    same_everywhere(
        (card, packed.fingerprint, [sha256(packed.digests[part].tobytes()).digest() for part in rows.values()])
    )
    features = {part: stage_features(net, card, packed, rows[part], wanted, part) for part in rows}
    labels = {part: packed.labels[rows[part]] for part in rows}
    fitted = []
    for stage in track(wanted, "fitting", unit="stages"):
        of_stage = {part: features[part].pop(stage) for part in features}  # each is let go when it is used
        fitted.append({"stage": stage} | facts(net, stage) | fit(of_stage, labels, len(packed.classes)))
    return {
        "model": card.model,
        "trained_on_source": card.source,
        "source": packed.name,
        "classes": packed.classes,
        "images": len(parts.test),
        "part_sizes": {part: len(rows[part]) for part in rows},
        "training_images_there": len(parts.train),
        "k": top_k(len(packed.classes)),
        "views": "center",
        "standardised": True,
        "classifier": f"logistic regression, L2, scikit-learn, at most {ITERATIONS} steps of L-BFGS",
        "grid": list(GRID),
        "seed": None,
        "trained_on": trained_on(file.parent, packed.digests[parts.test]),
        "stages": fitted,
        "net": own_error(net, card, packed, parts.test),
    }


def before_classifier(net: Classifier) -> str:
    """The stage that feeds the net's own classifier; a dropout between the two is passed over."""
    names = list(net.stages)
    before = names[: names.index(net.classifier_stage)]
    return next((name for name in reversed(before) if not isinstance(net.stages[name], Dropout)), names[0])


@torch.inference_mode()
def stage_features(
    net: Classifier, card: Card, packed: Packed, rows: np.ndarray, stages: Sequence[str], part: str
) -> dict[str, np.ndarray]:
    """Features of the centre view: stage -> float32 [len(rows), features], all stages from one pass."""
    if not len(rows):
        return {stage: np.empty((0, 0), np.float32) for stage in stages}
    net.eval()
    where = next(net.parameters()).device
    batches = Batches(packed, rows, 128, None)
    out: dict[str, np.ndarray] = {}
    at = 0

    def features(step: Batch) -> dict[str, np.ndarray]:
        images = center_view(to_planes(step.images, card.side, where), card.size)[0]
        return {stage: pooled(x).float().cpu().numpy() for stage, x in outputs(net, images, stages)}

    found = map(features, batches.epoch(0, processes.rank(), processes.size()))
    for of_batch in track(in_order(found, batches.steps), f"features, {part}", batches.steps, "batches"):
        n = len(of_batch[stages[0]])
        for stage, vectors in of_batch.items():
            if stage not in out:
                out[stage] = np.empty((len(rows), vectors.shape[1]), np.float32)
            out[stage][at : at + n] = vectors
        at += n
    return out


def outputs(net: Classifier, images: Tensor, stages: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """The outputs of these stages, in the order of the net; the rest of the net is not run."""
    missing = set(stages)
    x = net.preprocess(images)
    for name, stage in net.stages.items():
        x = stage(x)
        if name in missing:
            yield name, x
            missing.remove(name)
        if not missing:
            return


def grid_side(maps: int, side: int) -> int:
    """Cells a side of the finest even grid over `maps` square maps that gives at most MOST_FEATURES numbers."""
    return max(1, min(side, int((MOST_FEATURES / maps) ** 0.5)))


def pooled(x: Tensor) -> Tensor:
    """Maps [n c h w] averaged over the cells of a grid and laid out as [n c*g*g]; [n units] as they are."""
    if x.dim() == 2:
        return x
    g = grid_side(x.shape[1], min(x.shape[2:]))
    return functional.adaptive_avg_pool2d(x, g).flatten(1)


def facts(net: Classifier, stage: str) -> dict[str, Any]:
    """What the stage gives at the net's own size, and how that was made into features."""
    from alexnet.models.summary import layer_table

    output = next(row["output"] for row in layer_table(net) if row["name"] == stage)
    if len(output) == 1:
        return {"output": output, "pooling": "none"}
    g, side = grid_side(output[0], min(output[1:])), min(output[1:])
    return {"output": output, "pooling": "none" if g == side else f"average over {g} x {g} cells"}


def fit(features: dict[str, np.ndarray], labels: dict[str, np.ndarray], classes: int) -> dict[str, Any]:
    """Standardise, choose C on the validation part (of equals the smallest), measure on the test part.

    Without a validation part the middle of the grid is taken.

    Args:
        features: "train", "validation" and "test" -> float32 [n, features].
        labels: the same -> int64 [n].
        classes: how many there are.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features["train"])
    chosen = bool(len(labels["validation"]))
    train, test = (np.asarray(scaler.transform(features[part])) for part in ("train", "test"))
    held = scaler.transform(features["validation"]) if chosen else None
    best: tuple[float, Any] | None = None
    for c in GRID if chosen else GRID[2:3]:
        model = LogisticRegression(C=c, max_iter=ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # said in "converged"
            model.fit(train, labels["train"])
        error = float((np.asarray(model.predict(held)) != labels["validation"]).mean()) if held is not None else 0.0
        if best is None or error < best[0]:
            best = error, model
    assert best is not None
    error, model = best
    p = np.zeros((len(test), classes))
    p[:, model.classes_] = model.predict_proba(test)
    return {
        "features": int(train.shape[1]),
        "C": float(model.C),
        "converged": int(model.n_iter_.max()) < ITERATIONS,
        "validation_error": error if chosen else None,
    } | figures(p, labels["test"])


def own_error(net: Classifier, card: Card, packed: Packed, rows: np.ndarray) -> dict[str, Any] | None:
    """The net's own figures on the same view of the same images; None where it does not know the classes."""
    if (places(packed.classes, packed.kind, card) < 0).any():
        return None
    p = probabilities(net, packed, rows, card.side, card.size, what="the net itself")
    return figures(p, class_numbers(packed, card)[rows])


def as_text(result: dict[str, Any]) -> str:
    """A result as a table for people."""
    sizes = result["part_sizes"]
    there = result["training_images_there"]
    of_all = f" of {there:,}" if sizes["train"] < there else ""
    k = result["k"]
    lines = [
        f"{result['model']}, trained on {result['trained_on_source']}; linear probes on {result['source']}: "
        f"{sizes['train']:,}{of_all} training, {sizes['validation']:,} validation, {sizes['test']:,} test images",
        f"{'stage':16} {'output':>12} {'features':>8} {'C':>8}  {'top-1 error, 95 % interval':28} top-{k} error",
    ]
    for row in result["stages"]:
        output = "×".join(map(str, row["output"]))
        lines.append(f"{row['stage']:16} {output:>12} {row['features']:>8} {row['C']:>8g}  {errors_text(row)}")
    if result["net"] is not None:
        lines.append(f"{'the net itself':47}  {errors_text(result['net'])}")
    averaged = [f"{row['stage']}: {row['pooling']}" for row in result["stages"] if row["pooling"] != "none"]
    if averaged:
        lines.append("; ".join(averaged))
    slow = [row["stage"] for row in result["stages"] if not row["converged"]]
    if slow:
        lines.append(f"not converged after {ITERATIONS} steps: {', '.join(slow)}")
    if result["trained_on"]:
        lines.append(f"careful: the net was trained on {result['trained_on']} of these test images")
    return "\n".join(lines)
