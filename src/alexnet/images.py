"""A file, or its bytes, as an upright RGB image; and the two sizes that everything else needs.

Images are uint8 [h, w, 3], red first, 0..255. What a file is, its content decides, never its name.
Colour profiles are not applied: the published nets were trained on plain decoded values too.
"""

import errno
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

LARGEST_PIXELS = 2 * 89_478_485  # where Pillow itself refuses: 178,956,970 pixels, 0.5 GB as RGB
LARGEST_BYTES = 2**31  # a file beyond 2 GiB is no picture that fits LARGEST_PIXELS
BACKGROUND = (255, 255, 255)  # transparent pixels are laid on white, the colour of a page

# EXIF tag 274, orientation: what has to be done to see the picture upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


class ImageProblem(Exception):
    """One image cannot be read. It is skipped, counted and named; it ends nothing.

    Attributes:
        kind: "empty", "not-an-image", "truncated", "too-large", "no-permission", "broken-link",
            "link-loop", "missing", "needs-heic" or "unreadable" (the disk failed).
        detail: one line for people.
    """

    def __init__(self, kind: str, detail: str):
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


def read_image(source: Path | str | bytes, most_pixels: int = LARGEST_PIXELS) -> np.ndarray:
    """The image in a file, or in a file's bytes, upright: uint8 [h, w, 3].

    Grey of 16 bits is divided by 257, so that white stays white; transparent pixels are laid on
    white; of an animation the first frame is taken; CMYK, palettes and the rest become RGB.

    Args:
        source: a file or its bytes.
        most_pixels: of the image; a larger one is not decoded.

    Raises:
        ImageProblem: nothing that can be shown is there.
    """
    data = source if isinstance(source, bytes) else read_bytes(source)
    if not data:
        raise ImageProblem("empty", "the file has no bytes")
    with pillow_quiet():
        image = _open(data)
        if image.width * image.height > most_pixels:
            raise ImageProblem("too-large", f"{image.width} x {image.height} pixels; at most {most_pixels:,} are read")
        try:
            image.load()
            return _rgb(_upright(image))
        except (Image.DecompressionBombError, MemoryError) as error:
            raise ImageProblem("too-large", _one_line(error)) from error
        except Exception as error:  # each of Pillow's formats has its own ways to fail on damaged data
            raise ImageProblem("truncated", f"damaged {image.format} data: {_one_line(error)}") from error


def pixels_of(image: Image.Image) -> np.ndarray:
    """The pixels of an open Pillow image, upright, as `read_image` gives those of a file: uint8 [h, w, 3]."""
    with pillow_quiet():
        return _rgb(_upright(image))


def read_bytes(path: Path | str) -> bytes:
    """The bytes of a regular file.

    Raises:
        ImageProblem: it cannot be read, or it is no regular file.
    """
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):  # a named pipe would wait for ever
            raise ImageProblem("not-an-image", "not a regular file")
        if status.st_size > LARGEST_BYTES:
            raise ImageProblem("too-large", f"{status.st_size:,} bytes; at most {LARGEST_BYTES:,} are read")
        return Path(path).read_bytes()
    except OSError as error:
        raise problem_of(path, error) from error


def problem_of(path: Path | str, error: OSError) -> ImageProblem:
    """What the operating system's refusal to open `path` means."""
    if error.errno == errno.ELOOP:
        return ImageProblem("link-loop", "a symbolic link that leads back to itself")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ImageProblem("no-permission", "this user may not read it")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if Path(path).is_symlink():
            return ImageProblem("broken-link", f"links to {Path(path).readlink()}, which is not there")
        return ImageProblem("missing", "there is no such file")
    return ImageProblem("unreadable", error.strerror or _one_line(error))


def shorter_side_to(image: np.ndarray, side: int) -> np.ndarray:
    """`image` (uint8 [h, w, 3]) with its shorter side at `side` pixels, the aspect kept.

    Bilinear with antialiasing, both ways: smaller images are enlarged.

    Raises:
        ImageProblem: the result would have more than LARGEST_PIXELS.
    """
    h, w = image.shape[:2]
    if min(h, w) == side:
        return image
    scale = side / min(h, w)
    h, w = max(side, round(h * scale)), max(side, round(w * scale))
    if h * w > LARGEST_PIXELS:
        raise ImageProblem("too-large", f"at a shorter side of {side} it would have {h} x {w} pixels")
    return np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR))


def centre_square(image: np.ndarray) -> np.ndarray:
    """The square [s, s, 3] in the middle of `image` (uint8 [h, w, 3]), s its shorter side."""
    h, w = image.shape[:2]
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    return image[top : top + side, left : left + side]


def _open(data: bytes) -> Image.Image:
    """Pillow's image of `data`, its header read and its pixels not yet."""
    is_heic = data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS
    if is_heic:
        _register_heic()
    try:
        image = Image.open(BytesIO(data))
    except Image.DecompressionBombError as error:
        raise ImageProblem("too-large", _one_line(error)) from error
    except UnidentifiedImageError as error:
        if is_heic and "HEIF" not in Image.OPEN:
            raise ImageProblem("needs-heic", "a HEIC picture: pip install 'alexnet[heic]'") from error
        raise ImageProblem("not-an-image", "no image format that Pillow knows") from error
    except Exception as error:  # a header that a format's reader chokes on
        raise ImageProblem("not-an-image", f"damaged header: {_one_line(error)}") from error
    if image.format == "EPS":  # Pillow would hand it to Ghostscript, a program that runs programs
        raise ImageProblem("not-an-image", "PostScript; save it as PNG or JPEG")
    return image


def _register_heic() -> None:
    """Teach Pillow HEIC, where the extra is installed."""
    if "HEIF" not in Image.OPEN:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            return
        register_heif_opener()


def _upright(image: Image.Image) -> Image.Image:
    """`image` turned as its EXIF orientation asks; damaged EXIF data turn nothing."""
    try:
        orientation = image.getexif().get(274)
        turn = TURNS.get(orientation) if isinstance(orientation, int) else None
    except Exception:  # Pillow parses EXIF only here, and any error of parsing may come out
        turn = None
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> np.ndarray:
    """The pixels as uint8 [h, w, 3]."""
    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_grey_to_bytes(np.asarray(image))[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        overlay = image.convert("RGBA")
        image = Image.new("RGBA", overlay.size, (*BACKGROUND, 255))
        image.alpha_composite(overlay)
    if image.mode == "LAB":
        to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        image = ImageCms.applyTransform(image, to_rgb) or image
    return np.array(image.convert("RGB"))


def _grey_to_bytes(grey: np.ndarray) -> np.ndarray:
    """Grey of more than 8 bits [h, w] as uint8.

    Integers are read as 16 bits, or as 31 where one of them is larger than 65,535; floats as 0..1,
    0..255 or 0..65,535, the first that holds them all, and larger ones relative to the largest.
    """
    top = float(np.nan_to_num(grey).max(initial=0))
    if grey.dtype.kind == "f":
        white = next((limit for limit in (1.0, 255.0, 65535.0) if top <= limit), top)
    else:
        white = 65535.0 if top <= 65535 else 2.0**31 - 1
    values = np.nan_to_num(grey.astype(np.float64), nan=0.0, posinf=white)
    return np.floor(np.clip(values / white, 0, 1) * 255 + 0.5).astype(np.uint8)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


_quiet_lock = threading.Lock()
_quiet_depth = 0
_quiet_filters: warnings.catch_warnings | None = None


@contextmanager
def pillow_quiet() -> Iterator[None]:
    """Silence what Pillow warns of while it decodes (large images, odd metadata): problems are raised.

    Warning filters belong to the whole process, and images are decoded in threads: the first thread to
    come in sets them and the last one out puts them back, so that no thread restores another's.
    """
    global _quiet_depth, _quiet_filters
    with _quiet_lock:
        if _quiet_depth == 0:
            _quiet_filters = warnings.catch_warnings()
            _quiet_filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0 and _quiet_filters is not None:
                _quiet_filters.__exit__(None, None, None)
                _quiet_filters = None
