"""Images by the ids that the page gives them: uploaded ones, those of the test parts, those of the index.

No path ever comes from a request: an id is a number or a digest, and only what was uploaded or belongs to the runs
and the index can be named.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
from fastapi import HTTPException

from alexnet.images import ImageProblem, read_image
from alexnet.retrieval.index import Index
from alexnet.web.kept import Kept
from alexnet.web.served import Served, Tested
from alexnet.web.settings import Settings

STATUS = {"too-large": 413, "not-an-image": 415, "needs-heic": 415}
"""What a problem with an image is over HTTP; all others are 422, an image that is broken."""

ID = r"upload-[0-9a-f]{16}|test[0-9]{0,3}-[0-9]{1,12}|index-[0-9]{1,15}"


class Gallery:
    """All images that can be asked about.

    Args:
        runs: whose test parts are shown.
        index: whose images are shown; None where none is served.
        settings: the limits.
    """

    def __init__(self, runs: list[Served], index: Index | None, settings: Settings):
        self._runs, self._index, self._settings = runs, index, settings
        self._uploads: Kept[bytes] = Kept(settings.kept_uploads, settings.kept_bytes)
        self._decoded: Kept[np.ndarray] = Kept(256, settings.decoded_bytes)

    def decoded(self, data: bytes) -> np.ndarray:
        """The pixels of a file's bytes, uint8 [h, w, 3].

        Raises:
            HTTPException: 413 too many bytes or pixels, 415 no image that we read, 422 a broken one.
        """
        if len(data) > self._settings.most_bytes:
            raise HTTPException(
                413, f"the file has {len(data):,} bytes; at most {self._settings.most_bytes:,} are read"
            )
        try:
            return read_image(data, self._settings.most_pixels)
        except ImageProblem as problem:
            raise HTTPException(STATUS.get(problem.kind, 422), f"{problem.kind}: {problem.detail}") from None

    def add(self, data: bytes) -> tuple[str, np.ndarray]:
        """Keep an uploaded image; give its id and its pixels.

        Raises:
            HTTPException: as `decoded`.
        """
        pixels = self.decoded(data)
        name = f"upload-{hashlib.sha256(data).hexdigest()[:16]}"
        self._uploads.put(name, data, len(data))
        self._decoded.put(name, pixels, pixels.nbytes)
        return name, pixels

    def pixels(self, image: str) -> np.ndarray:
        """The pixels of an image, uint8 [h, w, 3], not to be changed.

        Raises:
            HTTPException: 404, there is no such image, or no longer.
        """
        if image.startswith("upload-"):
            self._upload(image)  # counts as used, and what is dropped is gone
        kept = self._decoded.get(image)
        if kept is None:
            kept = self._read(image)
            self._decoded.put(image, kept, kept.nbytes)
        return kept

    def label(self, image: str) -> str | None:
        """The right class of an image; None where nobody says."""
        kind, number = parted(image)
        if kind == "index":
            return self._entry(number).label
        if kind == "upload":
            return None
        part, run = self._part(kind), self._run_of(kind)
        return run.loaded().card.classes[part.labels[self._place(part, number, image)]]

    def digest(self, image: str) -> bytes | None:
        """SHA-256 of a test image, as its pack has it; None of other images."""
        kind, number = parted(image)
        if not kind.startswith("test"):
            return None
        part = self._part(kind)
        return part.packed.digests[part.rows[self._place(part, number, image)]].tobytes()

    def prefix(self, run: Served) -> str:
        """What the ids of a run's test images begin with: the same for all runs that were tested on the same images."""
        part = run.loaded().part
        for other in self._runs[: run.number]:
            theirs = found.part if (found := other.loaded_or_none()) is not None else None
            if part is not None and theirs is not None and theirs.is_that_of(part):
                return f"test{other.number or ''}-"
        return f"test{run.number or ''}-"

    def _read(self, image: str) -> np.ndarray:
        kind, number = parted(image)
        if kind == "upload":
            return self.decoded(self._upload(image))
        if kind == "index":
            return self._indexed(number)
        part = self._part(kind)
        row = part.rows[self._place(part, number, image)]
        pixels = np.asarray(part.packed.read(np.array([row]))[0])
        return np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels

    def _upload(self, image: str) -> bytes:
        data = self._uploads.get(image)
        if data is None:
            raise HTTPException(404, f"{image} is not kept, or no longer: upload it again")
        return data

    def _part(self, kind: str) -> Tested:
        part = self._run_of(kind).loaded().part
        if part is None:
            raise HTTPException(404, f"the test images of {self._run_of(kind).name} are not here any more")
        return part

    def _run_of(self, kind: str) -> Served:
        number = int(kind[4:] or 0)
        if number >= len(self._runs):
            raise HTTPException(404, f"there is no run {number}: {len(self._runs)} are served, from 0")
        return self._runs[number]

    def _place(self, part: Tested, number: int, image: str) -> int:
        if number >= len(part.rows):
            raise HTTPException(404, f"there is no {image}: the test part has {len(part.rows):,} images, from 0")
        return number

    def _entry(self, number: int):
        entry = self._index.table.entries([number]).get(number) if self._index is not None else None
        if entry is None:
            raise HTTPException(404, f"there is no index-{number}: ask for similar images to see which there are")
        return entry

    def _indexed(self, number: int) -> np.ndarray:
        """The image's own file while it is the one that was indexed; else the small picture that the index keeps."""
        entry = self._entry(number)
        path = Path(entry.path)
        try:
            if path.is_absolute() and path.is_file() and path.stat().st_size <= self._settings.most_bytes:
                data = path.read_bytes()
                if hashlib.sha256(data).digest() == entry.digest:
                    return self.decoded(data)
        except OSError:
            pass
        if entry.thumbnail is None:
            raise HTTPException(404, f"the index keeps no picture of index-{number}, and its file is gone or another")
        return self.decoded(entry.thumbnail)


def parted(image: str) -> tuple[str, int]:
    """Kind and number of an id; uploads have no number.

    Raises:
        HTTPException: 404, it is no id.
    """
    if re.fullmatch(ID, image) is None:
        raise HTTPException(404, "an image is named upload-..., test-NUMBER or index-NUMBER, as the routes give them")
    kind, _, number = image.partition("-")
    return kind, 0 if kind == "upload" else int(number)
