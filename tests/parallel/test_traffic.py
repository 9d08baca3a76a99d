"""Bytes by arithmetic, beside figures worked out by hand for the published net; real steps are in test_towers.py."""

import numpy as np
import pytest
import torch

from alexnet.models import Classifier, build
from alexnet.parallel.traffic import Counted, Exchange, all_gather, all_reduce, in_words, reduce_scatter, table


@pytest.fixture(scope="module")
def net() -> Classifier:
    with torch.device("meta"):
        return build("alexnet")


def exchanges(net: Classifier, batch: int, processes: int, width: int | None = None) -> dict[str, Exchange]:
    return {row.scheme: row for row in table(net, batch, processes, width)}


def test_rings_of_processes_send_what_is_counted():
    for count in (2, 3, 4):
        pieces = np.random.default_rng(0).integers(0, 9, (count, count))  # of process, of place
        held, sent = pieces.copy(), np.zeros(count, int)
        for turn in range(count - 1):  # reduce-scatter: each passes on what it has added up
            passed = [held[rank, (rank - turn) % count] for rank in range(count)]
            for rank in range(count):
                held[(rank + 1) % count, (rank - turn) % count] += passed[rank]
                sent[rank] += 1
        assert all(held[rank, (rank + 1) % count] == pieces[:, (rank + 1) % count].sum() for rank in range(count))
        assert set(sent) == {reduce_scatter(count, count)}
        for turn in range(count - 1):  # all-gather: each passes on what it got
            for rank in range(count):
                place = (rank + 1 - turn) % count
                held[(rank + 1) % count, place] = pieces[:, place].sum()
                sent[rank] += 1
        assert (held == pieces.sum(0)).all()
        assert set(sent) == {all_reduce(count, count)}
        assert all_reduce(count, count) - reduce_scatter(count, count) == all_gather(1, count)


def test_two_devices_with_the_published_net(net):
    told = exchanges(net, 128, 2)
    assert list(told) == ["one process", "data-parallel", "two towers", "fully-connected split"]
    assert told["one process"].bytes == 0
    assert told["data-parallel"].bytes == 4 * 60_965_224
    crossing = 128 * (128 * 13 * 13 + 128 * 6 * 6 + 2048 + 2048 + 500)
    assert told["two towers"] == Exchange("two towers", 2, 4 * 2 * crossing, 0)
    convolutions = 34_944 + 307_456 + 885_120 + 663_936 + 442_624
    features = 2 * 64 * 256 * 6 * 6 + 2 * 128 * (2048 + 2048 + 500)
    assert told["fully-connected split"] == Exchange(
        "fully-connected split", 2, 4 * features + 8 * 64, 4 * convolutions
    )


def test_four_devices_with_the_published_net_in_bfloat16(net):
    told = exchanges(net, 256, 4, width=2)
    assert told["data-parallel"].bytes == 1.5 * 4 * 60_965_224
    crossing = 128 * (128 * 13 * 13 + 128 * 6 * 6 + 2048 + 2048 + 500)
    half = 60_965_224 / 2  # every layer of this net has an even number of outputs
    assert told["2 x two towers"] == Exchange("2 x two towers", 4, 2 * 2 * crossing, 4 * half)


def test_schemes_that_do_not_suit_are_left_out(net):
    assert list(exchanges(net, 128, 1)) == ["one process"]
    assert list(exchanges(net, 128, 3)) == ["one process", "data-parallel"]
    assert "fully-connected split" not in exchanges(net, 130, 4)
    with torch.device("meta"):
        assert list(exchanges(build("resnet20_cifar"), 128, 2)) == ["one process", "data-parallel"]


def test_the_line_on_a_step_says_megabytes(net):
    counted = Counted()
    counted.gathered, counted.reduced = 31_600_000.0, 0.0
    assert in_words(counted, net, 2) == (
        "each process sends and receives 31.6 MB a step (31.6 MB of activations, 0 MB of gradients); "
        "data-parallel would exchange 244 MB"
    )
