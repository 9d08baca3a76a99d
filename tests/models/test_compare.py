"""The comparison: every known difference is there, with a source, and the net's facts are those of the built net."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch
import torchvision
from rich.console import Console

from alexnet.errors import InputError
from alexnet.models import VARIANTS, build, names, parameters
from alexnet.models import compare as compare_module
from alexnet.models.compare import differences, differences_table, facts
from alexnet.models.lrn import LRN
from alexnet.models.published import NET_SOURCES, TRAINING


def by_topic(a: str, b: str) -> dict[str, tuple[str, str]]:
    return {row["topic"]: (row["a"], row["b"]) for row in differences(a, b)}


@pytest.mark.parametrize(("a", "b"), list(combinations(VARIANTS, 2)))
def test_every_fact_has_a_source_and_both_directions_agree(a, b):
    rows = differences(a, b)
    assert rows
    for row in rows:
        assert all(row[key].strip() for key in ("topic", "a", "b", "source_a", "source_b"))
        assert row["a"] != row["b"]
    turned = [
        {
            "topic": row["topic"], "a": row["b"], "b": row["a"],
            "source_a": row["source_b"], "source_b": row["source_a"],
        }
        for row in differences(b, a)
    ]  # fmt: skip
    assert turned == rows


def test_a_net_does_not_differ_from_itself():
    assert all(differences(name, name) == [] for name in names())


def test_all_nets_speak_of_the_same_topics():
    topics = list(facts("alexnet"))
    assert len(topics) > 35
    for name in names():
        assert list(facts(name)) == topics
        assert set(NET_SOURCES[name]) - {""} <= set(topics)
        assert set(TRAINING[name]) == set(TRAINING["alexnet"])


def test_the_paper_and_the_source_of_2012_differ_where_they_are_known_to():
    assert set(by_topic("alexnet", "alexnet_2012")) == {
        "zeros at conv1", "rounding of pooling", "smallest input", "after conv1", "after conv2", "after conv5",
        "LRN factor of a square", "spatial normalisation", "initial weights", "rate of the biases",
        "decay of the biases", "schedule", "length", "rate of conv1", "order of the images", "resizing", "mean",
        "training crop", "crop drawn for", "colour noise", "colour noise until", "published error",
    }  # fmt: skip


def test_the_paper_and_caffe_differ_where_they_are_known_to():
    found = by_topic("alexnet", "caffe_alexnet")
    assert found["input"] == ("224 x 224", "227 x 227")
    assert found["LRN constant k"] == ("2", "1")
    assert found["LRN factor of a square"] == ("0.0001", "2e-05")
    assert found["LRN maps in reach"] == ("48 and 128", "96 and 256")
    assert found["initial biases"][1] == "0; conv2 0.1, conv4 0.1, conv5 0.1, fc6 0.1, fc7 0.1"
    assert found["initial weights"][1] == "N(0, 0.01); fc6 0.005, fc7 0.005"
    assert {"batch", "resizing", "colour noise", "test views", "rate of the biases", "dropout"} <= set(found)
    assert "towers" not in found
    assert "parameters" not in found


def test_the_two_caffe_nets_differ_in_order_and_biases_alone():
    assert set(by_topic("caffe_alexnet", "caffenet")) == {
        "after conv1", "after conv2", "initial biases", "published error",
    }  # fmt: skip


def test_one_column_differs_from_the_paper_by_its_towers_alone():
    assert set(by_topic("alexnet", "alexnet_one_column")) == {
        "towers", "LRN maps in reach", "parameters", "multiply-adds", "published error",
    }  # fmt: skip


def test_torchvisions_error_is_the_one_its_weights_carry():
    measured = torchvision.models.AlexNet_Weights.IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]
    top1, top5 = 100 - measured["acc@1"], 100 - measured["acc@5"]
    assert facts("alexnet_2014")["published error"].value.startswith(f"{top1:.2f} / {top5:.2f} %")


@pytest.mark.parametrize("name", names())
def test_facts_of_the_net_are_those_of_the_built_net(name):
    found = {topic: fact.value for topic, fact in facts(name).items()}
    with torch.device("meta"):
        net = build(name)
    assert found["parameters"] == f"{parameters(name):,}"
    assert found["maps"] == "-".join(str(net.stages[f"conv{i}"].out_channels) for i in range(1, 6))
    assert found["input"] == f"{net.size} x {net.size}"
    assert found["smallest input"] == f"{net.smallest} x {net.smallest}"
    assert found["towers"].startswith(str(net.stages["conv2"].groups))
    norm = net.stages.get("norm1")
    assert (norm is None) == (found["LRN constant k"] == "no LRN")
    if isinstance(norm, LRN):
        assert found["LRN constant k"] == f"{norm.k:g}"
        each = norm.alpha / (norm.n if norm.alpha_is == "mean" else 1)
        assert float(found["LRN factor of a square"]) == pytest.approx(each)
        assert found["LRN maps in reach"].startswith(str(net.stages["conv1"].out_channels // norm.towers))


def test_a_changed_row_of_the_table_changes_the_facts(monkeypatch):
    changed = {"alexnet": replace(VARIANTS["alexnet"], widths=(8, 16, 24, 24, 16), biases=(0,) * 7 + (0.5,))}
    monkeypatch.setattr(compare_module, "VARIANTS", VARIANTS | changed)
    found = facts("alexnet")
    assert found["maps"].value == "8-16-24-24-16"
    assert found["LRN maps in reach"].value == "4 and 8"
    assert found["initial biases"].value == "0; fc8 0.5"
    assert found["parameters"].value != "60,965,224"


def test_an_unknown_name_is_an_error():
    with pytest.raises(InputError, match="nothing is known to compare 'vgg' by; choose among alexnet, "):
        differences("alexnet", "vgg")


def test_the_terminal_shows_both_sides_with_their_sources():
    rows = differences("alexnet", "caffenet")
    console = Console(width=120)
    with console.capture() as capture:
        console.print(differences_table("alexnet", "caffenet", rows))
    text = " ".join(capture.get().split())
    assert "alexnet and caffenet: what differs" in text
    for row in rows:
        assert row["topic"] in text
    assert "paper, section 4.1" in text
    assert "train_val.prototxt" in text
