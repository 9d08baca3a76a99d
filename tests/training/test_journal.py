"""metrics.jsonl: written, cut back, read while it grows."""

import json

import pytest

from alexnet.errors import InputError
from alexnet.training.journal import Journal, read_journal


def test_lines_come_back_as_written(tmp_path):
    journal = Journal(tmp_path)
    journal.write("step", 10, loss=2.5, terms={"cross_entropy": 2.5})
    journal.write("validation", 20, error=0.25, best=True)
    journal.close()
    assert read_journal(tmp_path) == [
        {"kind": "step", "step": 10, "loss": 2.5, "terms": {"cross_entropy": 2.5}},
        {"kind": "validation", "step": 20, "error": 0.25, "best": True},
    ]


def test_numbers_that_are_not_finite_become_null(tmp_path):
    journal = Journal(tmp_path)
    journal.write("step", 1, loss=float("nan"), terms={"a": float("inf")})
    journal.close()
    assert read_journal(tmp_path) == [{"kind": "step", "step": 1, "loss": None, "terms": {"a": None}}]


def test_a_resumed_run_cuts_back_to_what_was_saved(tmp_path):
    journal = Journal(tmp_path)
    journal.write("step", 10, loss=1.0)
    length = journal.length()
    journal.write("step", 20, loss=0.5)
    journal.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "st')
    journal = Journal(tmp_path, length)
    journal.write("step", 20, loss=0.6)
    journal.close()
    assert [line["loss"] for line in read_journal(tmp_path)] == [1.0, 0.6]


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"kind": "step", "step": 1}) + '\n{"kind": "st')
    assert len(read_journal(tmp_path)) == 1


def test_a_journal_shorter_than_its_state_is_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="shorter than when the run was saved"):
        Journal(tmp_path, 100)


def test_tensorboard_gets_the_same_numbers(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    journal = Journal(tmp_path, board=True)
    journal.write("step", 10, loss=2.5, best=True)
    journal.close()
    events = accumulator.EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("step/loss")] == [(10, 2.5)]
    assert events.Tags()["scalars"] == ["step/loss"]
