import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from alexnet.data import cache_entries, cache_folder, clear_cache, open_source, pack, packed_in_cache
from alexnet.errors import InputError

cache_module = sys.modules["alexnet.data.cache"]


@pytest.fixture
def folder(photo_folder, tmp_path):
    shutil.copytree(photo_folder, tmp_path / "set")
    return tmp_path / "set"


def refuse_to_pack(monkeypatch):
    monkeypatch.setattr(cache_module, "write_pack", lambda *a, **k: pytest.fail("it was packed again"))


def test_it_says_where_and_how_large_and_is_reused_while_the_files_are_unchanged(folder, monkeypatch, capsys):
    first = packed_in_cache(open_source(folder), stored=32)
    assert first.path.is_relative_to(cache_folder())
    said = capsys.readouterr().err
    assert str(first.path) in said
    assert "kB" in said
    refuse_to_pack(monkeypatch)
    again = packed_in_cache(open_source(folder), stored=32)
    assert again.path == first.path
    assert str(first.path) in capsys.readouterr().err


def test_a_changed_file_is_packed_again(folder):
    first = packed_in_cache(open_source(folder), stored=32)
    shutil.copyfile(folder / "china/00.jpg", folder / "flower/00.jpg")
    second = packed_in_cache(open_source(folder), stored=32)
    assert second.path != first.path
    assert second.fingerprint != first.fingerprint
    (folder / "flower/00.jpg").unlink()
    assert len(packed_in_cache(open_source(folder), stored=32)) == 59


def test_a_file_rewritten_in_the_same_size_is_noticed(folder):
    first = packed_in_cache(open_source(folder), stored=32)
    status = (folder / "china/00.jpg").stat()
    os.utime(folder / "china/00.jpg", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert packed_in_cache(open_source(folder), stored=32).path != first.path


def test_other_settings_have_an_entry_of_their_own(folder):
    source = open_source(folder)
    entries = {
        packed_in_cache(source, stored=32).path,
        packed_in_cache(source, stored=40).path,
        packed_in_cache(source, stored=32, crop="none").path,
        packed_in_cache(source, stored=32, format="jpeg").path,
        packed_in_cache(source, size=28).path,
    }
    assert len(entries) == 5


def test_small_arrays_have_one_entry_for_every_size_of_net(array_source):
    assert packed_in_cache(array_source(), size=67).path == packed_in_cache(array_source(), size=224).path
    assert packed_in_cache(array_source(), size=67).path != packed_in_cache(array_source(seed=1), size=67).path


def test_a_packed_source_is_used_as_it_is(folder, tmp_path):
    pack(open_source(folder), tmp_path / "mine", stored=32)
    packed = packed_in_cache(open_source(tmp_path / "mine"))
    assert packed.path == (tmp_path / "mine").resolve()
    assert cache_entries() == []
    with pytest.raises(InputError, match="32 and 64 is asked for"):
        packed_in_cache(open_source(tmp_path / "mine"), stored=64)
    with pytest.raises(InputError, match="--crop none"):
        packed_in_cache(open_source(tmp_path / "mine"), crop="none")


def test_skipped_files_are_counted_aloud_each_time(odd_folder, capsys):
    for _ in range(2):
        packed_in_cache(open_source(odd_folder.path), stored=16)
        said = capsys.readouterr().err
        assert "2 truncated" in said
        assert "2 link-loop" in said
        assert "manifest.json" in said


def test_a_damaged_entry_is_made_again(array_source, capsys):
    first = packed_in_cache(array_source())
    (first.path / "labels.npy").write_bytes(b"")
    again = packed_in_cache(array_source())
    assert again.path == first.path
    assert len(again) == 20
    assert "labels.npy" in capsys.readouterr().err


def test_entries_are_listed_and_cleared(array_source, folder):
    packed_in_cache(array_source())
    packed = packed_in_cache(open_source(folder), stored=32)
    (cache_folder() / "datasets").mkdir()
    entries = cache_entries()
    assert [entry.images for entry in entries] == [20, 60]
    assert entries[1].spec == str(folder)
    assert entries[1].bytes == sum(file.stat().st_size for file in packed.path.iterdir())
    assert all(entry.finished for entry in entries)
    assert clear_cache() == entries
    assert cache_entries() == []
    assert (cache_folder() / "datasets").is_dir()
    assert np.array_equal(packed.read(np.arange(2)).shape, (2, 32, 32, 3))  # whoever reads it may go on


def test_an_interrupted_packing_is_listed_and_gone_on_with(folder, monkeypatch):
    journal = sys.modules["alexnet.data.journal"].Journal
    monkeypatch.setattr(sys.modules["alexnet.data.pack"], "BLOCK_IMAGES", 10)
    add = journal.add

    def stop(self, block):
        if self.next >= 20:
            raise KeyboardInterrupt
        add(self, block)

    monkeypatch.setattr(journal, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        packed_in_cache(open_source(folder), stored=32)
    assert [entry.finished for entry in cache_entries()] == [False]
    monkeypatch.setattr(journal, "add", add)
    assert len(packed_in_cache(open_source(folder), stored=32)) == 60
    assert [entry.finished for entry in cache_entries()] == [True]


def test_an_interrupted_packing_is_cleared_too(folder, monkeypatch):
    monkeypatch.setattr(
        sys.modules["alexnet.data.journal"].Journal, "add", lambda self, block: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        packed_in_cache(open_source(folder), stored=32)
    assert len(clear_cache()) == 1
    assert cache_entries() == []


PACK_SLOWLY = r"""
import os, sys, time
from alexnet.data import open_source, packed_in_cache
module = sys.modules["alexnet.data.pack"]
prepare = module.prepare
def counted(*arguments):
    time.sleep(0.01)
    os.write(1, b"decoded\n")  # whole lines, whichever thread writes
    return prepare(*arguments)
module.prepare = counted
packed = packed_in_cache(open_source(sys.argv[1]), stored=32)
assert len(packed) == 60 and packed.verify() == []
print(packed.path)
"""


def test_two_processes_at_once_pack_once_and_read_the_same(folder):
    children = [
        subprocess.Popen([sys.executable, "-c", PACK_SLOWLY, str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    lines = [child.communicate(timeout=60)[0].splitlines() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert lines[0][-1] == lines[1][-1]
    assert sum(line == "decoded" for child in lines for line in child) == 60
    assert len(cache_entries()) == 1


def test_a_cache_that_cannot_be_written_names_the_variable(folder, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"file/packed cannot be written .*\$ALEXNET_CACHE"):
        packed_in_cache(open_source(folder), stored=32)


def test_without_the_variable_it_lies_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("ALEXNET_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/alexnet"
    assert cache_entries() == []
    assert clear_cache() == []
