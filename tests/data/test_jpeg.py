"""Fast decoding gives the very pixels of Pillow's."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage import data

from alexnet.data import jpeg
from alexnet.data.jpeg import decoded


def a_file(image: np.ndarray, **options) -> bytes:
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", **options)
    return file.getvalue()


def by_pillow(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(file)))


def as_array(file: bytes) -> np.ndarray:
    return np.frombuffer(file, np.uint8)


PHOTOGRAPH = data.astronaut()[:256, :256]
NOISE = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


@pytest.mark.parametrize("image", [PHOTOGRAPH, NOISE], ids=["photograph", "noise"])
@pytest.mark.parametrize("quality", [50, 95, 100])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_every_pixel_is_pillows(image, quality, subsampling):
    for h, w in [(256, 256), (255, 253), (17, 31), (8, 3), (1, 1)]:
        for progressive in (False, True) if image is PHOTOGRAPH else (False,):
            file = a_file(image[:h, :w], quality=quality, subsampling=subsampling, progressive=progressive)
            assert np.array_equal(decoded(as_array(file), np.array([h, w, 3])), by_pillow(file))
        grey = a_file(image[:h, :w, 0], quality=quality)
        assert np.array_equal(decoded(as_array(grey), np.array([h, w, 1]))[:, :, 0], by_pillow(grey))


def test_simplejpeg_did_that():
    assert jpeg.simplejpeg is not None


def test_without_simplejpeg_pillow_decodes(monkeypatch):
    monkeypatch.setattr(jpeg, "simplejpeg", None)
    file = a_file(PHOTOGRAPH[:40, :50])
    assert np.array_equal(decoded(as_array(file), np.array([40, 50, 3])), by_pillow(file))


def test_what_simplejpeg_refuses_goes_to_pillow():
    file = a_file(PHOTOGRAPH[:64, :64])
    odd = file[:20] + b"\0\0" + file[20:]  # bytes that belong to nothing between two markers
    with pytest.raises(ValueError, match="extraneous bytes"):
        jpeg.simplejpeg.decode_jpeg(odd)
    assert np.array_equal(decoded(as_array(odd), np.array([64, 64, 3])), by_pillow(file))
