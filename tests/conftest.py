"""Folders and sources that the tests of several rooms share."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch: what is tested bit for bit holds on a CPU

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data import Source


@dataclass(frozen=True)
class OddFolder:
    """A folder with one of each odd file, beside a dozen plain ones a class.

    Attributes:
        path: the folder; its classes are "blue" and "red".
        readable: relative paths of all images that can be read.
        problems: relative path -> kind of what must be named and skipped.
    """

    path: Path
    readable: list[str]
    problems: dict[str, str]


def noise(seed: int, h: int = 70, w: int = 90, tint: int = 0) -> np.ndarray:
    """An image without two pixels alike, uint8 [h, w, 3], one channel brighter than the others."""
    image = np.random.default_rng(seed).integers(0, 120, (h, w, 3))
    image[:, :, tint] += 120
    return image.astype(np.uint8)


def encoded(image: Image.Image, format: str, **options) -> bytes:
    """The bytes of a file."""
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 pixels in 49 kB."""
    return encoded(Image.new("1", (20_000, 20_000)), "PNG")


def odd_images() -> dict[str, bytes]:
    """File name -> bytes of images that can be read, each in another way."""
    rgb = Image.fromarray(noise(1))
    turned = Image.Exif()
    turned[274] = 6
    ramp = np.linspace(0, 65535, 70 * 90).round().astype(np.uint16).reshape(70, 90)
    alpha = rgb.copy()
    alpha.putalpha(Image.fromarray(np.tile(np.arange(90, dtype=np.uint8), (70, 1))))
    palette = rgb.quantize(16)
    images = {
        "alpha.png": encoded(alpha, "PNG"),
        "animated.gif": encoded(palette, "GIF", save_all=True, append_images=[Image.fromarray(noise(2)).quantize(16)]),
        "avif.avif": encoded(rgb, "AVIF"),
        "bad_exif.jpg": encoded(rgb, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 9),
        "bitmap.bmp": encoded(Image.fromarray(noise(3)), "BMP"),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "grey.jpg": encoded(rgb.convert("L"), "JPEG"),
        "grey16.png": encoded(Image.fromarray(ramp), "PNG"),
        "grey16.tif": encoded(Image.fromarray(ramp[::-1].copy()), "TIFF"),
        "grey_alpha.png": encoded(alpha.convert("LA"), "PNG"),
        "jpeg2000.jp2": encoded(rgb, "JPEG2000"),
        "a_jpeg.png": encoded(Image.fromarray(noise(4)), "JPEG"),
        "no_suffix": encoded(Image.fromarray(noise(5)), "PNG"),
        "one_bit.png": encoded(rgb.convert("1"), "PNG"),
        "palette.png": encoded(Image.fromarray(noise(6)).quantize(16), "PNG"),
        "palette_alpha.png": encoded(palette, "PNG", transparency=bytes(range(0, 256, 16))),
        "progressive.jpg": encoded(rgb, "JPEG", progressive=True, quality=90),
        "turned.jpg": encoded(rgb, "JPEG", exif=turned, quality=80),
        "tiff.tif": encoded(Image.fromarray(noise(7)), "TIFF", compression="tiff_lzw"),
        "webp.webp": encoded(rgb, "WEBP"),
        "猫 été.png": encoded(Image.fromarray(noise(8)), "PNG"),
    }
    try:
        import pillow_heif
    except ImportError:
        return images
    heif = pillow_heif.from_pillow(rgb)
    file = BytesIO()
    heif.save(file)
    return {**images, "heic.heic": file.getvalue()}


@pytest.fixture(scope="session")
def odd_folder(tmp_path_factory: pytest.TempPathFactory) -> OddFolder:
    """One of each odd file; who may read what is tested apart, as tests may run as root."""
    folder = tmp_path_factory.mktemp("odd")
    readable, problems = [], {}
    for tint, name in ((0, "red"), (2, "blue")):
        (folder / name).mkdir()
        for seed in range(12):
            path = f"{name}/{seed:02}.png"
            (folder / path).write_bytes(encoded(Image.fromarray(noise(100 + 50 * tint + seed, tint=tint)), "PNG"))
            readable.append(path)
    (folder / "red/deep/deeper").mkdir(parents=True)
    for name, data in odd_images().items():
        (folder / "red/deep/deeper" / name).write_bytes(data)
        readable.append(f"red/deep/deeper/{name}")
    plain = encoded(Image.fromarray(noise(9)), "JPEG", quality=95)
    bad = {
        "blue/bomb.png": (bomb(), "too-large"),
        "blue/empty.jpg": (b"", "empty"),
        "blue/text.jpg": (b"These are words and no picture.\n", "not-an-image"),
        "blue/truncated.jpg": (plain[: len(plain) // 2], "truncated"),
        "blue/truncated.png": (encoded(Image.fromarray(noise(10)), "PNG")[:5000], "truncated"),
        "readme.txt": (b"About this folder.\n", "beside-classes"),
    }
    for path, (data, kind) in bad.items():
        (folder / path).write_bytes(data)
        problems[path] = kind
    (folder / "blue/.DS_Store").write_bytes(b"left behind")
    (folder / "blue/broken.png").symlink_to("nowhere.png")
    (folder / "blue/itself.png").symlink_to("itself.png")
    (folder / "red/deep/up").symlink_to(folder / "red", target_is_directory=True)
    (folder / "blue/linked.png").symlink_to(folder / "blue/00.png")
    os.mkfifo(folder / "blue/pipe.png")
    readable.append("blue/linked.png")
    problems |= {
        "blue/broken.png": "broken-link",
        "blue/itself.png": "link-loop",
        "red/deep/up": "link-loop",
        "blue/pipe.png": "not-an-image",
    }
    return OddFolder(folder, sorted(readable), problems)


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes, one a photograph, each of 15 patches of 72 x 96 pixels or a little more, as JPEG."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    photographs = {
        "astronaut": data.astronaut(),
        "coffee": data.coffee(),
        "china": load_sample_image("china.jpg"),
        "flower": load_sample_image("flower.jpg"),
    }
    folder = tmp_path_factory.mktemp("photos") / "photos"
    for name, photograph in photographs.items():
        (folder / name).mkdir(parents=True)
        for i in range(15):
            top, left = 60 * (i % 5), 90 * (i // 5)
            patch = photograph[top : top + 72 + i, left : left + 96]
            Image.fromarray(patch).save(folder / name / f"{i:02}.jpg", quality=92)
    return folder


@pytest.fixture
def array_source() -> Callable[..., Source]:
    """Make a source of arrays: `array_source(shape=(20, 8, 8), classes=2, seed=0)`."""

    def make(shape: tuple[int, ...] = (20, 8, 8), classes: int = 2, seed: int = 0) -> Source:
        images = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
        return Source(
            name="noise",
            spec="noise",
            kind="named",
            classes=[f"class {label}" for label in range(classes)],
            labels=np.arange(shape[0], dtype=np.int64) % classes,
            given=np.zeros(shape[0], np.uint8),
            paths=[f"noise/{row}" for row in range(shape[0])],
            arrays=images,
        )

    return make


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a cache of its own: none reads or fills the user's."""
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests run side by side: torch's own threads would only wait for each other."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def quick_reports() -> Iterator[None]:
    """Reports of the runs that tests train are made of their records: tests/pictures/test_learned.py asks the nets."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("alexnet.api.reporting.learned", lambda subject, worst: None)
        yield


@pytest.fixture(scope="session")
def tiny() -> Iterator[str]:
    """The name of an AlexNet of a few thousand weights, two towers and all, for inputs of 67 pixels."""
    from dataclasses import replace
    from functools import partial

    from alexnet.models import MODELS, VARIANTS, Model, build_variant

    variant = replace(VARIANTS["alexnet"], name="tiny", widths=(8, 16, 16, 16, 16), hidden=(32, 32), size=67)
    MODELS["tiny"] = Model("tiny", "none", 2026, "for tests", 67, partial(build_variant, variant))
    yield "tiny"
    del MODELS["tiny"]


@pytest.fixture(scope="session")
def tiny_run(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the tiny net on the digits, two epochs long, tested and reported; not to be changed."""
    from alexnet.cli import main

    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ALEXNET_CACHE", str(folder / "cache"))
        patched.chdir(folder)
        assert main(["train", "--model", tiny, "--epochs", "2"]) == 0
    return folder / "runs" / "digits-tiny-1"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
