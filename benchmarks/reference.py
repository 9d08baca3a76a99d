"""Writes docs/reference.md: what every command says of itself under --help.

Run: python benchmarks/reference.py [--check]
"""

import argparse
import io
import os
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
HEADING = """# Every command

What `alexnet COMMAND --help` prints. `python benchmarks/reference.py` writes this page.

In `alexnet train` a dash in the name of an option means the same as an underscore. Exit codes: 0 done, 1 the job
failed, 2 wrong usage or input, 130 stopped by Ctrl-C. Results go to standard output, progress and notes to standard
error. With `--json` standard output holds exactly one JSON document, in which errors are fractions from 0 to 1.
"""


def helps() -> dict[str, str]:
    """The help of every command, 100 columns wide and without colours; under "" the overview."""
    from alexnet.cli import COMMANDS, main

    texts = {}
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "PYTHON_COLORS": "0"}
    with patch.dict(os.environ, plain):
        os.environ.pop("FORCE_COLOR", None)
        for command in ("", *COMMANDS):
            said = io.StringIO()
            with redirect_stdout(said):
                main([command, "--help"] if command else ["--help"])
            texts[command] = re.sub(r"\x1b\[[\d;]*m", "", said.getvalue()).strip()
    return texts


def reference() -> str:
    """The whole page."""
    parts = [HEADING]
    for command, text in helps().items():
        lines = "\n".join(line.rstrip() for line in text.splitlines())
        parts.append(f"## alexnet {command}".rstrip() + f"\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail when the page is stale")
    page = reference()
    if parser.parse_args().check:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page:
            sys.exit(f"{PAGE.name} is stale: run python benchmarks/reference.py")
    else:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
