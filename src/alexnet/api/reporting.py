"""Reports: of one run, and of several side by side."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet.api.given import place
from alexnet.checkpoint import read_run
from alexnet.data import open_packed
from alexnet.errors import InputError
from alexnet.pictures.cells import ReadRows
from alexnet.pictures.compare_page import write_comparison
from alexnet.pictures.records import read_run as read_records
from alexnet.pictures.report import write_report
from alexnet.pictures.report_learned import Learned, learned
from alexnet.pictures.similar import BESIDE
from alexnet.pictures.subject import Subject, open_subject
from alexnet.progress import note
from alexnet.retrieval.index import Index

QUERIES = 4
"""Test images that are shown with their neighbours in an index."""


def report(
    *runs: str | Path, out: str | Path | None = None, index: str | Path | None = None, device: str = "auto"
) -> Path:
    """Write the report of a run, or a page that compares several: one file that opens anywhere; give its path.

    Args:
        runs: folders of runs.
        out: an .html file; by default report.html in the one run, and for several a new file comparison.html here.
        index: an index whose images are shown beside test images of the one run; by default the folder `index` in the
            run, if it is there.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: no run or no such run; an index beside several runs; a file of another kind to write.
    """
    folders, out, index = [Path(run) for run in runs], place(out), place(index)
    if not folders:
        raise InputError("no run came: give the folder of one, or of several to compare")
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out}: a report is written as .html: give such a name")
    if len(folders) > 1:
        if index is not None:
            raise InputError(f"an index is shown for one run and {len(folders)} came: leave --index out")
        return write_comparison(folders, [_images(folder) for folder in folders], out or _free("comparison"))
    return _one(folders[0], out, index, device)


def _one(folder: Path, out: Path | None, index: Path | None, device: str) -> Path:
    about = read_run(folder)
    if "compared_with" in about:
        raise InputError(
            f"the weights in {folder} were brought in, so there is no training to report: measure them with "
            f"alexnet evaluate {folder} SOURCE"
        )
    subject = _subject(folder, device)
    found = _learned(subject, folder)
    similar = _similar(subject, folder, index, device)
    return write_report(folder, _images(folder), found, similar, out)


def _images(folder: Path) -> ReadRows | None:
    """What reads a run's packed images; None where they are gone."""
    packed = Path(read_run(folder).get("packed") or folder / "none")
    return open_packed(packed).read if packed.is_dir() else None


def _subject(folder: Path, device: str) -> Subject | None:
    """The run's net, None where there are no weights or images yet or any more."""
    try:
        subject = open_subject(folder, device)
        assert len(subject.test_rows)  # opens the images, or says why not
    except InputError as problem:
        note(f"the report does without the net: {problem}")
        return None
    return subject


def _learned(subject: Subject | None, folder: Path) -> Learned | None:
    if subject is None:
        return None
    evaluation = read_records(folder).evaluation or {}
    return learned(subject, [row["row"] for row in evaluation.get("mistakes", [])])


def _similar(subject: Subject | None, folder: Path, index: Path | None, device: str) -> Sequence[Sequence[np.ndarray]]:
    """Some test images, each with those of the index that are most like it; the very same image left out."""
    where = index if index is not None else folder / "index"
    if subject is None or (index is None and not where.is_dir()):
        return []
    rows, _ = subject.one_of_each_class(QUERIES)
    found = []
    with Index(where, None, device) as opened:
        for row, pixels in zip(rows, subject.packed.read(rows)):
            itself = opened.table.of_digest(subject.packed.digests[row].tobytes())
            pixels = np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else np.asarray(pixels)
            hits = [hit for hit in opened.search(pixels, BESIDE + len(itself)) if hit.id not in itself][:BESIDE]
            pictures = [np.asarray(Image.open(BytesIO(hit.thumbnail))) for hit in hits if hit.thumbnail is not None]
            found.append([pixels, *pictures])
    return found


def _free(name: str) -> Path:
    """A file of that name here that is not there yet."""
    taken = (Path(f"{name}{number}.html") for number in ("", *(f"-{more}" for more in range(2, 10_000))))
    return next(path for path in taken if not path.exists())
