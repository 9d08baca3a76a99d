"""What a packing has written so far, block by block, so that it can go on after any interruption."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from alexnet.data.source import Problem
from alexnet.data.stored import Prepared


class Journal:
    """The images that are surely on the disk, in memory as arrays and on the disk as lines of JSON.

    Attributes:
        next: the first source row that no block holds yet.
        end: bytes of image data that the blocks hold.
        kept: bool [n], whether source row i is in the pack.
        digests, shapes, ends: uint8 [n, 32], int32 [n, 3], int64 [n] (where its data end), by source row.
        problems: of the rows that were not kept.
    """

    def __init__(self, path: Path, images: int):
        self.path = path
        self.next = 0
        self.end = 0
        self.kept = np.zeros(images, bool)
        self.digests = np.zeros((images, 32), np.uint8)
        self.shapes = np.zeros((images, 3), np.int32)
        self.ends = np.zeros(images, np.int64)
        self.problems: list[Problem] = []

    def recover(self) -> None:
        """Take over what an earlier process wrote; a line cut short by its end is dropped."""
        if not self.path.exists():
            return
        whole = 0
        with self.path.open("rb") as file:
            for line in file:
                try:
                    block = json.loads(line)
                except ValueError:
                    break
                if not line.endswith(b"\n"):
                    break
                self._take(block)
                whole += len(line)
        os.truncate(self.path, whole)

    def add(self, block: list[Prepared | Problem]) -> None:
        """Write down a block whose image data have reached the disk."""
        images = [[p.row, p.digest.hex(), *p.shape, len(p.data)] for p in block if isinstance(p, Prepared)]
        entry = {
            "next": self.next + len(block),
            "images": images,
            "problems": [asdict(item) for item in block if isinstance(item, Problem)],
        }
        with self.path.open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(entry)

    def _take(self, block: dict) -> None:
        for row, digest, h, w, c, size in block["images"]:
            self.end += size
            self.kept[row] = True
            self.digests[row] = np.frombuffer(bytes.fromhex(digest), np.uint8)
            self.shapes[row] = h, w, c
            self.ends[row] = self.end
        self.problems += [Problem(**problem) for problem in block["problems"]]
        self.next = block["next"]
