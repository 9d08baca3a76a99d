"""What may happen to an index: its writer is killed, its files are cut short, foreign or gone; two write at once."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.retrieval.build import add_vectors, create
from alexnet.retrieval.index import Index
from alexnet.retrieval.table import Entry
from alexnet.retrieval.vectors import open_vectors

FIRST = {f"v/{i}.png" for i in range(40)}
SECOND = {f"w/{i}.png" for i in range(30)}
GONE = {"v/0.png", "v/1.png", "w/5.png"}
AFTER = [FIRST, FIRST | SECOND, (FIRST | SECOND) - GONE, (FIRST | SECOND) - GONE, (FIRST | SECOND) - GONE | {"w/5.png"}]
"""What the index holds after each of the changes of killed.py."""


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_an_index_whose_writer_is_killed_holds_what_was_acknowledged(vectors, tmp_path, every):
    first, second = vectors(40), vectors(30, "w", seed=1)
    rows = np.concatenate([np.load(folder / "vectors.npy") for folder in (first, second)])
    create(first, tmp_path / "index", codes=32, method="hyperplanes").close()
    (tmp_path / "out").mkdir()
    script = Path(__file__).with_name("killed.py")
    command = [sys.executable, script, tmp_path / "index", second, tmp_path / "out", str(every)]
    subprocess.run(command, check=True)

    met = Counter()
    for told in json.loads((tmp_path / "out" / "told.json").read_text()):
        folder = Path(told["folder"])
        file = folder / "acknowledged.txt"
        done = len(file.read_text().splitlines()) if file.exists() else 0
        assert told["status"] in (0, signal.SIGKILL)
        with Index(folder / "index") as index:
            # Exactly as after what was acknowledged, or after the change that was under way; found both ways.
            for by in ("features", "both"):
                hits = index.search_vectors(rows[:1], 100, by)[0]
                held = {hit.path for hit in hits}
                assert len(hits) == len(held) == len(index)
                assert held in AFTER[done : done + 2], folder
            # The next change takes out what was left, and all is as if nothing had happened.
            assert add_vectors(index, open_vectors(second)) == (len(SECOND - held), len(SECOND & held))
            assert {hit.path for hit in index.search_vectors(rows[:1], 100)[0]} == held | SECOND
            assert [engine.count() for engine in index._engines.values()] == [len(index)] * 2
            assert index.check() == []
        met[done, told["status"]] += 1
    assert {done for done, _ in met} == {0, 1, 2, 3, 4}  # all moments were met
    assert met[4, 0] >= 1  # and a process came to its end


def spoilt(path, how):
    if how == "cut":
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size * 2 // 3)
    elif how == "foreign":
        path.write_bytes(b"These are words and no index.\n" * 9)
    elif how == "gone":
        path.unlink()
    elif how == "another":
        path.write_text('{"format": "something else", "version": 1}')
    elif how == "newer":
        path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 2}))


@pytest.mark.parametrize(
    ("file", "how", "words"),
    [
        ("index.json", "cut", "damaged"),
        ("index.json", "gone", "no index"),
        ("index.json", "another", "another program"),
        ("index.json", "newer", "version 2"),
        ("table.sqlite", "cut", "table.sqlite"),
        ("table.sqlite", "foreign", "table.sqlite"),
        ("table.sqlite", "gone", "missing"),
        ("features/manifest.json", "cut", "manifest"),
        ("features/manifest.json", "another", "something else"),
        ("features/manifest.json", "newer", "version 2"),
        ("codes/rows-000001.npy", "cut", "bytes"),
        ("codes/rows-000001.npy", "foreign", "bytes"),
        ("codes/rows-000001.npy", "gone", "missing"),
        ("codes/ids-000001.npy", "cut", "cut short"),
        ("codes/ids-000001.npy", "foreign", "no .npy file"),
        ("encoder.safetensors", "cut", "encoder.safetensors"),
        ("encoder.safetensors", "gone", "encoder.safetensors"),
        ("../v/vectors.npy", "cut", "vectors.npy"),
        ("../v/vectors.npy", "gone", "vectors.npy"),
    ],
)
def test_a_file_that_is_cut_short_foreign_or_gone_is_one_clear_line(vectors, tmp_path, file, how, words):
    create(vectors(), tmp_path / "index", codes=32, method="hyperplanes").close()
    spoilt(tmp_path / "index" / file, how)
    with pytest.raises(InputError, match=words) as caught, Index(tmp_path / "index") as index:
        index.search_vectors(np.zeros((1, 16)), 3)
    assert "\n" not in str(caught.value)
    assert Path(file).name in str(caught.value) or how in ("newer", "gone")


def test_vectors_of_the_same_length_that_are_not_the_indexed_ones_are_found_by_check(vectors, tmp_path):
    folder = vectors()
    with create(folder, tmp_path / "index") as index:
        assert index.check() == []
        np.save(folder / "vectors.npy", np.load(folder / "vectors.npy") + 1)
        assert [line for line in index.check() if "vectors.npy" in line and "checksum" in line]
    np.save(folder / "vectors.npy", np.load(folder / "vectors.npy").reshape(30, 32))
    with pytest.raises(InputError, match=r"vectors\.npy.*another file"):
        Index(tmp_path / "index")


def add_one_by_one(index, seed):
    with Index(index) as opened:
        for number in range(5):
            row = np.random.default_rng([seed, number]).normal(size=(1, 16)).astype(np.float32)
            opened.add(row, [Entry(f"{seed}/{number}")])


def test_two_writers_wait_for_each_other_and_readers_never_fail(vectors, tmp_path):
    folder = vectors()
    create(folder, tmp_path / "index", codes=32, method="hyperplanes").close()
    rows = np.load(folder / "vectors.npy")
    # Each opens the index itself: locks hold between openings, in one process as in two.
    with ThreadPoolExecutor() as pool, Index(tmp_path / "index") as index:
        writers = [pool.submit(add_one_by_one, tmp_path / "index", seed) for seed in (1, 2)]
        seen = []
        while not all(writer.done() for writer in writers):
            assert index.search_vectors(rows[:1], 1)[0][0].id == 0
            seen.append(len(index))
            time.sleep(0.01)
        for writer in writers:
            writer.result()
        assert seen == sorted(seen)
        assert len(index) == 70
        found = index.search_vectors(rows[:1], 70)[0]
        assert sorted(hit.id for hit in found) == list(range(70))
        index.compact()
        assert index.search_vectors(rows[:1], 70)[0] == found


def test_a_making_that_was_cut_short_begins_anew(vectors, tmp_path, monkeypatch):
    folder = vectors()

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("alexnet.retrieval.build.write_json", stop)
        with pytest.raises(KeyboardInterrupt):
            create(folder, tmp_path / "index", codes=32, method="hyperplanes")
    with pytest.raises(InputError, match="no index"):
        Index(tmp_path / "index")
    with create(folder, tmp_path / "index", codes=64, method="hyperplanes") as index:
        assert (len(index), index.bits) == (60, 64)


def test_milvus_without_its_package_or_server_is_one_line(vectors, tmp_path, monkeypatch):
    folder = vectors()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pymilvus", None)
        with pytest.raises(InputError, match=r"pip install 'alexnet\[milvus\]'"):
            create(folder, tmp_path / "index", store="http://127.0.0.1:9")
    monkeypatch.setattr("alexnet.retrieval.milvus_engine.SECONDS", 1)
    with pytest.raises(InputError, match="no Milvus server answers") as caught:
        create(folder, tmp_path / "index", store="http://127.0.0.1:9")
    assert "\n" not in str(caught.value)
