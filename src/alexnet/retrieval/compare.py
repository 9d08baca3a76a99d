"""Evaluation of search: how good the neighbours are by the vectors themselves, and by codes of them.

Exact search ranks all indexed images by L2 distance. Codes rank them by Hamming distance, and with re-ranking the
images nearest by code, the short-list, are put in the order of their L2 distances, before all others. An indexed
image with the bytes of the query is not counted: it would be found by any code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.errors import InputError
from alexnet.progress import track
from alexnet.retrieval.codes import METHODS, fit_codes
from alexnet.retrieval.distances import as_words, hamming, squared_distances, squared_lengths
from alexnet.retrieval.measures import Figures, of_distances, of_groups
from alexnet.retrieval.vectors import Vectors, open_vectors

BITS = (32, 64, 128, 256)
BLOCK_BYTES = 2**27  # of the distances that are held at once


@dataclass(frozen=True)
class Labelled:
    """Vectors with what their measuring needs.

    Attributes:
        array: float [n, d], also a memory map.
        labels: int64 [n].
        digests: uint8 [n, 32], SHA-256 of each image.
    """

    array: np.ndarray
    labels: np.ndarray
    digests: np.ndarray


def compare_folders(
    vectors: str | Path,
    queries: str | Path | None = None,
    bits: Sequence[int] = BITS,
    methods: Sequence[str] = METHODS,
    k: int = 10,
    shortlist: int = 200,
    seed: int = 0,
) -> dict[str, Any]:
    """`compare` two folders that `embed` wrote; without queries, each image of the first is asked among the others.

    Returns: as `compare`, with "stage", "model", "source" and "normalised" of the vectors.

    Raises:
        InputError: no such folders; images without classes; vectors by other weights or of another stage.
    """
    searched = open_vectors(vectors)
    asked = open_vectors(queries) if queries is not None else searched
    for name in ("weights_sha256", "stage", "normalised"):
        if searched.manifest[name] != asked.manifest[name]:
            raise InputError(
                f"{asked.path} has {name} {asked.manifest[name]} and {searched.path} {searched.manifest[name]}: "
                "embed both with one run, stage and normalisation"
            )
    about = {name: searched.manifest[name] for name in ("model", "source", "stage", "normalised")}
    both = labelled(searched, searched.classes), labelled(asked, searched.classes)
    return about | compare(*both, bits, methods, k, shortlist, seed)


def labelled(vectors: Vectors, classes: Sequence[str]) -> Labelled:
    """A folder of vectors for `compare`, its labels as numbers of these classes, -1 for another name.

    Raises:
        InputError: its images have no classes.
    """
    if vectors.labels is None:
        raise InputError(f"the images of {vectors.path} have no classes, by which search is measured: give such")
    place = {name: number for number, name in enumerate(classes)}
    numbers = np.array([place.get(name, -1) for name in vectors.classes])
    return Labelled(vectors.array, numbers[vectors.labels], vectors.digests)


def compare(
    index: Labelled,
    queries: Labelled,
    bits: Sequence[int] = BITS,
    methods: Sequence[str] = METHODS,
    k: int = 10,
    shortlist: int = 200,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure exact search, and search by codes of each method and length with and without re-ranking.

    Args:
        index: what is searched; the codes are fitted on it, and no label is looked at for that.
        queries: what is asked.
        bits: lengths of codes; none measures exact search alone.
        methods: of METHODS.
        k: the first so many results count for precision and recall.
        shortlist: images that are re-ranked, at least k; of fewer images all.
        seed: of the codes, and of the order that equal Hamming distances have at the short-list's end.

    Returns:
        "exact" with "precision", "recall" (both at k) and "map" (mean average precision); "codes": rows with
        "method", "bits", the same three, "reranked" (the same three) and "precision_kept" (re-ranked precision as
        a share of the exact one); "indexed", "queries", "left_out" (queries without a relevant image), "k",
        "shortlist", "seed". Figures are 0..1, means over the queries.

    Raises:
        InputError: vectors of unlike length; no query of a class that is indexed; a k or short-list out of range.
    """
    n = len(index.array)
    if index.array.shape[1] != queries.array.shape[1]:
        raise InputError(
            f"queries of {queries.array.shape[1]} numbers came, {index.array.shape[1]} are indexed: "
            "embed both with one run and stage"
        )
    shortlist = min(shortlist, n)
    if not 1 <= k <= shortlist:
        raise InputError(
            f"k {k} and a short-list of {shortlist} of {n} images: wanted is 1 <= k <= short-list <= images"
        )
    fitted = [fit_codes(index.array, b, method, seed) for method in methods for b in bits]
    coded = [(as_words(codes.encode(index.array)), as_words(codes.encode(queries.array))) for codes in fitted]
    tie_order = np.random.default_rng(seed).permutation(n)
    twins = Twins(index.digests)
    exact: list[Figures] = []
    by_code: list[list[Figures]] = [[] for _ in fitted]
    reranked: list[list[Figures]] = [[] for _ in fitted]
    squares = squared_lengths(index.array)
    block = max(1, BLOCK_BYTES // (4 * n))
    for first in track(range(0, len(queries.array), block), "searching", unit="blocks"):
        rows = range(first, min(first + block, len(queries.array)))
        nearness = squared_distances(queries.array[rows.start : rows.stop], index.array, squares)
        for row, distances in zip(rows, nearness):
            relevant = index.labels == queries.labels[row]
            same = twins.of(queries.digests[row])
            relevant[same] = False
            if not relevant.any():
                continue
            distances[same] = np.inf
            exact.append(of_distances(distances, relevant, k))
            for number, (codes, (indexed, asked)) in enumerate(zip(fitted, coded)):
                bits_apart = hamming(asked[:, row], indexed)
                bits_apart[same] = codes.bits + 1
                by_code[number].append(of_groups(*counts(bits_apart, relevant, codes.bits), k))
                near = first_by(bits_apart, tie_order, shortlist)
                reranked[number].append(_reranked(near, distances, bits_apart, relevant, codes.bits, k))
    if not exact:
        raise InputError("no query is of a class that is indexed: give images of the same classes")
    return {
        "indexed": n,
        "queries": len(queries.array),
        "left_out": len(queries.array) - len(exact),
        "features": index.array.shape[1],
        "k": k,
        "shortlist": shortlist,
        "seed": seed,
        "exact": _means(exact),
        "codes": [
            {"method": codes.method, "bits": codes.bits}
            | _means(plain)
            | {"reranked": _means(again)}
            | {"precision_kept": _means(again)["precision"] / max(_means(exact)["precision"], 1e-12)}
            for codes, plain, again in zip(fitted, by_code, reranked)
        ],
    }


class Twins:
    """Where images of equal bytes stand among the indexed ones."""

    def __init__(self, digests: np.ndarray):
        self._rows: dict[bytes, list[int]] = {}
        for row, digest in enumerate(digests):
            self._rows.setdefault(digest.tobytes(), []).append(row)

    def of(self, digest: np.ndarray) -> list[int]:
        """Rows of the indexed images with this SHA-256 (uint8 [32])."""
        return self._rows.get(digest.tobytes(), [])


def counts(bits_apart: np.ndarray, relevant: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Images, and relevant ones, at each Hamming distance up to bits + 1 (those not counted): int64 [bits + 2] both."""
    both = np.bincount(2 * bits_apart + relevant, minlength=2 * bits + 4).reshape(-1, 2)
    return both.sum(1), both[:, 1]


def first_by(bits_apart: np.ndarray, tie_order: np.ndarray, count: int) -> np.ndarray:
    """The rows of the `count` smallest distances; of equal ones those that come first in `tie_order`."""
    return np.argpartition(bits_apart * len(tie_order) + tie_order, count - 1)[:count]


def _reranked(
    near: np.ndarray, distances: np.ndarray, bits_apart: np.ndarray, relevant: np.ndarray, bits: int, k: int
) -> Figures:
    """Figures of the short-list in the order of L2, and after it all others in the order of their codes."""
    order = near[np.argsort(distances[near], kind="stable")]
    sizes, good = counts(bits_apart, relevant, bits)
    taken, taken_good = counts(bits_apart[near], relevant[near], bits)
    return of_groups(np.r_[np.ones(len(order), np.int64), sizes - taken], np.r_[relevant[order], good - taken_good], k)


def _means(figures: list[Figures]) -> dict[str, float]:
    precision, recall, average = np.mean(figures, axis=0)
    return {"precision": float(precision), "recall": float(recall), "map": float(average)}


def as_text(result: dict[str, Any]) -> str:
    """A result as a table for people."""
    k = result["k"]
    lines = [
        f"{result['queries']:,} queries among {result['indexed']:,} images, vectors of {result['features']:,} numbers"
        + (f"; {result['left_out']:,} queries of classes that are not indexed left out" if result["left_out"] else ""),
        f"{'search':18} {'bits':>5}  {'precision':>9} {'recall':>8} {'mAP':>7}   re-ranked: precision  kept",
        f"{'exact, L2':18} {'':>5}  {_row(result['exact'])}",
    ]
    for row in result["codes"]:
        again = row["reranked"]["precision"]
        lines.append(f"{row['method']:18} {row['bits']:>5}  {_row(row)}   {again:>20.3f} {row['precision_kept']:>5.1%}")
    lines.append(f"precision and recall at {k}; re-ranked: the {result['shortlist']} nearest by code, by L2")
    return "\n".join(lines)


def _row(figures: dict[str, float]) -> str:
    return f"{figures['precision']:>9.3f} {figures['recall']:>8.4f} {figures['map']:>7.3f}"
