"""The commands that draw: report, show."""

from pathlib import Path

from alexnet.errors import InputError
from alexnet.options import Parser, did_you_mean

PICTURES = {"score_map": "what the net says of a class all over an IMAGE"}


def report(arguments: list[str]) -> int:
    """Write a run's report.html again."""
    parser = Parser("report", "Write RUN's report.html, one file that opens anywhere.")
    parser.add_argument("run", type=Path, help="a run's folder")
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.api import report as write

    print(write(asked.run))
    return 0


def show(arguments: list[str]) -> int:
    """Draw what a net sees: its score map over an image."""
    parser = Parser("show", "Draw WHAT about RUN into a picture.")
    parser.add_argument("run", help="a run's folder, or a .safetensors file")
    parser.add_argument("what", metavar="WHAT", help="; ".join(f"{name}: {text}" for name, text in PICTURES.items()))
    parser.add_argument("image", metavar="IMAGE", nargs="?", help="an image file")
    parser.add_argument("--class", dest="label", help="name of a class (default: the likeliest of the whole image)")
    parser.add_argument("--size", type=int, help="shorter side the image is brought to (default: twice the net's)")
    parser.add_argument("--out", type=Path, help="a .png or .svg file (default <image>-score_map.png, here)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    asked = parser.parse_intermixed_args(arguments)
    if asked.what not in PICTURES:
        near = did_you_mean([asked.what], list(PICTURES))
        raise InputError(f"show does not know {asked.what!r}{near}: it draws {', '.join(PICTURES)}")
    if asked.image is None:
        raise InputError(f"show {asked.what} needs an IMAGE: alexnet show {asked.run} {asked.what} IMAGE")
    from alexnet.pictures.score_map import score_map, write

    out = asked.out or Path(f"{Path(asked.image).stem}-{asked.what}.png")
    print(write(score_map(asked.run, asked.image, asked.label, asked.size, asked.device), out))
    return 0
