"""Precision, recall and average precision, beside their definitions spelled out; and search measured by them."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from alexnet.errors import InputError
from alexnet.retrieval import compare as room
from alexnet.retrieval.codes import fit_codes
from alexnet.retrieval.compare import Labelled, as_text, compare
from alexnet.retrieval.distances import as_words, hamming, squared_distances, squared_lengths
from alexnet.retrieval.measures import Figures, of_distances, of_groups


def by_definition(ranking, k):
    """Precision and recall at k and average precision of a ranking of 0 and 1, as fractions."""
    total = sum(ranking)
    precisions = [Fraction(sum(ranking[:place]), place) for place in range(1, len(ranking) + 1)]
    average = sum(p for p, good in zip(precisions, ranking) if good) / total
    return precisions[k - 1], Fraction(sum(ranking[:k]), total), average


def over_all_orders(groups, k):
    """The mean of `by_definition` over all orders of equal distances; groups are lists of 0 and 1, nearest first."""
    rankings = [[]]
    for group in groups:
        rankings = [ranking + list(order) for ranking in rankings for order in permutations(group)]
    figures = [by_definition(ranking, k) for ranking in rankings]
    return [float(sum(column) / len(figures)) for column in zip(*figures)]


def test_without_equal_distances_the_figures_are_the_definitions():
    chance = np.random.default_rng(0)
    for k in (1, 3, 10):
        relevant = chance.random(30) < 0.4
        distances = chance.permutation(30)
        ranking = relevant[np.argsort(distances)].astype(int).tolist()
        wanted = [float(figure) for figure in by_definition(ranking, k)]
        assert of_distances(distances, relevant, k) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_equal_distances_give_the_mean_over_their_orders(k):
    groups = [[1], [0, 1, 1, 0], [1, 0], [0, 0], [1, 1]]
    wanted = over_all_orders(groups, k)
    distances = np.array([5, 7, 7, 7, 7, 8, 8, 9, 9, 11, 11])
    relevant = np.array([good for group in groups for good in group], bool)
    order = np.random.default_rng(k).permutation(11)  # however the files lie
    assert of_distances(distances[order], relevant[order], k) == pytest.approx(wanted, abs=1e-12)
    sizes, good = np.array([1, 0, 4, 2, 0, 2, 2]), np.array([1, 0, 2, 1, 0, 0, 2])  # as counted, empty ones among them
    assert of_groups(sizes, good, k) == pytest.approx(wanted, abs=1e-12)


def test_a_ranking_that_is_all_one_tie_is_as_good_as_chance():
    relevant = np.arange(1000) < 250
    figures = of_distances(np.zeros(1000), relevant, 10)
    assert figures.precision == pytest.approx(0.25)
    assert figures.recall == pytest.approx(0.01)
    assert 0.25 < figures.average_precision < 0.26


def test_distances_are_those_of_a_loop():
    chance = np.random.default_rng(1)
    array, queries = chance.normal(3, 1, (50, 7)), chance.normal(3, 1, (4, 7))
    found = squared_distances(queries, array, squared_lengths(array, block=8), block=8)
    wanted = [[sum((a - b) ** 2 for a, b in zip(row, query)) for row in array] for query in queries]
    assert np.abs(found - wanted).max() < 1e-3
    for size in (1, 2, 4, 6, 16, 32):  # bytes
        codes = chance.integers(0, 256, (20, size), np.uint8)
        words = as_words(codes)
        wanted = [bin(int.from_bytes(code.tobytes()) ^ int.from_bytes(codes[3].tobytes())).count("1") for code in codes]
        assert hamming(words[:, 3], words).tolist() == wanted


def clouds(n, seed, classes=4, features=24, spread=1.5):
    """Vectors about a centre for each class, with labels and digests."""
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = np.random.default_rng(9).normal(0, 1, (classes, features))
    array = (centres[labels] + chance.normal(0, spread, (n, features))).astype(np.float32)
    return Labelled(array, labels, chance.integers(0, 256, (n, 32), np.uint8))


def slowly(index, queries, codes, k, shortlist, seed):
    """The means of exact search, of codes, and of re-ranking, by sorting in loops.

    Equal Hamming distances are taken in one drawn order after the other, and the mean over these is given; at the
    short-list's end they have the order that `compare` draws.
    """
    drawn = np.random.default_rng(seed).permutation(len(index.labels))
    exact, coded, reranked = [], [], []
    bits = np.unpackbits(codes.encode(index.array), axis=1).astype(int)
    for query, label, code in zip(queries.array, queries.labels, codes.encode(queries.array)):
        good = (index.labels == label).astype(int)
        distances = ((index.array.astype(np.float64) - query) ** 2).sum(1)
        exact.append(by_definition(good[np.argsort(distances)].tolist(), k))
        apart = (bits != np.unpackbits(code)).sum(1)
        for seed in range(20):
            order = np.random.default_rng(seed).permutation(len(good))
            ranking = order[np.argsort(apart[order], kind="stable")]
            coded.append(by_definition(good[ranking].tolist(), k))
            near = np.lexsort((drawn, apart))[:shortlist]
            again = [*near[np.argsort(distances[near])], *[row for row in ranking if row not in near]]
            reranked.append(by_definition(good[again].tolist(), k))
    return [np.array(figures, float).mean(0) for figures in (exact, coded, reranked)]


def test_exact_search_codes_and_re_ranking_are_what_loops_find(monkeypatch):
    monkeypatch.setattr(room, "BLOCK_BYTES", 4 * 120 * 5)  # so that several blocks of queries are searched
    index, queries = clouds(120, 1), clouds(12, 2)
    result = compare(index, queries, bits=[16], methods=["hyperplanes"], k=5, shortlist=30, seed=4)
    codes = fit_codes(index.array, 16, "hyperplanes", seed=4)
    exact, coded, reranked = slowly(index, queries, codes, 5, 30, seed=4)
    row = result["codes"][0]
    assert 0.3 < coded[0] < exact[0] < 0.95  # neither chance nor perfection
    assert list(result["exact"].values()) == pytest.approx(exact, abs=1e-9)
    assert [row["precision"], row["recall"], row["map"]] == pytest.approx(coded, abs=0.01)
    again = row["reranked"]
    assert [again["precision"], again["recall"]] == pytest.approx(reranked[:2], abs=1e-9)
    assert again["map"] == pytest.approx(reranked[2], abs=0.005)
    assert row["precision_kept"] == row["reranked"]["precision"] / result["exact"]["precision"]
    assert (result["indexed"], result["queries"], result["left_out"], result["features"]) == (120, 12, 0, 24)
    assert "hyperplanes" in as_text(result)


def test_a_short_list_of_everything_is_exact_search():
    index, queries = clouds(80, 1), clouds(9, 2)
    result = compare(index, queries, bits=[8, 24], methods=["itq", "hyperplanes"], k=5, shortlist=80)
    for row in result["codes"]:
        assert row["reranked"] == pytest.approx(result["exact"], abs=1e-9)
        assert row["map"] != pytest.approx(result["exact"]["map"], abs=1e-6)


def test_the_query_itself_is_never_counted():
    index = clouds(60, 1, spread=30)  # hardly a class to be seen
    result = compare(index, index, bits=[24], methods=["hyperplanes"], k=1, shortlist=20)
    alone = [np.argsort(((index.array - vector) ** 2).sum(1))[1] for vector in index.array]  # the first is itself
    wanted = (index.labels[alone] == index.labels).mean()
    assert result["exact"]["precision"] == pytest.approx(wanted)
    bits = np.unpackbits(fit_codes(index.array, 24, "hyperplanes").encode(index.array), axis=1).astype(int)
    shares = []
    for row in range(60):
        apart = (bits != bits[row]).sum(1)
        apart[row] = 25
        shares.append((index.labels[apart == apart.min()] == index.labels[row]).mean())
    assert result["codes"][0]["precision"] == pytest.approx(np.mean(shares))
    assert result["codes"][0]["reranked"]["precision"] < 0.8


def test_queries_of_other_classes_are_left_out_and_counted():
    index, queries = clouds(80, 1), clouds(9, 2)
    queries.labels[:4] = -1
    result = compare(index, queries, bits=[], k=5, shortlist=20)
    fewer = Labelled(queries.array[4:], queries.labels[4:], queries.digests[4:])
    assert result["left_out"] == 4
    assert result["exact"] == compare(index, fewer, bits=[], k=5, shortlist=20)["exact"]
    queries.labels[:] = 77
    with pytest.raises(InputError, match="no query is of a class that is indexed"):
        compare(index, queries, bits=[], k=5, shortlist=20)


def test_a_short_list_longer_than_the_index_is_all_of_it():
    index, queries = clouds(80, 1), clouds(9, 2)
    assert compare(index, queries, bits=[])["shortlist"] == 80


def test_what_cannot_be_measured_is_an_error():
    index, queries = clouds(80, 1), clouds(9, 2)
    with pytest.raises(InputError, match="k 30 and a short-list of 20 of 80 images"):
        compare(index, queries, k=30, shortlist=20)
    with pytest.raises(InputError, match="queries of 23 numbers came, 24 are indexed"):
        compare(index, Labelled(queries.array[:, 1:], queries.labels, queries.digests), shortlist=20)


def test_the_means_are_over_queries():
    assert room._means([Figures(1, 0, 0.5), Figures(0, 0.5, 0.25)]) == {"precision": 0.5, "recall": 0.25, "map": 0.375}
