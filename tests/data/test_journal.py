import hashlib
from pathlib import Path

import numpy as np

from alexnet.data.journal import Journal
from alexnet.data.source import Problem
from alexnet.data.stored import Prepared


def image(row: int) -> Prepared:
    return Prepared(row, hashlib.sha256(bytes([row])).digest(), bytes(row + 1), (1, row + 1, 1))


def recovered(path: Path) -> Journal:
    journal = Journal(path, 6)
    journal.recover()
    return journal


def test_a_journal_comes_back_as_it_was_written(tmp_path):
    journal = Journal(tmp_path / "journal", 6)
    journal.add([image(0), Problem("1.png", "empty", "the file has no bytes"), image(2)])
    journal.add([image(3)])
    again = recovered(tmp_path / "journal")
    assert (again.next, again.end) == (4, 1 + 3 + 4)
    assert again.kept.tolist() == [True, False, True, True, False, False]
    assert again.ends.tolist() == [1, 0, 4, 8, 0, 0]
    assert again.shapes[2].tolist() == [1, 3, 1]
    assert again.digests[3].tobytes() == hashlib.sha256(b"\3").digest()
    assert again.problems == [Problem("1.png", "empty", "the file has no bytes")]


def test_a_line_cut_short_is_dropped_and_written_over(tmp_path):
    path = tmp_path / "journal"
    Journal(path, 6).add([image(0)])
    whole = path.read_bytes()
    for cut in (b"{", whole[:-1], whole[:-20], b"\xff\xfe"):
        path.write_bytes(whole + cut)
        journal = recovered(path)
        assert journal.next == 1
        journal.add([image(1)])
        assert recovered(path).next == 2
        assert np.array_equal(recovered(path).kept, [True, True, False, False, False, False])


def test_there_may_be_no_journal_yet(tmp_path):
    assert recovered(tmp_path / "journal").next == 0
