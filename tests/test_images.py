import contextlib
import os
import sys
import threading
import warnings
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from alexnet import images
from alexnet.images import ImageProblem, centre_square, read_image, shorter_side_to

RGB = np.random.default_rng(0).integers(0, 256, (40, 30, 3)).astype(np.uint8)


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def problem(source) -> ImageProblem:
    with pytest.raises(ImageProblem) as caught:
        read_image(source)
    assert "\n" not in caught.value.detail
    return caught.value


def test_a_png_comes_back_as_it_was():
    assert np.array_equal(read_image(encoded(Image.fromarray(RGB))), RGB)


def test_a_path_and_its_bytes_give_the_same_image(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(Image.fromarray(RGB)))
    assert np.array_equal(read_image(tmp_path / "a.jpg"), RGB)
    assert np.array_equal(read_image(str(tmp_path / "a.jpg")), RGB)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_of_16_bits_is_scaled_and_not_clipped(format):
    ramp = np.linspace(0, 65535, 1200).round().astype(np.uint16).reshape(40, 30)
    image = read_image(encoded(Image.fromarray(ramp), format))
    assert image.shape == (40, 30, 3)
    assert np.array_equal(image[:, :, 0], np.round(ramp / 257))


def test_big_endian_grey_of_16_bits_is_scaled_too():
    ramp = np.linspace(0, 65535, 1200).round().astype(np.uint16).reshape(40, 30)
    image = Image.frombytes("I;16B", (30, 40), ramp.astype(">u2").tobytes())
    assert np.array_equal(read_image(encoded(image, "TIFF"))[:, :, 2], np.round(ramp / 257))


def test_16_bit_values_in_32_bit_grey_are_read_as_16_bits():
    ramp = np.linspace(0, 65535, 1200).round().astype(np.int32).reshape(40, 30)
    assert np.array_equal(read_image(encoded(Image.fromarray(ramp), "TIFF"))[:, :, 0], np.round(ramp / 257))


def test_32_bit_grey_beyond_16_bits_keeps_its_order():
    ramp = np.linspace(0, 2**31 - 1, 1200).astype(np.int32).reshape(40, 30)
    image = read_image(encoded(Image.fromarray(ramp), "TIFF"))[:, :, 0]
    assert (image.min(), image.max()) == (0, 255)
    assert len(np.unique(image)) == 256


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_float_grey_is_scaled_by_the_white_that_holds_it(white):
    ramp = np.linspace(0, white, 1200, dtype=np.float32).reshape(40, 30)
    image = read_image(encoded(Image.fromarray(ramp), "TIFF"))[:, :, 0]
    assert np.abs(image - ramp * (255 / white)).max() <= 0.5001


def test_transparent_pixels_lie_on_white():
    overlay = np.dstack([np.zeros((40, 30, 3), np.uint8), np.full((40, 30), 64, np.uint8)])
    image = read_image(encoded(Image.fromarray(overlay)))
    assert np.abs(image.astype(int) - round(255 * (1 - 64 / 255))).max() <= 1


def test_grey_with_alpha_lies_on_white():
    image = Image.merge("LA", [Image.new("L", (30, 40), 10), Image.new("L", (30, 40), 0)])
    assert (read_image(encoded(image)) == 255).all()


def test_a_transparent_palette_colour_is_white():
    image = Image.new("P", (30, 40), 0)
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.paste(1, (0, 0, 15, 40))
    read = read_image(encoded(image, transparency=0))
    assert (read[:, :15] == [0, 200, 0]).all()
    assert (read[:, 15:] == 255).all()


def test_a_transparent_colour_of_rgb_is_white():
    image = Image.new("RGB", (30, 40), (1, 2, 3))
    assert (read_image(encoded(image, transparency=(1, 2, 3))) == 255).all()


def test_one_bit_is_black_and_white():
    image = Image.fromarray(RGB).convert("1")
    read = read_image(encoded(image))
    assert set(np.unique(read)) == {0, 255}
    assert np.array_equal(read[:, :, 0] == 255, np.asarray(image))


def test_cmyk_becomes_rgb():
    image = read_image(encoded(Image.new("CMYK", (30, 40), (0, 255, 255, 0)), "JPEG", quality=95))
    assert (np.abs(image.astype(int) - [255, 0, 0]) <= 3).all()


def test_lab_becomes_rgb():
    image = read_image(encoded(Image.new("LAB", (30, 40), (255, 128, 128)), "TIFF"))
    assert (image >= 250).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_exif_orientation_is_turned_upright(format, orientation):
    upright = np.zeros((40, 30, 3), np.uint8)
    upright[:20, :15] = 250  # light top left, and grey top right: all eight turns differ
    upright[:20, 15:] = 120
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    image = Image.fromarray(upright)
    stored = image if undo is None else image.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[274] = orientation
    read = read_image(encoded(stored, format, exif=exif))
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < 12


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"no TIFF header",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 9,  # 65,535 entries, of which four and a half are there
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04six\0",  # an orientation in words
        b"II*\0\xff\xff\xff\xff",  # entries beyond the end
    ],
)
def test_damaged_exif_data_kill_nothing(format, exif):
    assert read_image(encoded(Image.fromarray(RGB), format, exif=b"Exif\0\0" + exif)).shape == RGB.shape


def test_postscript_is_not_run():
    assert problem(encoded(Image.fromarray(RGB), "EPS")).kind == "not-an-image"


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(format):
    frames = [Image.new("RGB", (30, 40), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    options = {"lossless": True} if format == "WEBP" else {}
    read = read_image(encoded(frames[0], format, save_all=True, append_images=frames[1:], **options))
    assert (np.abs(read.astype(int) - [250, 0, 0]) <= 2).all()


@pytest.mark.parametrize("format", ["WEBP", "AVIF", "JPEG2000", "BMP", "PPM", "TGA", "ICO", "JPEG"])
def test_other_formats_are_read_by_content(format, tmp_path):
    smooth = np.linspace(0, 255, 40 * 30).astype(np.uint8).reshape(40, 30)
    image = np.dstack([smooth, smooth, smooth[::-1]])
    (tmp_path / "image.xyz").write_bytes(encoded(Image.fromarray(image), format))
    read = read_image(tmp_path / "image.xyz")
    if format != "ICO":  # which keeps sizes of its own
        assert np.abs(read.astype(int) - image).mean() < 4


def test_heic_is_read_where_its_extra_is_installed():
    pillow_heif = pytest.importorskip("pillow_heif")
    file = BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), (200, 100, 50))).save(file)
    assert np.abs(read_image(file.getvalue()).astype(int) - [200, 100, 50]).max() < 10


def test_heic_without_its_extra_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # importing it fails
    for table in (Image.OPEN, Image.EXTENSION, Image.MIME):
        monkeypatch.delitem(table, "HEIF", raising=False)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    found = problem(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert found.kind == "needs-heic"
    assert "pip install 'alexnet[heic]'" in found.detail


def test_no_bytes_are_empty():
    assert problem(b"").kind == "empty"


def test_text_is_not_an_image():
    assert problem(b"words, not pixels\n" * 9).kind == "not-an-image"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000"])
def test_a_file_cut_in_half_is_truncated(format):
    data = encoded(Image.fromarray(RGB), format)
    assert problem(data[: len(data) // 2]).kind in ("truncated", "not-an-image")
    if format in ("JPEG", "PNG", "BMP"):
        assert problem(data[: len(data) // 2]).kind == "truncated"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP"]), st.data())
def test_whatever_is_damaged_gives_an_image_or_a_problem(format, data):
    file = bytearray(encoded(Image.fromarray(RGB[:12, :9]), format))
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_image(bytes(file))
        assert read.dtype == np.uint8
        assert read.ndim == 3
    except ImageProblem:
        pass


def test_a_bomb_of_400_megapixels_is_refused_before_it_is_decoded():
    data = encoded(Image.new("1", (20_000, 20_000)))
    assert len(data) < 60_000
    assert problem(data).kind == "too-large"


def test_links_that_lead_nowhere_are_told_apart(tmp_path):
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert problem(tmp_path / "broken").kind == "broken-link"
    assert problem(tmp_path / "loop").kind == "link-loop"
    assert problem(tmp_path / "nothing").kind == "missing"


def test_a_folder_and_a_pipe_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert problem(tmp_path).kind == "not-an-image"
    assert problem(tmp_path / "pipe").kind == "not-an-image"


def test_a_file_larger_than_the_limit_is_not_read(tmp_path):
    with (tmp_path / "film.jpg").open("wb") as file:
        file.truncate(images.LARGEST_BYTES + 1)
    assert problem(tmp_path / "film.jpg").kind == "too-large"


def test_no_warning_of_pillow_leaks_and_the_filters_come_back():
    before = list(warnings.filters)
    palette = encoded(Image.fromarray(RGB).quantize(4), transparency=b"\x10\x80\xff")
    bad_exif = encoded(Image.fromarray(RGB), "TIFF")[:-4]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_image(palette)
        large = read_image(encoded(Image.new("1", (10_000, 9_000))))  # of 90 million pixels Pillow would warn
        with contextlib.suppress(ImageProblem):
            read_image(bad_exif)
    assert caught == []
    assert large.shape == (9_000, 10_000, 3)
    assert warnings.filters == before


def test_filters_come_back_after_reading_in_many_threads():
    before = list(warnings.filters)
    data = encoded(Image.fromarray(RGB))
    threads = [threading.Thread(target=lambda: [read_image(data) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 80), st.integers(1, 80), st.integers(1, 60))
def test_the_shorter_side_has_its_length_and_the_aspect_is_kept(h, w, side):
    resized = shorter_side_to(np.zeros((h, w, 3), np.uint8), side)
    assert resized.dtype == np.uint8
    assert min(resized.shape[:2]) == side
    assert (h <= w) == (resized.shape[0] <= resized.shape[1]) or resized.shape[0] == resized.shape[1]
    assert abs(max(resized.shape[:2]) - max(h, w) * side / min(h, w)) <= 0.5001


def test_resizing_agrees_with_torchvision():
    import torch
    from torchvision.transforms.v2 import functional

    image = np.random.default_rng(1).integers(0, 256, (90, 61, 3)).astype(np.uint8)
    for side in (20, 61, 100):
        ours = shorter_side_to(image, side).astype(int)
        theirs = functional.resize(torch.from_numpy(image).permute(2, 0, 1), [side], antialias=True)
        theirs = theirs.permute(1, 2, 0).numpy().astype(int)
        h = min(ours.shape[0], theirs.shape[0])  # torchvision cuts the longer side off where we round it
        assert abs(ours.shape[0] - theirs.shape[0]) <= 1
        if ours.shape == theirs.shape:
            assert np.abs(ours[:h] - theirs[:h]).max() <= 1
    assert shorter_side_to(image, 61) is image


def test_an_image_too_long_to_enlarge_is_a_problem():
    with pytest.raises(ImageProblem) as caught:
        shorter_side_to(np.zeros((1, 20_000, 3), np.uint8), 256)
    assert caught.value.kind == "too-large"


@pytest.mark.parametrize(("h", "w"), [(5, 9), (9, 5), (6, 6), (4, 7)])
def test_the_centre_square_leaves_equal_margins(h, w):
    image = np.arange(h * w).reshape(h, w, 1).repeat(3, 2).astype(np.uint8)
    square = centre_square(image)
    side = min(h, w)
    assert square.shape == (side, side, 3)
    assert square[0, 0, 0] == (h - side) // 2 * w + (w - side) // 2
