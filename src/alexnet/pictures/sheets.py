"""Sheets of small pictures: first-layer filters, images with captions, an augmented batch."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from alexnet.errors import InputError
from alexnet.pictures.style import BLUE, VERMILLION, png

CAPTION = (115, 125, 135)  # grey that can be read on white and on black


def filters_sheet(weights: np.ndarray, towers: int = 1, columns: int = 16, cell: int = 44) -> bytes:
    """First-layer filters side by side, as figure 3 of Krizhevsky et al. (2012), 16 in a row.

    Each filter is divided by twice its own largest magnitude and moved to 0.5, so that zero is the
    same mid-grey everywhere and a filter's sign can be seen; how strong one filter is beside another
    cannot. Towers stand apart, each under a caption when there is more than one.

    Args:
        weights: float [filters, 3 or 1, h, w].
        towers: groups that the filters fall into, in order and of equal size.
        columns: filters in a row.
        cell: pixels that a filter's side is enlarged to, about.

    Returns:
        A PNG with transparent gaps.

    Raises:
        InputError: weights of another shape, or towers that do not divide the filters.
    """
    weights, each = as_filters(weights, towers)
    blocks = [filters_block(weights[start : start + each], columns, cell) for start in range(0, len(weights), each)]
    if towers == 1:
        return png(blocks[0])
    gap, head = 28, 26
    height = sum(head + block.shape[0] for block in blocks) + gap * (towers - 1)
    sheet = Image.new("RGBA", (blocks[0].shape[1], height))
    draw, top = ImageDraw.Draw(sheet), 0
    for number, block in enumerate(blocks):
        first = number * each + 1
        caption = f"Tower {number + 1}: filters {first} to {first + each - 1}"
        draw.text((2, top), caption, fill=CAPTION, font=ImageFont.load_default(18))
        sheet.paste(Image.fromarray(block), (0, top + head))
        top += head + block.shape[0] + gap
    return png(np.asarray(sheet))


def as_filters(weights: np.ndarray, towers: int) -> tuple[np.ndarray, int]:
    """Weights as float32 [filters, 3 or 1, h, w], and how many filters are a tower's.

    Raises:
        InputError: weights of another shape, or towers that do not divide the filters.
    """
    weights = np.asarray(weights, dtype=np.float32)
    if weights.ndim != 4 or weights.shape[1] not in (1, 3) or not len(weights) or len(weights) % towers:
        raise InputError(
            f"weights {weights.shape} in {towers} towers; give [filters, 3 or 1, height, width], "
            "the same number of filters in each tower"
        )
    return weights, len(weights) // towers


def filters_block(weights: np.ndarray, columns: int = 16, cell: int = 44) -> np.ndarray:
    """Filters of one tower in rows, as in `filters_sheet`: uint8 [h, w, 4], transparent between them."""
    enlarge = max(1, round(cell / max(weights.shape[2:])))
    return _rows([_tile(one, enlarge) for one in np.asarray(weights, dtype=np.float32)], columns)


def image_grid(
    images: Sequence[np.ndarray],
    captions: Sequence[str] | None = None,
    marks: Sequence[bool] | None = None,
    columns: int = 8,
    cell: int = 96,
) -> bytes:
    """Images in rows, each within a square of `cell` pixels, with a caption below and a frame round it.

    Args:
        images: uint8 [h, w], [h, w, 1] or [h, w, 3], of any size.
        captions: a short text each; cut where it does not fit.
        marks: True for a blue frame (right), False for a vermillion one (wrong).
        columns: images in a row.
        cell: pixels.

    Returns:
        A PNG with transparent gaps.

    Raises:
        InputError: no image, or captions or marks of another number.
    """
    counts = [len(images), *(len(given) for given in (captions, marks) if given is not None)]
    if not images or len(set(counts)) > 1:
        raise InputError(f"{counts[0]} images, captions and marks {counts[1:]}; give one for each of 1 or more images")
    gap, frame, text = 6, 3, 18 if captions is not None else 0
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    step = cell + 2 * frame + gap
    sheet = Image.new("RGBA", (columns * step - gap, rows * (step + text) - gap))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for index, image in enumerate(images):
        left, top = index % columns * step, index // columns * (step + text)
        picture = _fitted(image, cell)
        if marks is not None:
            corner = (left + cell + 2 * frame - 1, top + cell + 2 * frame - 1)
            draw.rectangle((left, top, *corner), fill=BLUE if marks[index] else VERMILLION)
        place = (left + frame + (cell - picture.width) // 2, top + frame + (cell - picture.height) // 2)
        sheet.paste(picture, place)
        if captions is not None:
            shown = captions[index]
            while shown and draw.textlength(shown, font=font) > cell:
                shown = shown[:-2] + "…" if len(shown) > 2 else ""
            draw.text((left + frame, top + cell + 2 * frame + 1), shown, fill=CAPTION, font=font)
    return png(np.asarray(sheet))


def augmented_sheet(originals: Sequence[np.ndarray], augmented: np.ndarray, cell: int = 96) -> bytes:
    """One row an image: as it is stored, then as training saw it, again and again.

    Args:
        originals: uint8 [h, w, 3] each.
        augmented: float [images, times, 3, h, w], nominally 0..255; what lies outside is cut off.
        cell: pixels of a picture's side.

    Raises:
        InputError: numbers that do not agree.
    """
    if augmented.ndim != 5 or len(augmented) != len(originals):
        raise InputError(
            f"{len(originals)} originals and augmented images {augmented.shape}; give [images, times, 3, h, w]"
        )
    pictures, captions = [], []
    for original, row in zip(originals, augmented):
        pictures += [original, *np.clip(np.rint(row), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)]
        captions += ["stored", *(f"draw {time + 1}" for time in range(len(row)))]
    return image_grid(pictures, captions, columns=1 + augmented.shape[1], cell=cell)


def _tile(weights: np.ndarray, enlarge: int) -> np.ndarray:
    """One filter [3 or 1, h, w] as uint8 [h * enlarge, w * enlarge, 4]."""
    extreme = float(np.abs(weights).max())
    levels = np.rint((weights / (2 * extreme or 1.0) + 0.5) * 255).clip(0, 255).astype(np.uint8)
    rgb = np.broadcast_to(levels.transpose(1, 2, 0), (*levels.shape[1:], 3))
    opaque = np.full((*rgb.shape[:2], 1), 255, dtype=np.uint8)
    return np.concatenate([rgb, opaque], axis=2).repeat(enlarge, axis=0).repeat(enlarge, axis=1)


def _rows(tiles: Sequence[np.ndarray], columns: int, gap: int = 3) -> np.ndarray:
    """Tiles of one size in rows: uint8 [h, w, 4]."""
    height, width = tiles[0].shape[:2]
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), dtype=np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _fitted(image: np.ndarray, cell: int) -> Image.Image:
    """The image at its own aspect, its longer side `cell` pixels; small ones enlarged without smoothing."""
    picture = Image.fromarray(
        np.ascontiguousarray(image.squeeze(2) if image.ndim == 3 and image.shape[2] == 1 else image)
    )
    ratio = cell / max(picture.size)
    size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    return picture.resize(size, Image.Resampling.NEAREST if ratio >= 2 else Image.Resampling.BILINEAR)
