"""What a run writes down as it goes: metrics.jsonl, and TensorBoard beside it when asked."""

import json
import math
import os
from pathlib import Path
from typing import Any

from alexnet.errors import InputError


class Journal:
    """Lines of JSON, appended; a resumed run first cuts back to where its state was saved.

    Args:
        folder: the run's folder; the file is metrics.jsonl in it.
        length: bytes to keep of what is there; 0 begins anew.
        board: also write TensorBoard's events, into the run's folder `board`.
        step: steps that are over; events after it are dropped.
    """

    def __init__(self, folder: Path, length: int = 0, board: bool = False, step: int = 0):
        self.path = folder / "metrics.jsonl"
        self._file = self.path.open("ab")
        if self._file.tell() < length:
            self._file.close()
            raise InputError(f"{self.path} is shorter than when the run was saved: it was changed; start a new run")
        os.truncate(self.path, length)
        self._board = board_class()(str(folder / "board"), purge_step=step + 1) if board else None

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Append one line; numbers that are not finite become null."""
        line = {"kind": kind, "step": step} | {name: _finite(value) for name, value in values.items()}
        self._file.write((json.dumps(line, allow_nan=False) + "\n").encode())
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    self._board.add_scalar(f"{kind}/{name}", value, step)

    def length(self) -> int:
        """Bytes written so far, now safely on the disk."""
        os.fsync(self._file.fileno())
        return self.path.stat().st_size

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


class SilentJournal(Journal):
    """Of all processes but the first: nothing is written."""

    def __init__(self) -> None: ...

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Write nothing."""

    def length(self) -> int:
        """No bytes."""
        return 0

    def close(self) -> None:
        """Close nothing."""


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Read a run's metrics.jsonl; a last line that is still being written is left out."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return value


def board_class() -> Any:
    """torch's writer of TensorBoard events.

    Raises:
        InputError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("--board needs TensorBoard: pip install 'alexnet[board]', or leave --board out") from None
    return SummaryWriter
