"""The commands of the explorer in the browser: serve, demo."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.options import Parser

if TYPE_CHECKING:
    from alexnet.web.settings import Settings


def serve(arguments: list[str]) -> int:
    """Look at runs in the browser: predictions, insides, mistakes, curves."""
    parser = Parser("serve", "Open an explorer of RUNs in the browser, and answer the same over HTTP as JSON.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder, or a .safetensors file")
    parser.add_argument("--index", type=Path, help="the folder that alexnet index wrote: similar images come from it")
    _address(parser)
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    asked = parser.parse_intermixed_args(arguments)
    settings = _settings(asked)
    from alexnet.web.serve import listen, serve

    with listen(settings.host, asked.port) as listening:
        serve(asked.runs, asked.index, settings, listening, asked.open)
    return 0


def demo(arguments: list[str]) -> int:
    """Train on the bundled digits if need be, and play with the net in the browser."""
    parser = Parser(
        "demo",
        "Train AlexNet on the bundled digits where no run of them is under runs/, index the images, and open the "
        "explorer. What is there is used again.",
    )
    _address(parser)
    parser.add_argument("--no_browser", action="store_true", help="print the page's address and open nothing")
    asked = parser.parse_args(arguments)
    settings = _settings(asked)
    from alexnet.web.demo import demo

    demo(settings, asked.port, not asked.no_browser)
    return 0


def _address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1: this machine alone can ask)"
    )
    parser.add_argument("--port", type=int, default=8000, help="default 8000; 0 takes one that is free")
    parser.add_argument(
        "--token", help="what every request must bring (default: ALEXNET_TOKEN; else made up when others can ask)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def _settings(asked: argparse.Namespace) -> "Settings":
    """What was asked for; complains before any work where the extra is not installed."""
    from alexnet.web.settings import Settings, need_web

    need_web()
    token = asked.token or os.environ.get("ALEXNET_TOKEN") or None
    return Settings(host=asked.host, token=token, device=asked.device)
