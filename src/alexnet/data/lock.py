"""One process at a time in a folder that is being written."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alexnet.errors import InputError
from alexnet.progress import note

try:
    import fcntl
except ImportError:  # Windows: no such lock; two packings into one folder are then the user's to avoid
    fcntl = None


@contextmanager
def only_process(folder: Path, wait: bool) -> Iterator[None]:
    """Make `folder` and hold it: other processes wait for the block's end, or get an InputError.

    The operating system lets go of the lock when its holder ends, however it ends. The folder may be
    renamed inside the block; whoever waited then finds a new one, and should look again whether there
    is still something to do.
    """
    handle = _locked(folder, wait)
    try:
        yield
    finally:
        os.close(handle)


def _locked(folder: Path, wait: bool) -> int:
    told = False
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            if not wait:
                raise InputError(f"{folder} is being written by another process; wait for it or end it") from None
            if not told:
                note(f"another process is writing {folder}: waiting for it")
                told = True
            time.sleep(0.1)
            continue
        if _is_still(folder / "lock", handle):
            return handle
        os.close(handle)  # its holder has renamed the folder meanwhile


def _is_still(path: Path, handle: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False
