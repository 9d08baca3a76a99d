"""Similar images: the index that is served, asked through a run's own net."""

import numpy as np

from alexnet.checkpoint import weights_file
from alexnet.data.packed import sha256_of
from alexnet.retrieval.features import FeatureReader
from alexnet.retrieval.index import Hit, Index
from alexnet.web.served import Loaded, Served


def searches(run: Served, index: Index | None) -> bool:
    """Whether the index holds features of this run's weights."""
    found = run.loaded_or_none() if index is not None else None
    return index is not None and found is not None and _digest(run, found) == index.about["features"]["weights_sha256"]


def similar(run: Served, index: Index, pixels: np.ndarray, top: int, but: set[int]) -> list[Hit]:
    """The indexed images most like one, the nearest first.

    Args:
        run: whose net gives the features.
        index: of features of that net.
        pixels: uint8 [h, w, 3].
        top: how many at most.
        but: ids that are left out.
    """
    found, about = run.loaded(), index.about["features"]
    stored = {name: about[name] for name in ("stored", "crop")}
    reader = FeatureReader(
        found.net, found.card, about["stage"], about["normalised"] == "l2", stored, about["weights_sha256"]
    )
    hits = run.ask(lambda: index.search_vectors(reader.vectors([pixels]), top + len(but))[0])
    return [hit for hit in hits if hit.id not in but][:top]


def itself(index: Index, image: str, digest: bytes | None) -> set[int]:
    """The ids under which an image that the page shows is in the index."""
    if image.startswith("index-"):
        return {int(image.removeprefix("index-"))}
    return set(index.table.of_digest(digest)) if digest is not None else set()


def _digest(run: Served, found: Loaded) -> str:
    if found.digest is None:
        found.digest = sha256_of(weights_file(run.path))
    return found.digest
