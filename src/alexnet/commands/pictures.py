"""The commands that draw: report, show."""

from pathlib import Path

from alexnet.errors import InputError
from alexnet.options import Parser, did_you_mean
from alexnet.pictures.catalogue import CATALOGUE


def report(arguments: list[str]) -> int:
    """Write a run's report.html again, or compare several runs on a page."""
    parser = Parser("report", "Write RUN's report.html, one file that opens anywhere; of several runs a comparison.")
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="a run's folder")
    parser.add_argument(
        "--out", type=Path, help="an .html file (default: report.html in RUN; of several a new comparison.html here)"
    )
    parser.add_argument("--index", type=Path, help="an index to show similar images of (default: RUN/index if there)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.api.reporting import report as write

    print(write(*asked.runs, out=asked.out, index=asked.index, device=asked.device))
    return 0


def show(arguments: list[str]) -> int:
    """Draw what a net is, has learned, sees and gets wrong."""
    parser = Parser("show", "Draw WHAT about RUN into a picture.")
    parser.add_argument("run", help="a run's folder, or a .safetensors file; for architecture and c3 also a net's name")
    listed = "; ".join(f"{name}: {picture.text}" for name, picture in CATALOGUE.items())
    parser.add_argument("what", metavar="WHAT", help=listed)
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="an image file")
    parser.add_argument(
        "--stage", help="as alexnet summary names it (default: maps the first, others the last that serves)"
    )
    parser.add_argument("--unit", type=int, help="one map of the stage alone, counted from 1")
    parser.add_argument("--class", dest="label", help="name of a class (default: the likeliest of the whole image)")
    parser.add_argument(
        "--size",
        type=int,
        help="pixels: the image's shorter side (score_map, default: twice the net's), the square's (occlusion), "
        "the input's (architecture)",
    )
    parser.add_argument("--index", type=Path, help="the folder that alexnet index wrote (similar)")
    parser.add_argument("--out", type=Path, help="a .png or .svg file (default: here, named after WHAT and the image)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    asked = parser.parse_intermixed_args(arguments)
    if asked.what not in CATALOGUE:
        near = did_you_mean([asked.what], list(CATALOGUE))
        raise InputError(f"show does not know {asked.what!r}{near}: it draws {', '.join(CATALOGUE)}")
    from alexnet.api.searching import draw_similar
    from alexnet.pictures.show import show as draw

    stem = Path(asked.images[0]).stem if asked.images else Path(asked.run).resolve().name
    out = asked.out or Path(f"{stem}-{asked.what}.png")
    if asked.what == "similar":
        draw_similar(asked.run, asked.images, asked.index, asked.device, out)
        print(out)
        return 0
    if asked.index is not None:
        raise InputError(f"--index means nothing to {asked.what}: leave it out")
    draw(
        asked.run,
        asked.what,
        asked.images,
        stage=asked.stage,
        unit=asked.unit,
        label=asked.label,
        size=asked.size,
        device=asked.device,
        out=out,
    )
    print(out)
    return 0
