"""Files that are there whole or not at all."""

import pytest

from alexnet.files import readable_bytes, replacing, write_json


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fails():
        with replacing(path) as aside:
            aside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_block_that_ends_well_replaces_the_file(tmp_path):
    with replacing(tmp_path / "new" / "a.txt") as aside:
        aside.write_text("new")
    assert (tmp_path / "new" / "a.txt").read_text() == "new"


def test_json_that_is_no_json_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (3e12, "3.0 TB")]
)
def test_bytes_are_written_for_people(count, text):
    assert readable_bytes(count) == text
