"""The commands of the explorer in the browser: serve."""

import os
from pathlib import Path

from alexnet.options import Parser


def serve(arguments: list[str]) -> int:
    """Look at runs in the browser: predictions, insides, mistakes, curves."""
    parser = Parser("serve", "Open an explorer of RUNs in the browser, and answer the same over HTTP as JSON.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder, or a .safetensors file")
    parser.add_argument("--index", type=Path, help="the folder that alexnet index wrote: similar images come from it")
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1: this machine alone can ask)"
    )
    parser.add_argument("--port", type=int, default=8000, help="default 8000; 0 takes one that is free")
    parser.add_argument(
        "--token", help="what every request must bring (default: ALEXNET_TOKEN; else made up when others can ask)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.web.settings import Settings, need_web

    need_web()
    from alexnet.web.serve import serve

    token = asked.token or os.environ.get("ALEXNET_TOKEN") or None
    serve(asked.runs, asked.index, Settings(host=asked.host, token=token, device=asked.device), asked.port, asked.open)
    return 0
