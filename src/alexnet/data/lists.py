"""A list of images: CSV or text with a path and a label a line, and perhaps the part."""

import csv
from pathlib import Path

import numpy as np

from alexnet.data.folders import short_name
from alexnet.data.source import PARTS, Problem, Source
from alexnet.errors import InputError

PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "img")
LABEL_COLUMNS = ("label", "class", "category", "target", "class_name")
PART_COLUMNS = ("part", "split", "set", "subset")


def open_list(path: Path) -> Source:
    """The images that a list names.

    Columns are parted by comma, semicolon or tab; without any of these, the last word of a line is the
    label (or the part, and the label before it) and what stands before them the path. With a header the
    columns are found by name, otherwise they are path, label and perhaps the part (train, val, test).
    Paths are relative to the list's folder. Labels that are all whole numbers are put in the order of
    numbers, others in the order of text.

    Raises:
        InputError: no line says a path and a label.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no list of paths and labels in UTF-8; give a text file or a folder") from error
    rows = _rows(lines)
    columns = _columns(rows[0][1]) if rows else None
    if columns:
        rows = rows[1:]
    at_path, at_label, at_part = columns or (0, 1, 2)
    problems: list[Problem] = []
    paths, names, given = [], [], []
    for number, row in rows:
        if len(row) <= max(at_path, at_label) or not row[at_path] or not row[at_label]:
            problems.append(Problem(f"{path.name}:{number}", "bad-line", "no path and label in it: passed over"))
            continue
        part = row[at_part].lower() if at_part is not None and at_part < len(row) else ""
        if part and part not in PARTS:
            problems.append(
                Problem(
                    f"{path.name}:{number}",
                    "bad-line",
                    f"part {part!r} is none of train, val, test: passed over",
                )
            )
            continue
        paths.append(row[at_path])
        names.append(row[at_label])
        given.append(PARTS[part] if part else 0)
    if not paths:
        raise InputError(f"{path} has no line with a path and a label; write `path,label`, one image a line")
    classes = sorted(set(names), key=int if all(_is_whole(name) for name in names) else None)
    number_of = {name: label for label, name in enumerate(classes)}
    return Source(
        name=short_name(path),
        spec=str(path.resolve()),
        kind="list",
        classes=classes,
        labels=np.array([number_of[name] for name in names], np.int64),
        given=np.array(given, np.uint8),
        paths=paths,
        folder=path.resolve().parent,
        problems=problems,
    )


def _rows(lines: list[str]) -> list[tuple[int, list[str]]]:
    """The fields of each line that is not blank, with the line's number."""
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    delimiter = next((mark for mark in "\t;," if numbered and mark in numbered[0][1]), None)
    if delimiter is None:
        return [(number, _words(line)) for number, line in numbered]
    fields = csv.reader((line for _, line in numbered), delimiter=delimiter, skipinitialspace=True)
    return [(number, [field.strip() for field in row]) for (number, _), row in zip(numbered, fields)]


def _words(line: str) -> list[str]:
    """Path, label and perhaps the part of a line without marks; the path may hold spaces."""
    words = line.rsplit(None, 2)
    if len(words) == 3 and words[2].lower() in PARTS:
        return words
    return line.strip().rsplit(None, 1)


def _columns(first: list[str]) -> tuple[int, int, int | None] | None:
    """Where a header has path, label and part; None where the first line is no header."""
    names = [name.lower() for name in first]

    def place(wanted: tuple[str, ...]) -> int | None:
        return next((names.index(name) for name in wanted if name in names), None)

    at_path, at_label = place(PATH_COLUMNS), place(LABEL_COLUMNS)
    return None if at_path is None or at_label is None else (at_path, at_label, place(PART_COLUMNS))


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
