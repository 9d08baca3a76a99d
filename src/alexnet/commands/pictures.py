"""The commands that draw: report."""

from pathlib import Path

from alexnet.options import Parser


def report(arguments: list[str]) -> int:
    """Write a run's report.html again."""
    parser = Parser("report", "Write RUN's report.html, one file that opens anywhere.")
    parser.add_argument("run", type=Path, help="a run's folder")
    asked = parser.parse_intermixed_args(arguments)
    from alexnet.api import report as write

    print(write(asked.run))
    return 0
