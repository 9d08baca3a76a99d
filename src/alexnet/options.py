"""What the parsers of all commands share."""

import argparse
import difflib
import json
from pathlib import Path
from typing import Any, NoReturn

from alexnet.errors import InputError


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like all of this program's."""

    def __init__(self, command: str, what: str):
        super().__init__(prog=f"alexnet {command}", description=what, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise what `main` prints."""
        raise InputError(f"{message}: see {self.prog} --help")


def parted(arguments: list[str], flags: set[str]) -> tuple[list[str], list[str]]:
    """Options with their values, and what stands alone, wherever each stands; dashes in names become underscores."""
    options, positionals = [], []
    rest = iter(arguments)
    for word in rest:
        if not word.startswith("-") or word == "-":
            positionals.append(word)
            continue
        name, equals, value = word.partition("=")
        name = name[:2] + name[2:].replace("-", "_")
        options.append(name + equals + value)
        if not equals and name not in flags:
            options += [following] if (following := next(rest, None)) is not None else []
    return options, positionals


def value_of(options: list[str], name: str) -> str | None:
    """The last value given for an option, or None."""
    found = None
    for i, word in enumerate(options):
        if word == name and i + 1 < len(options):
            found = options[i + 1]
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found


def did_you_mean(given: list[str], known: list[str]) -> str:
    """Words that offer the nearest known name to the first one that is not known."""
    for word in given:
        name = word.partition("=")[0]
        if name not in known and (near := difflib.get_close_matches(name, known, 1)):
            return f"; did you mean {near[0]}?"
    return ""


def source_argument(parser: argparse.ArgumentParser) -> None:
    """SOURCE and --root."""
    parser.add_argument("source", help="a folder, a list, a packed folder, IDX files, or a name such as digits")
    parser.add_argument("--root", type=Path, help="where named sets are kept")


def json_option(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def parallel_options(parser: argparse.ArgumentParser) -> None:
    """What `parallel/launch.py` takes from the command before its parser sees it; here for --help alone."""
    parser.add_argument("--devices", help="work in so many processes on this machine, each with a GPU of its own")
    parser.add_argument("--timeout", help="seconds in which each of them must come to the end of a step (300)")
    parser.add_argument("--restarts", help="how often all are started again when one dies (3)")


def print_json(value: Any) -> int:
    """Print the one JSON document of a command; give its exit code, 0."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))
    return 0
