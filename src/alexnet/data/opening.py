"""One way in for every kind of source."""

from pathlib import Path

from ..errors import InputError
from .folders import open_folder
from .named import NAMED
from .source import Source


def open_source(spec: str | Path, root: Path | None = None) -> Source:
    """The labelled images that `spec` means, listed and not yet read.

    Args:
        spec: a name (`digits`), or a path. A name wins over a folder called so; `./digits` is the folder.
        root: where named sets are downloaded to.

    Raises:
        InputError: nothing is there, or nothing that can be learned from.
    """
    if isinstance(spec, str) and spec in NAMED:
        return NAMED[spec](root)
    path = Path(spec)
    if not path.is_dir():
        names = ", ".join(NAMED)
        raise InputError(f"there is no {spec}; give a folder of class folders or one of: {names}")
    return open_folder(path)
