"""Changes copies of an index in processes that are killed: run by test_faults.py.

python killed.py INDEX VECTORS OUT EVERY

At each EVERYth step that reaches the disk, one process after the other is killed, and more of them at moments that
chance picks. Each works on a copy of its own in OUT and writes into acknowledged.txt there what it was told to be done.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

from alexnet.retrieval.build import add_vectors
from alexnet.retrieval.index import Index
from alexnet.retrieval.table import Table
from alexnet.retrieval.vectors import open_vectors


def change(folder, vectors, acknowledged):
    with Index(folder / "index") as index:
        acknowledged(f"added {add_vectors(index, vectors)[0]}")
        acknowledged(f"deleted {index.delete([0, 1, 45])}")
        index.compact()
        acknowledged("compacted")
        add_vectors(index, vectors)  # the one of them that was deleted comes back
        acknowledged("added 1")


def run(folder, vectors, prepare):
    """Change the index in a process of its own; give its number."""
    if pid := os.fork():
        return pid
    status = 1
    try:
        with (folder / "acknowledged.txt").open("w", buffering=1) as file:
            prepare()
            change(folder, vectors, lambda text: file.write(text + "\n"))
        status = 0
    finally:
        os._exit(status)


def killed_at(step):
    """Count the moments before something reaches the disk; end the process at one of them."""
    count = 0

    def counted(function):
        def inner(*arguments, **options):
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return inner

    steps = {os: ("fsync", "replace", "unlink"), Table: ("reserve", "settle", "delete")}
    for place, names in steps.items():
        for name in names:
            setattr(place, name, counted(getattr(place, name)))


def main():
    index, vectors, out = Path(sys.argv[1]), open_vectors(sys.argv[2]), Path(sys.argv[3])
    every, chance, told, step = int(sys.argv[4]), random.Random(0), [], 0
    while not told or told[-1]["status"]:
        step += every
        told.append(one(out / f"step-{step}", index, vectors, partial(killed_at, step), None))
    for number in range(4):
        told.append(one(out / f"chance-{number}", index, vectors, lambda: None, chance.uniform(0, 0.1)))
    (out / "told.json").write_text(json.dumps(told))


def one(folder, index, vectors, prepare, seconds):
    for name in (index.name, "v"):  # the index finds its vectors beside it
        shutil.copytree(index.with_name(name), folder / name)
    pid = run(folder, vectors, prepare)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    return {"folder": str(folder), "status": os.waitpid(pid, 0)[1]}


if __name__ == "__main__":
    main()
