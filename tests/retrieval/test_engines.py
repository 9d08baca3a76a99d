"""Both engines keep the same contract, on a real server too; rows are compared with a slow search in float64."""

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.retrieval.faiss_engine import FaissEngine
from alexnet.retrieval.milvus_engine import MilvusEngine

COLUMNS = {"features": 24, "codes": 16}


def drawn(kind, n, seed=0):
    numbers = np.random.default_rng(seed)
    if kind == "codes":
        return numbers.integers(0, 256, (n, COLUMNS[kind]), dtype=np.uint8)
    return numbers.normal(size=(n, COLUMNS[kind])).astype(np.float32)


def slowly(kind, queries, rows):
    """Distances [queries, rows], one pair of numbers or bits at a time."""
    if kind == "codes":
        bits = [np.unpackbits(each, axis=1).astype(int) for each in (queries, rows)]
        return np.abs(bits[0][:, None] - bits[1][None]).sum(2).astype(np.float64)
    return np.sqrt(((queries[:, None].astype(np.float64) - rows[None]) ** 2).sum(2))


@pytest.fixture(params=["faiss", "milvus"])
def opened(request, tmp_path):
    """Open an engine of a kind, again and again the same one; a server's collections get the test's own name."""
    engines, made = [], set()

    def open_engine(kind, name="one"):
        if request.param == "faiss":
            engine = FaissEngine(tmp_path / name / kind, kind, COLUMNS[kind])
        else:
            server = request.getfixturevalue("milvus")
            store = f"{server}/t{abs(hash((request.node.nodeid, str(tmp_path), name)))}"
            engine = MilvusEngine(store, kind, COLUMNS[kind], new=(name, kind) not in made)
        made.add((name, kind))
        engines.append(engine)
        return engine

    yield open_engine
    for engine in engines:
        if isinstance(engine, MilvusEngine):
            engine.close()


def test_an_engine_finds_what_a_slow_search_finds_through_additions_and_deletions_each_kind_apart(opened):
    engines = {kind: opened(kind) for kind in COLUMNS}  # of one index
    for kind, engine in engines.items():
        finds_what_a_slow_search_finds(engine, opened, kind)
        compares_only_with_the_ids_it_is_told(engine, kind)
    for kind, engine in engines.items():
        assert engine.count() == 495
        wrong = np.zeros((3, 5), drawn(kind, 1).dtype)
        with pytest.raises(InputError, match=str(COLUMNS[kind])):
            engine.add(np.arange(3), wrong)
        with pytest.raises(InputError, match=str(COLUMNS[kind])):
            engine.search(wrong, 1)


def finds_what_a_slow_search_finds(engine, opened, kind):
    rows, queries = drawn(kind, 500), drawn(kind, 25, seed=1)
    assert engine.count() == 0
    ids, distances = engine.search(queries[:2], 3)
    assert (ids == -1).all()
    assert np.isinf(distances).all()

    numbers = 2 * np.arange(500, dtype=np.int64) + 7
    engine.add(numbers[:300], rows[:300])
    engine.add(numbers[300:], rows[300:])
    assert engine.count() == 500
    agrees(engine, kind, queries, rows, numbers)

    gone = numbers[[0, 3, 150, 299, 300, 499]]
    engine.delete(np.append(gone, 99_999))  # the last was never there
    engine.delete(gone)  # and a second time changes nothing
    assert engine.count() == 494
    left = ~np.isin(numbers, gone)
    agrees(engine, kind, queries, rows[left], numbers[left])
    agrees(engine, kind, rows[:3], rows[left], numbers[left])  # the nearest of row 0 was row 0

    again = opened(kind)  # as another process would
    assert again.count() == 494
    agrees(again, kind, queries, rows[left], numbers[left])
    engine.add(np.array([5000]), queries[:1])
    ids, distances = opened(kind).search(queries[:1], 1)
    assert (ids.tolist(), distances.tolist()) == ([[5000]], [[0.0]])


def compares_only_with_the_ids_it_is_told(engine, kind):
    """`engine` as `finds_what_a_slow_search_finds` leaves it: row i has id 2 i + 7, and row 3 is gone."""
    rows, queries = drawn(kind, 500), drawn(kind, 3, seed=2)
    among = np.array([[9, 13, 67, -1, -1], [165, 17, 19, 23, 1000], [-1] * 5])
    ids, distances = engine.search(queries, 4, among)
    true = slowly(kind, queries, rows)
    for row, allowed in enumerate([[1, 30], [5, 6, 8, 79], []]):
        order = sorted(allowed, key=lambda i: true[row, i])
        found = [id for id in ids[row].tolist() if id >= 0]
        assert sorted(found) == [2 * i + 7 for i in sorted(allowed)]
        np.testing.assert_allclose(distances[row, : len(order)], true[row, order], rtol=1e-5)
        assert np.isinf(distances[row, len(order) :]).all()


def agrees(engine, kind, queries, rows, numbers, k=12):
    true = slowly(kind, queries, rows)
    ids, distances = engine.search(queries, k)
    assert ids.dtype == np.int64
    assert distances.dtype == np.float32
    nearest = np.sort(true, axis=1)[:, :k]
    np.testing.assert_allclose(distances, nearest, rtol=1e-5, atol=1e-6)
    # Whichever of rows at one distance are given: each is as far as is said, and none comes twice.
    place = {number: row for row, number in enumerate(numbers.tolist())}
    of_ids = np.array([[true[row, place[id]] for id in some] for row, some in enumerate(ids.tolist())])
    np.testing.assert_allclose(of_ids, distances, rtol=1e-5, atol=1e-6)
    assert all(len(set(some)) == k for some in ids.tolist())


def test_a_server_that_has_the_name_or_lacks_it_is_an_error(milvus):
    store = f"{milvus}/twice"
    with pytest.raises(InputError, match="has no collection"):
        MilvusEngine(store, "codes", 16)
    MilvusEngine(store, "codes", 16, new=True).close()
    with pytest.raises(InputError, match="another"):
        MilvusEngine(store, "codes", 16, new=True)
    engine = MilvusEngine(store, "codes", 16)
    with pytest.raises(InputError, match="at most"):
        engine.search(drawn("codes", 1), 20_000)
    engine.close()
