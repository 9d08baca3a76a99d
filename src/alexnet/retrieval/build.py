"""An index of a folder of vectors: made, and added to."""

from collections.abc import Iterator
from pathlib import Path

from alexnet.errors import InputError
from alexnet.files import write_json
from alexnet.progress import note, track
from alexnet.retrieval.codes import fit_codes, save_codes
from alexnet.retrieval.index import Index
from alexnet.retrieval.settings import FORMAT, VERSION, Metric, open_engines, store_of
from alexnet.retrieval.table import Entry, Table
from alexnet.retrieval.vectors import Vectors, open_vectors

SAME = ("weights_sha256", "stage", "features", "normalised", "native", "stored", "crop")
"""What vectors of one index have in common: else their distances mean nothing."""

UNFINISHED = {"table.sqlite", "encoder.safetensors", "lock"}  # what a killed `create` may leave


def create(
    vectors: str | Path,
    out: str | Path,
    codes: int | None = None,
    method: str = "autoencoder",
    metric: Metric = "l2",
    store: str | None = None,
    seed: int = 0,
) -> Index:
    """Make an index of a folder of vectors; give it, opened. From Python it is `alexnet.index`.

    >>> found = alexnet.index("vectors", "photos-index", codes=128)  # doctest: +SKIP
    >>> found.search("cat.jpg", top=3)[0].path                       # doctest: +SKIP
    'photos/cats/1.jpg'

    The vectors stay where they are: the index holds their path, relative to itself, and their SHA-256.

    Args:
        vectors: a folder that `embed` wrote; it is needed as long as the index.
        out: the folder of the index, where nothing is yet.
        codes: bits of a binary code, a multiple of 8; None for features alone.
        method: "autoencoder", "hyperplanes" or "itq", how codes are made.
        metric: "l2" or "cosine", how features are compared.
        store: http://HOST:PORT or http://HOST:PORT/NAME of a Milvus server that keeps the rows; by default the folder.
        seed: of the codes.

    Raises:
        InputError: no vectors; `out` exists; a server that does not answer or has an index of that name.
    """
    given, path = open_vectors(vectors), Path(out)
    if path.exists() and not (path.is_dir() and {entry.name for entry in path.iterdir()} <= UNFINISHED):
        raise InputError(f"{path} exists and is not overwritten: add to it with --add, or choose another place")
    about = {
        "format": FORMAT,
        "version": VERSION,
        "metric": metric,
        "store": store_of(store, path) if store else None,
        "codes": {"bits": codes, "method": method, "seed": seed} if codes else None,
        "features": {name: given.manifest[name] for name in (*SAME, "model", "run", "pooling")},
    }
    path.mkdir(parents=True, exist_ok=True)
    if codes:
        note(f"fitting codes of {codes} bits on {len(given):,} vectors ({method})")
        save_codes(fit_codes(given.array, codes, method, seed), path / "encoder.safetensors")
    (path / "table.sqlite").unlink(missing_ok=True)
    Table(path / "table.sqlite", new=True).close()
    for engine in open_engines(path, about, new=True).values():
        engine.close()
    write_json(path / "index.json", about)
    index = Index(path)
    add_vectors(index, given)
    return index


def add_vectors(index: Index, vectors: Vectors) -> tuple[int, int]:
    """Take the images of a folder of vectors into an index; give how many were added, and how many were there.

    An image is there already when one of the same path and bytes is.

    Raises:
        InputError: vectors of another net, stage or size of images than those of the index.
    """
    for name in SAME:
        ours, theirs = index.about["features"][name], vectors.manifest[name]
        if ours != theirs:
            raise InputError(
                f"{vectors.path} has {name} {theirs} and the index {index.path} {ours}: embed the images as those "
                "of the index were"
            )
    # The pixels behind thumbnails are read one by one; nobody waits for them without seeing how far they are.
    entries = list(track(_entries(vectors), "reading images", total=len(vectors)))
    added = index.add_new(vectors.array, entries, vectors.path / "vectors.npy")
    return added, len(entries) - added


def _entries(vectors: Vectors) -> Iterator[Entry]:
    base = Path(vectors.manifest["spec"])
    base = base if base.is_dir() else base.parent
    for row, path in enumerate(vectors.paths):
        file = base / path
        yield Entry(
            str(file) if vectors.manifest["kind"] != "named" and file.is_file() else path,
            vectors.label(row),
            vectors.digests[row].tobytes(),
            vectors.thumbnail(row),
        )
