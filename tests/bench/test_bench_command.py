"""`alexnet bench`: one JSON document, and complaints of one line."""

import json

import pytest

from alexnet.bench import normalisation
from alexnet.cli import main


@pytest.fixture
def little(monkeypatch):
    monkeypatch.setattr(normalisation, "MAPS", ((8, 5),))
    monkeypatch.setattr("alexnet.bench.normalisation.response_norm_for", lambda device, seconds: ("eager", ""))


def test_bench_prints_one_document_and_writes_the_same(little, tmp_path, capsys):
    out = tmp_path / "results" / "bench.json"
    options = ["--repeats", "2", "--batch", "3", "--size", "67", "--device", "cpu", "--json", "--out", str(out)]
    assert main(["bench", "lrn", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads(out.read_text())
    assert document["cases"]["lrn"]["rows"][0]["what"] == "[3, 8, 5, 5], forward"
    assert (document["repeats"], document["batch"], document["size"]) == (2, 3, 67)
    assert document["command"].startswith("alexnet bench lrn --repeats 2")


def test_bench_prints_tables(little, capsys):
    assert main(["bench", "lrn", "--repeats", "1", "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "[32, 8, 5, 5], forward + backward" in said.out
    assert "bench lrn" in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stpe"], ["stpe", "step", "all"]),
        (["lrn", "--repeats", "0"], ["--repeats 0", "1 or more"]),
        (["lrn", "--batch", "0"], ["--batch 0", "1 or more"]),
        (["lrn", "--images", "3"], ["--images 3", "16 or more"]),
        (["lrn", "--size", "224"], ["--size 224", "227"]),
        (["lrn", "--size", "31"], ["--size 31", "67"]),
        (["lrn", "--device", "cuda"], ["cuda"]),
        (["lrn", "--repeats", "many"], ["many", "alexnet bench --help"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, words, capsys):
    assert main(["bench", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("alexnet: ")
    for word in words:
        assert word in last
