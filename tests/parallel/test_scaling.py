"""The page of arithmetic says what its formula gives, worked out here by hand."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rows():
    return json.loads((ROOT / "results" / "scaling.json").read_text())["rows"]


def only(rows, **wanted):
    (row,) = [row for row in rows if wanted.items() <= row.items()]
    return row


def test_the_papers_towers_by_hand(rows):
    # Half of each layer's outputs crosses, forward, and as much back, in float32: before conv3 128 maps of 13 x 13, fc6
    # 128 maps of 6 x 6, fc7 and fc8 2048 units, the loss 500 scores.
    crossing = 2 * 128 * 4 * (128 * 13 * 13 + 128 * 6 * 6 + 2048 + 2048 + 500)
    step = 5.5 * 24 * 3600 / (90 * 1_200_000 / 128)
    row = only(rows, gpus=2, scheme="two towers")
    assert row["activations"] == crossing
    assert row["gradients"] == 0
    assert row["step"] == pytest.approx(step)
    assert row["compute"] == pytest.approx(step - crossing / 6e9)


def test_the_papers_gpus_data_parallel_by_hand(rows):
    towers, row = (only(rows, gpus=2, scheme=scheme) for scheme in ("two towers", "data-parallel"))
    assert row["gradients"] == 4 * 60_965_224
    assert row["step"] == pytest.approx(towers["compute"] + 4 * 60_965_224 / 6e9)
    assert row["overlapped"] == pytest.approx(towers["compute"])


def test_a_thousand_gpus_by_hand(rows):
    row = only(rows, gpus=1024, net="alexnet", scheme="data-parallel", regime="weak")
    compute = 128 * 6 * 724_406_816 / 98.9e12
    exchange = 2 * 1023 / 1024 * 4 * 60_965_224 / 37.5e9 + 20 * 5e-6
    assert row["step"] == pytest.approx(compute + exchange)
    assert row["overlapped"] == pytest.approx(compute + exchange - compute * 2 / 3)
    assert row["efficiency"] == pytest.approx(compute / (compute + exchange))


def test_the_page_has_every_row(rows):
    page = (ROOT / "docs" / "devices.md").read_text()
    table = re.search(r"<!-- table scaling -->\n(.*?)<!-- end -->", page, re.DOTALL)
    assert table
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()[2:]]
    assert [(cells[0], cells[3]) for cells in shown] == [(f"{row['gpus']:,}", row["scheme"]) for row in rows]
    for cells, row in zip(shown, rows):
        assert cells[-1] == f"{row['efficiency']:.0%} to {row['efficiency_overlapped']:.0%}"
