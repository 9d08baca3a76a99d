"""Ensembles: the same images for all, classes in one order, and what is refused."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet.checkpoint import load_weights, save_weights
from alexnet.data import split
from alexnet.errors import InputError
from alexnet.evaluation.classify import probabilities
from alexnet.evaluation.ensemble import as_text, ensemble, opened, rows_with, write_table
from alexnet.evaluation.evaluate import evaluate, images_of
from alexnet.evaluation.metrics import log_loss
from alexnet.models import build

ORDER = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
FIGURES = ("top1_error", "top5_error", "interval", "log_loss")


@pytest.fixture(scope="module")
def permuted(tiny_run, tmp_path_factory):
    """The tiny run with its classes in another order."""
    folder = tmp_path_factory.mktemp("permuted")
    net, card = load_weights(tiny_run / "best.safetensors")
    state = net.state_dict()
    for key in ("fc8.weight", "fc8.bias"):
        state[key] = state[key][ORDER]
    save_weights(folder / "best.safetensors", state, replace(card, classes=[card.classes[i] for i in ORDER]))
    shutil.copy(tiny_run / "trained_on.npy", folder)
    return folder


@pytest.fixture(scope="module")
def other(tiny_run, tmp_path_factory):
    """A net of the same kind with weights of chance and another size of input, as if trained on the same."""
    folder = tmp_path_factory.mktemp("other")
    _, card = load_weights(tiny_run / "best.safetensors")
    torch.manual_seed(4)
    net = build("tiny", 10, 75, "he")
    net.set_preprocessing([20.0, 20.0, 20.0], 60.0)
    with torch.no_grad():
        net.get_submodule("fc8").get_parameter("weight").normal_(0, 1)
    recipe = card.recipe | {"size": 75, "evaluation": {"views": "ten", "averaged": "scores"}}
    save_weights(folder / "best.safetensors", net.state_dict(), replace(card, size=75, side=86, recipe=recipe))
    shutil.copy(tiny_run / "trained_on.npy", folder)
    return folder


def test_classes_in_another_order_are_brought_into_the_first_ones(tiny_run, permuted, cache):
    alone = evaluate(tiny_run)
    result = ensemble([tiny_run, permuted])
    for row in (result, *result["members"]):
        assert row["top1_error"] == alone["top1_error"]
        assert np.isclose(row["log_loss"], alone["log_loss"], rtol=1e-6)
    back = ensemble([permuted, tiny_run])
    assert back["classes"] == [str(i) for i in ORDER]
    assert np.isclose(back["log_loss"], alone["log_loss"], rtol=1e-6)


def test_the_average_is_the_mean_of_the_softmax_outputs_each_by_its_own_recipe(tiny_run, other, cache):
    result = ensemble([tiny_run, other])
    outputs = []
    for folder, views, averaged in ((tiny_run, "center", "softmax"), (other, "ten", "scores")):
        net, card = load_weights(folder / "best.safetensors")
        packed = images_of(card, tiny_run, None, None)
        rows = split(packed, 0.2, 0.1).test
        outputs.append(probabilities(net, packed, rows, card.side, card.size, views, averaged))
    labels = packed.labels[rows]
    assert np.abs(outputs[0] - outputs[1]).max() > 0.1
    mean = (outputs[0] + outputs[1]) / 2
    assert result["top1_error"] == (mean.argmax(1) != labels).mean()
    assert np.isclose(result["log_loss"], log_loss(mean, labels), rtol=1e-9)
    for row, p in zip(result["members"], outputs):
        assert row["top1_error"] == (p.argmax(1) != labels).mean()
    assert [(m["views"], m["averaged"], m["size"]) for m in result["members"]] == [
        ("center", "softmax", 67),
        ("ten", "scores", 75),
    ]
    assert (result["images"], result["split"], result["source"]) == (359, "test", "digits")
    text = as_text(result)
    assert "the average" in text
    assert str(other) in text


def test_views_source_and_split_hold_for_all_members(tiny_run, permuted, cache):
    result = ensemble([tiny_run, permuted], views="dense", split_name="val")
    assert {m["views"] for m in result["members"]} == {"dense"}
    assert (result["images"], result["split"]) == (179, "val")
    again = ensemble([tiny_run, permuted], source="digits", views="dense", split_name="val")
    assert {name: again[name] for name in FIGURES} == {name: result[name] for name in FIGURES}
    trained = ensemble([tiny_run, permuted], split_name="train")  # asked for by name: counted, not refused
    assert [m["trained_on"] for m in trained["members"]] == [1259, 1259]


def test_images_that_one_of_the_nets_was_trained_on_are_refused_unless_said(tiny_run, permuted, tmp_path, cache):
    _, card = load_weights(tiny_run / "best.safetensors")
    packed = images_of(card, tiny_run, None, None)
    shutil.copytree(permuted, tmp_path / "greedy")
    np.save(tmp_path / "greedy" / "trained_on.npy", packed.digests[split(packed, 0.2, 0.1).test[:7]])
    with pytest.raises(InputError, match="greedy was trained on 7 of these 359 images"):
        ensemble([tiny_run, tmp_path / "greedy"])
    result = ensemble([tiny_run, tmp_path / "greedy"], allow_seen=True)
    assert [m["trained_on"] for m in result["members"]] == [0, 7]
    assert "careful" in as_text(result)
    (tmp_path / "greedy" / "trained_on.npy").unlink()
    assert "is not known" in as_text(ensemble([tiny_run, tmp_path / "greedy"]))


def test_what_cannot_be_averaged_is_said_in_one_line(tiny_run, tmp_path, cache):
    with pytest.raises(InputError, match="1 run came"):
        ensemble([tiny_run])
    net, card = load_weights(tiny_run / "best.safetensors")
    classes = ["zero", *card.classes[1:]]
    save_weights(tmp_path / "zero.safetensors", net.state_dict(), replace(card, classes=classes))
    with pytest.raises(InputError, match=r"zero\.safetensors and .* do not have the same classes \(0, zero in one"):
        opened([tiny_run, tmp_path / "zero.safetensors"])
    elsewhere = replace(card, fingerprint="another", spec="")
    save_weights(tmp_path / "elsewhere.safetensors", net.state_dict(), elsewhere)
    with pytest.raises(InputError, match="the pack of the Dataset that this was trained on is gone"):
        ensemble([tmp_path / "elsewhere.safetensors", tiny_run])


def test_weights_that_were_brought_in_are_averaged_on_images_that_are_named(brought, tiny_run, cache):
    with pytest.raises(InputError, match=r"were brought in, .*--source of ensemble"):
        ensemble([brought, tiny_run])
    result = ensemble([brought, tiny_run], source="digits", split_name="test")
    assert [row["trained_on"] for row in result["members"]] == [None, 0]
    assert result["images"] == 359


def test_imagenets_thousand_classes_are_the_same_by_their_order_whatever_they_are_called(tiny_run, tmp_path):
    _, card = load_weights(tiny_run / "best.safetensors")
    net = build("tiny", 1000, 67)
    for name, source in (("words", "imagenet"), ("ids", "imagenet"), ("other", "photos")):
        named = replace(card, classes=[f"{name} {999 - i}" for i in range(1000)], source=source)
        save_weights(tmp_path / f"{name}.safetensors", net.state_dict(), named)
    files = {name: tmp_path / f"{name}.safetensors" for name in ("words", "ids", "other")}
    assert opened([files["words"], files["ids"]])[1].columns.tolist() == list(range(1000))
    with pytest.raises(InputError, match="do not have the same classes"):
        opened([files["words"], files["other"]])


def test_images_are_found_again_by_their_bytes_whatever_their_order(tiny_run, cache):
    _, card = load_weights(tiny_run / "best.safetensors")
    packed = images_of(card, tiny_run, None, None)
    rows = np.array([900, 3, 77, 1500])
    member = opened([tiny_run])[0]
    assert rows_with(packed, packed.digests[rows], member).tolist() == rows.tolist()
    strange = packed.digests[rows].copy()
    strange[1] += 1
    with pytest.raises(InputError, match="1 of the 4 images are not among"):
        rows_with(packed, strange, member)


def test_the_table_has_a_line_for_each_net_and_one_for_the_average(tiny_run, permuted, tmp_path, cache):
    result = ensemble([tiny_run, permuted])
    write_table(tmp_path / "nets.csv", result)
    rows = list(csv.DictReader((tmp_path / "nets.csv").read_text().splitlines()))
    assert [row["run"] for row in rows] == [str(tiny_run), str(permuted), "the average"]
    assert float(rows[2]["top1_error"]) == result["top1_error"]
    assert {row["images"] for row in rows} == {"359"}
