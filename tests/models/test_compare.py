"""The comparison: every known difference is there, with a source, and the net's facts are those of the built net."""

import re
from dataclasses import replace
from functools import cache

import pytest
import torch
from rich.console import Console

from alexnet.commands.nets import compare
from alexnet.errors import InputError
from alexnet.evaluation.published import PUBLISHED
from alexnet.models import VARIANTS, build, build_variant, googlenet, lenet, names, nin, resnet, vgg
from alexnet.models import compare as compare_module
from alexnet.models.anatomy import anatomy, anatomy_of_alexnet
from alexnet.models.blocks import Conv
from alexnet.models.classifier import Classifier
from alexnet.models.compare import differences, differences_table, facts
from alexnet.models.lrn import LRN
from alexnet.models.published import NET_SOURCES, TRAINING
from alexnet.models.published_family import NET_SOURCES as SOURCES_OF_FAMILY
from alexnet.models.published_family import START
from alexnet.models.published_training import TRAINING as TRAINING_OF_FAMILY

NAMES = tuple(names())  # before other tests' nets are among them


@pytest.fixture(autouse=True)
def each_net_is_read_once(monkeypatch) -> None:
    monkeypatch.setattr(compare_module, "facts", once)


once = cache(facts)


def outline(build_variant, variant) -> Classifier:
    """A net of shapes alone."""
    with torch.device("meta"):
        return build_variant(variant)


def by_topic(a: str, b: str) -> dict[str, tuple[str, str]]:
    return {row["topic"]: (row["a"], row["b"]) for row in differences(a, b)}


@pytest.mark.parametrize("a", NAMES)
def test_every_fact_has_a_source_and_both_directions_agree(a):
    for b in NAMES:
        rows = differences(a, b)
        assert bool(rows) == (a != b)
        for row in rows:
            assert all(row[key].strip() for key in ("topic", "a", "b", "source_a", "source_b"))
            assert row["a"] != row["b"]
        turned = {row["topic"]: (row["b"], row["a"], row["source_b"], row["source_a"]) for row in differences(b, a)}
        assert turned == {row["topic"]: (row["a"], row["b"], row["source_a"], row["source_b"]) for row in rows}


def test_all_nets_speak_of_the_same_topics_and_alexnets_of_some_more():
    topics = list(once("vgg_a"))
    assert len(topics) > 45
    for name in NAMES:
        own = [topic for topic in once(name) if topic not in topics]
        assert set(once(name)) - set(own) == set(topics)
        assert own == (
            ["zeros at conv1", *(f"after conv{i}" for i in range(1, 6)), "spatial normalisation"]
            if name in VARIANTS
            else []
        )


def test_what_is_said_of_a_net_is_said_of_a_topic_and_of_a_net_that_there_is():
    sources, training = NET_SOURCES | SOURCES_OF_FAMILY, TRAINING | TRAINING_OF_FAMILY
    assert set(sources) == set(training) == set(NAMES)
    assert set(START) == set(NAMES) - set(VARIANTS)
    for name in NAMES:
        assert set(sources[name]) - {""} <= set(once(name))
        assert set(training[name]) == set(TRAINING["alexnet"])


def test_what_only_one_of_two_nets_has_is_a_dash_in_the_other():
    rows = {row["topic"]: row for row in differences("alexnet", "resnet50")}
    assert (rows["zeros at conv1"]["b"], rows["after conv1"]["b"]) == ("–", "–")
    assert [row["topic"] for row in differences("resnet50", "alexnet")] == list(rows)


def test_the_paper_and_the_source_of_2012_differ_where_they_are_known_to():
    assert set(by_topic("alexnet", "alexnet_2012")) == {
        "zeros at conv1", "rounding of pooling", "smallest input", "sees at the end", "after conv1", "after conv2",
        "after conv5", "LRN factor of a square", "spatial normalisation", "initial weights", "rate of the biases",
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


# The rest of the family


def test_the_two_resnets_of_fifty_layers_differ_in_one_stride():
    of_net = {
        topic: both for topic, both in by_topic("resnet50", "resnet50_v1_5").items() if topic not in TRAINING["alexnet"]
    }
    assert of_net == {
        "sees at the end": ("483 px, every 32 px", "427 px, every 32 px"),
        "stride within a block": ("the first 1x1", "the 3x3"),
        "multiply-adds": ("3,857,973,248", "4,089,184,256"),
    }


def test_a_plain_net_differs_from_its_resnet_by_the_shortcuts():
    found = by_topic("resnet34", "plain34")
    assert found["shortcuts"] == ("13 as it is, 3 projected", "none")
    assert set(found) == {
        "blocks", "shortcuts", "batch normalisation", "parameters", "multiply-adds", "published error",
    }  # fmt: skip
    assert by_topic("resnet20_cifar", "resnet18")["shortcuts"] == (
        "7 as it is, 2 with maps of zeros",
        "5 as it is, 3 projected",
    )


def test_lenet_and_alexnet_differ_in_all_that_makes_them():
    found = by_topic("lenet5", "alexnet")
    assert found["activation"] == ("1.7159 tanh(2/3 x)", "ReLU")
    assert found["maps"] == ("6-16-120", "96-256-384-384-256")
    assert found["hidden units"] == ("84", "4096-4096")
    assert found["reads"] == ("one grey map, the mean of RGB", "RGB")
    assert found["pooling"] == ("sum of 2x2 by 2, times and plus what is trained", "max of 3x3 by 2")
    assert found["dropout"][0] == "none"
    assert found["batch"] == ("1 image", "128")
    assert set(by_topic("lenet5", "lenet5_mse")) == {"loss", "published error"}


def test_the_googlenets_differ_where_they_are_known_to():
    assert set(by_topic("googlenet", "googlenet_bn")) & set(once("vgg_a")) - set(TRAINING["alexnet"]) == {
        "LRN constant k", "LRN factor of a square", "LRN window and power", "LRN maps in reach",
        "batch normalisation", "parameters",
    }  # fmt: skip
    found = by_topic("googlenet_bn", "googlenet_torchvision")
    assert found["windows"] == ("7-1-3" + "-5" * 9, "7-1-3" + "-3" * 9)
    assert found["pooling"] == ("max of 3x3 by 2", "max of 3x3 by 2; max of 2x2 by 2")
    said = "behind inception4a, times 0.3, on means of {0}; behind inception4d, times 0.3, on means of {0}"
    assert once("googlenet")["side classifiers"].value == said.format("5 x 5 by 3")
    assert once("googlenet_torchvision")["side classifiers"].value == said.format("uneven areas")


def test_vgg_and_nin_differ_where_they_are_known_to():
    found = by_topic("vgg_d", "nin")
    assert found["windows"] == ("-".join("3" * 13), "11-1-1-5-1-1-3-1-1-3-1")
    assert found["into the last layers"] == ("all 512 maps of 7 x 7", "the mean of each map, 6 x 6")
    assert found["rounding of pooling"] == ("down", "up")
    assert found["rate of the biases"] == ("not said", "twice the weights', always")
    assert by_topic("vgg_a", "vgg_a_lrn").keys() == {
        "LRN constant k", "LRN factor of a square", "LRN window and power", "LRN maps in reach", "published error",
    }  # fmt: skip
    assert once("vgg16") == once("vgg_d")


def test_published_errors_are_those_that_evaluation_knows():
    for row in PUBLISHED:
        error = once(row.model)["published error"]
        if row.where.startswith("torchvision") != error.source.startswith("torchvision"):
            continue  # two figures are known of it: the paper's and torchvision's
        if (row.model, row.views) in (("googlenet", "center"), ("googlenet", "ten")):
            continue  # the paper's best is of 144 views
        said = [float(number) for number in re.findall(r"\d+\.\d+", error.value)]
        for figure in (row.top1, row.top5):
            assert figure is None or any(abs(number - figure) < 0.05 for number in said), row


# What is read off the nets


@pytest.mark.parametrize(
    "name", [*VARIANTS, "lenet5", "nin", "vgg_a_lrn", "googlenet", "googlenet_torchvision", "resnet18"]
)
def test_facts_of_the_net_are_those_of_the_built_net(name):
    found = {topic: fact.value for topic, fact in once(name).items()}
    with torch.device("meta"):
        net = build(name)
    assert found["parameters"] == f"{sum(p.numel() for stage in net.stages.values() for p in stage.parameters()):,}"
    assert found["input"] == f"{net.size} x {net.size}"
    assert found["smallest input"] == f"{net.smallest} x {net.smallest}"
    assert (found["side classifiers"] == "none") == (not net.sides)
    assert found["maps"].count("-") == found["windows"].count("-")
    norms = [norm for norm in net.stages.values() if isinstance(norm, LRN)]
    assert bool(norms) == (found["LRN constant k"] != "no LRN")
    for norm in norms:
        assert found["LRN constant k"] == f"{norm.k:g}"
        each = norm.alpha / (norm.n if norm.alpha_is == "mean" else 1)
        assert float(found["LRN factor of a square"]) == pytest.approx(each)
    if name in VARIANTS:
        assert found["maps"] == "-".join(str(net.stages[f"conv{i}"].out_channels) for i in range(1, 6))
        assert found["towers"].startswith(str(net.stages["conv2"].groups))
        if norms:
            conv1 = net.stages["conv1"]
            assert isinstance(conv1, Conv)
            assert found["LRN maps in reach"].startswith(f"{conv1.out_channels // norms[0].towers} and ")


def test_a_changed_row_of_the_alexnets_changes_the_facts():
    variant = replace(VARIANTS["alexnet"], widths=(8, 16, 24, 24, 16), biases=(0,) * 7 + (0.5,), towers=2)
    found = anatomy(outline(build_variant, variant)) | anatomy_of_alexnet(variant)
    assert found["maps"] == "8-16-24-24-16"
    assert found["LRN maps in reach"] == "4 and 8"
    assert found["initial biases"] == "0; fc8 0.5"
    assert found["parameters"] != "60,965,224"


def test_a_changed_row_of_the_others_changes_the_facts():
    def of_resnet(**fields) -> dict[str, str]:
        return anatomy(outline(resnet.build_variant, replace(resnet.VARIANTS["resnet50"], **fields)))

    assert of_resnet(shortcuts="A")["shortcuts"] == "12 as it is, 4 with maps of zeros"
    assert of_resnet(shortcuts="C")["shortcuts"] == "16 projected"
    assert of_resnet(stem_pool="up")["pooling"] == "max of 3x3 by 2"
    assert of_resnet(stem_pool="up")["rounding of pooling"] == "up"
    assert of_resnet(blocks=(1, 2, 1))["blocks"] == "1-2-1 bottleneck"
    assert of_resnet(blocks=(1, 2, 1))["strides"] == "conv1 2, pool1 2, conv3_x 2, conv4_x 2"
    thin = outline(vgg.build_variant, replace(vgg.VARIANTS["vgg_a"], widths=(2, 4, 6, 8, 10), hidden=12))
    assert anatomy(thin)["maps"] == "2-4-6-6-8-8-10-10"
    assert anatomy(thin)["hidden units"] == "12-12"
    kept = outline(googlenet.build_variant, replace(googlenet.VARIANTS["googlenet_bn"], keep=0.8, norm=0.5))
    assert anatomy(kept)["dropout"] == "times 0 or 1.25; at test nothing"
    assert anatomy(kept)["batch normalisation"].endswith("epsilon 0.5")
    down = outline(nin.build_variant, replace(nin.VARIANTS["nin_cifar"], pool_rounding="down"))
    assert anatomy(down)["rounding of pooling"] == "down"
    assert anatomy(lenet.build_lenet5("lenet5_mse"))["loss"] == "loss (8), the right class's"


# The starts that are told in words


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "stage", "deviation"),
    [
        ("lenet5", "c5", 2.4 / 400 / 3**0.5),
        ("nin_cifar", "conv2", 0.05),
        ("vgg_cifar", "conv3_1", 0.01),
        ("resnet20_cifar", "conv4_x.3.conv2.conv", (2 / 576) ** 0.5),
    ],
)
def test_weights_begin_as_is_said(name, stage, deviation):
    torch.manual_seed(0)
    weight = build(name).get_submodule(stage).weight
    assert isinstance(weight, torch.Tensor)
    assert float(weight.std()) == pytest.approx(deviation, rel=0.03)
    said = once(name)["initial weights"].value
    assert said.startswith(
        {"lenet5": "uniform", "resnet20_cifar": "normal, variance 2"}.get(name, f"N(0, {deviation:g})")
    )


# What the user sees


def test_an_unknown_name_is_an_error():
    with pytest.raises(InputError, match="there is no model 'qqq'; choose one of alexnet, "):
        differences("alexnet", "qqq")
    with pytest.raises(InputError, match=r"there is no model 'resnet5O'; did you mean resnet50\? choose one of "):
        differences("alexnet", "resnet5O")


def test_of_two_names_of_one_net_nothing_differs(capsys):
    assert compare(["vgg16", "vgg_d"]) == 0
    assert capsys.readouterr().out == "vgg16 and vgg_d: nothing differs\n"


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


def test_the_terminal_cuts_nothing_off_in_eighty_columns():
    console = Console(width=80)
    with console.capture() as capture:
        console.print(differences_table("vgg_e", "nin", differences("vgg_e", "nin")))
    assert "…" not in capture.get()
