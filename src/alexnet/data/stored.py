"""How the images of a source are to be stored: size, crop, raw or JPEG; and one image made so."""

import hashlib
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
from PIL import Image

from alexnet.data.parallel import in_threads
from alexnet.data.source import Problem, Source, printable
from alexnet.errors import InputError
from alexnet.images import ImageProblem, centre_square, read_bytes, read_image, shorter_side_to

NATIVE_SIDE = 64  # images up to this many pixels a side, all of one shape, are stored as they are
RAW_LIMIT = 4e9  # bytes
JPEG_QUALITY = 95  # 42 dB beside the raw pixels on photographs of 256 x 256
JPEG_BYTES_A_PIXEL = 0.5  # for the estimate before packing; photographs at 256 x 256 take about 0.37
TYPICAL_ASPECT = 4 / 3  # for the estimate of whole images

Crop = Literal["centre", "none"]
Format = Literal["auto", "raw", "jpeg"]


@dataclass(frozen=True)
class Storage:
    """What becomes of every image of a pack.

    Attributes:
        side: of the shorter side, in pixels.
        crop: "centre" squares, or "none": whole images.
        layout: "raw" or "jpeg".
        shape: (h, w, c) of every stored image; None where they differ.
        native: stored at their own size and channels.
    """

    side: int
    crop: Crop
    layout: Literal["raw", "jpeg"]
    shape: tuple[int, int, int] | None
    native: bool

    def estimated_bytes(self, images: int) -> int:
        """What `images` images take on the disk: exact for raw ones of one shape."""
        if self.shape:
            pixels = self.shape[0] * self.shape[1] * self.shape[2] / 3
        else:
            pixels = self.side * self.side * TYPICAL_ASPECT
        return int(images * pixels * (3 if self.layout == "raw" else JPEG_BYTES_A_PIXEL))

    def described(self) -> dict[str, Any]:
        """For the manifest and for keys."""
        return {**asdict(self), "shape": list(self.shape) if self.shape else None}


@dataclass(frozen=True)
class Prepared:
    """One image as it goes into the pack.

    Attributes:
        row: in the source.
        digest: SHA-256 of the file's bytes, or of the pixels for arrays.
        data: raw pixels, or a JPEG file.
        shape: (h, w, c) of the image that `data` holds.
    """

    row: int
    digest: bytes
    data: bytes
    shape: tuple[int, int, int]


def storage_for(source: Source, stored: int | None, crop: Crop, format: Format, size: int) -> Storage:
    """Decide how `source` is stored (see `packed.py` for the format).

    Raises:
        InputError: a side that is no image's.
    """
    if (stored is not None and stored < 1) or size < 1:
        raise InputError(f"a stored side of {stored if stored is not None else size} pixels; give 1 or more")
    native = _small_shape(source) if stored is None else None
    if native:
        layout = "jpeg" if format == "jpeg" else "raw"
        return Storage(min(native[:2]), "none", layout, native, native=True)
    side = stored or round(size * 256 / 224)
    shape = (side, side, 3) if crop == "centre" else None
    raw = Storage(side, crop, "raw", shape, native=False)
    if format == "raw" or (format == "auto" and raw.estimated_bytes(len(source)) < RAW_LIMIT):
        return raw
    return Storage(side, crop, "jpeg", shape, native=False)


def prepare(source: Source, row: int, storage: Storage) -> Prepared | Problem:
    """Image `row` of `source` as `storage` wants it, or why not."""
    try:
        if source.arrays is not None:
            pixels = np.ascontiguousarray(source.arrays[row])
            digest = hashlib.sha256(pixels.tobytes()).digest()
            image = pixels[:, :, None] if pixels.ndim == 2 else pixels
        else:
            data = read_bytes(source.file(row))
            digest = hashlib.sha256(data).digest()
            image = read_image(data)
        image = _fitted(image, storage)
    except ImageProblem as problem:
        return Problem(printable(source.paths[row]), problem.kind, problem.detail)
    h, w, c = image.shape
    return Prepared(row, digest, _encoded(image, storage.layout), (h, w, c))


def _fitted(image: np.ndarray, storage: Storage) -> np.ndarray:
    if storage.native:
        if image.shape != storage.shape:
            raise ImageProblem("unreadable", f"changed to {image.shape[:2]} while it was packed; pack again")
        return image
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    image = shorter_side_to(_not_too_long(image, storage), storage.side)
    return centre_square(image) if storage.crop == "centre" else image


def _not_too_long(image: np.ndarray, storage: Storage) -> np.ndarray:
    """For centre squares, the middle of a very long image: the rest would be enlarged for nothing."""
    h, w = image.shape[:2]
    if storage.crop != "centre" or max(h, w) <= 4 * min(h, w):
        return image
    keep = 4 * min(h, w)
    top, left = max(0, (h - keep) // 2), max(0, (w - keep) // 2)
    return image[top : top + keep, left : left + keep]


def _encoded(image: np.ndarray, layout: str) -> bytes:
    if layout == "raw":
        return image.tobytes()
    file = BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _small_shape(source: Source) -> tuple[int, int, int] | None:
    """The one shape of all images where no side is over NATIVE_SIDE; otherwise None.

    Files are decoded up to the first that does not fit, which for photographs is the first.
    """
    if source.arrays is not None:
        h, w, *c = source.arrays.shape[1:]
        return (h, w, c[0] if c else 1) if max(h, w) <= NATIVE_SIDE else None

    def shape_of(row: int) -> tuple[int, ...] | None:
        try:
            return read_image(source.file(row)).shape
        except ImageProblem:
            return None

    common = None
    for shape in in_threads(shape_of, range(len(source))):
        if shape is None:
            continue
        if max(shape[:2]) > NATIVE_SIDE or (common and shape != common):
            return None
        common = (shape[0], shape[1], shape[2])
    return common
