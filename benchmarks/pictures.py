"""The pictures of the docs and the README, from trained runs, by the commands that docs/pictures.md names.

    python benchmarks/pictures.py ALEXNET_RUN RESNET_RUN INDEX

Both runs are those of the README's table on Fashion-MNIST, INDEX is one of the first run's training images
(`alexnet embed ALEXNET_RUN FASHION vectors --split train`, `alexnet index vectors INDEX`). The first screen of the
report is photographed with Chromium where that is installed.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

import alexnet
import measured
from alexnet.api.searching import draw_similar
from alexnet.pictures.subject import open_subject

PICTURES = measured.ROOT / "docs" / "pictures"
COLOURS = 256  # of a PNG: no eye misses the others, and files have half the size
WIDE, HIGH, HEAD, GAP = 620, 440, 34, 18  # pixels of the collage

COLLAGE = (
    ("predictions", 1.0, "What it says"),
    ("similar", 0.605, "What is alike to it"),
    ("patches", 0.76, "What its filters answer to"),
    ("maps", 1.0, "What it makes of an image"),
    ("features", 1.0, "Its test images, neighbours by features"),
    ("architecture", 1.0, "The net, drawn as in its paper"),
)
"""Name, how much of it from its upper edge, heading."""


def main() -> None:
    """Draw all and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("alexnet", "resnet", "index"):
        parser.add_argument(name, type=Path)
    asked = parser.parse_args()
    subject = open_subject(asked.alexnet)
    rows, _ = subject.one_of_each_class(10)
    boot = subject.packed.read(rows[9:10])[0].repeat(3, 2)
    draw(asked.alexnet, "maps", boot, stage="conv1")
    draw(asked.alexnet, "patches", stage="conv2")
    draw(asked.alexnet, "predictions")
    draw(asked.alexnet, "classes")
    draw(asked.resnet, "features")
    draw("alexnet", "architecture")
    draw_similar(asked.alexnet, [], asked.index, "auto", PICTURES / "similar.png")
    smaller(PICTURES / "similar.png")
    collage()
    for folders, name in (([asked.alexnet], "report"), ([asked.alexnet, asked.resnet], "comparison")):
        with tempfile.TemporaryDirectory() as folder:
            first_screen(alexnet.report(*folders, out=Path(folder) / "page.html"), name)


def draw(run: str | Path, what: str, *images: np.ndarray, **options: str) -> None:
    """One picture by its name."""
    alexnet.show(run, what, list(images), out=PICTURES / f"{what}.png", **options)  # type: ignore[arg-type]
    smaller(PICTURES / f"{what}.png")


def smaller(path: Path) -> None:
    """Write a PNG with fewer colours, the rare ones kept."""
    picture = Image.open(path).convert("RGB")
    few = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(path, path.stat().st_size)


def collage() -> None:
    """Three rows of two of them, for the README."""
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans:bold"), 19)
    rows = [COLLAGE[start : start + 2] for start in range(0, len(COLLAGE), 2)]
    sheets = [[fitted(name, share) for name, share, _ in row] for row in rows]
    heights = [HEAD + max(picture.height for picture in row) + GAP for row in sheets]
    page = Image.new("RGB", (2 * WIDE + 3 * GAP, sum(heights) + GAP), "white")
    pen, top = ImageDraw.Draw(page), GAP
    for row, pictures, height in zip(rows, sheets, heights):
        for column, ((_, _, heading), picture) in enumerate(zip(row, pictures)):
            left = GAP + column * (WIDE + GAP)
            pen.text((left, top), heading, fill="#1f2429", font=font)
            page.paste(picture, (left + (WIDE - picture.width) // 2, top + HEAD))
        top += height
    page.save(PICTURES / "seeing.png")
    smaller(PICTURES / "seeing.png")


def fitted(name: str, share: float) -> Image.Image:
    """The upper share of a picture, as wide as a column or as high as a row may be."""
    picture = Image.open(PICTURES / f"{name}.png").convert("RGB")
    picture = picture.crop((0, 0, picture.width, round(share * picture.height)))
    picture.thumbnail((WIDE, HIGH), Image.Resampling.LANCZOS)
    return picture


def first_screen(page: Path, name: str) -> None:
    """A photograph of a page's first 1280 x 800 pixels."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print(f"no Chromium: {name}.png is left as it is")
        return
    out = PICTURES / f"{name}.png"
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1280,800", f"--screenshot={out}"]
    subprocess.run([browser, *options, page.resolve().as_uri()], check=True, capture_output=True)
    smaller(out)


if __name__ == "__main__":
    main()
