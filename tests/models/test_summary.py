"""The table of stages, at sizes worked out by hand; the published figures are among the claims."""

import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from alexnet.errors import InputError
from alexnet.models import VARIANTS, build, build_variant
from alexnet.models.blocks import Conv, FullyConnected, MaxPool
from alexnet.models.classifier import Classifier
from alexnet.models.dropout import begin_step
from alexnet.models.summary import layer_table, summary, summary_for_terminal


def tiny() -> Classifier:
    """3 x 10 x 10 -> conv 4 x 4 x 4 -> pool 4 x 2 x 2 -> 5."""
    stages = {"conv1": Conv(3, 4, 3, 2, (0, 0)), "pool1": MaxPool(2, 2), "fc2": FullyConnected((4, 2, 2), 5)}
    return Classifier("tiny", stages, size=10, smallest=5, classes=5, classifier_stage="fc2")


def test_a_net_counted_by_hand():
    document = summary(tiny())
    assert document["layers"] == [
        {
            "name": "conv1", "kind": "conv", "output": [4, 4, 4], "parameters": 4 * 27 + 4,
            "multiply_adds": 4 * 4 * 4 * 27, "receptive_field": 3, "step": 2,
        },
        {
            "name": "pool1", "kind": "max pool", "output": [4, 2, 2], "parameters": 0,
            "multiply_adds": 0, "receptive_field": 5, "step": 4,
        },
        {
            "name": "fc2", "kind": "linear", "output": [5], "parameters": 85,
            "multiply_adds": 80, "receptive_field": 9, "step": 4,
        },
    ]  # fmt: skip
    assert document["parameters"] == 112 + 85
    assert document["multiply_adds"] == 1728 + 80
    assert document["activations"] == 64 + 5
    assert (document["model"], document["size"], document["classes"]) == ("tiny", 10, 5)


def test_on_a_larger_image_the_last_stages_are_maps():
    rows = {row["name"]: row for row in layer_table(tiny(), 18)}
    assert rows["fc2"]["output"] == [5, 3, 3]
    assert rows["fc2"]["multiply_adds"] == 80 * 9
    with pytest.raises(InputError, match="images of 9 x 9 pixels"):
        layer_table(tiny(), 9)


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "caffenet", "alexnet_2014"])
def test_a_unit_depends_on_its_receptive_field_and_on_nothing_else(name):
    torch.manual_seed(0)
    net = build_variant(replace(VARIANTS[name], hidden=(8, 8)), 3, 227, start="he").double()
    rows = {row["name"]: row for row in layer_table(net)}
    image = (torch.rand(1, 3, 227, 227, dtype=torch.float64) * 255).requires_grad_()
    for stage in ("conv1", "pool1", "conv2", "pool2"):
        maps = net.features(image, stage)
        middle = maps.shape[2] // 2
        (gradient,) = torch.autograd.grad(maps[:, :, middle : middle + 2, middle].abs().sum(), image)
        columns = gradient.abs().sum((0, 1, 2)).nonzero()
        lines = gradient.abs().sum((0, 1, 3)).nonzero()
        sees, step = rows[stage]["receptive_field"], rows[stage]["step"]
        # A maximum may leave out a few of the pixels that it looked at, at either end.
        assert sees - 8 <= int(columns.max() - columns.min()) + 1 <= sees
        assert sees + step - 8 <= int(lines.max() - lines.min()) + 1 <= sees + step


def test_average_pooling_to_a_fixed_size_has_a_field_only_where_its_windows_are_even():
    with torch.device("meta"):
        net = build("alexnet_2014")
    assert layer_table(net, 224)[-1]["receptive_field"] == 355
    even = {row["name"]: row for row in layer_table(net, 224 + 6 * 32)}
    assert even["average5"]["receptive_field"] == 195 + 32
    assert even["average5"]["step"] == 64
    uneven = {row["name"]: row for row in layer_table(net, 300)}
    assert uneven["pool5"]["step"] == 32
    assert uneven["average5"]["receptive_field"] is None
    assert uneven["fc8"]["step"] is None


def test_a_net_in_the_middle_of_training_can_be_tabled():
    net = build_variant(replace(VARIANTS["alexnet"], hidden=(8, 8)), 3, 67)
    begin_step(net, 0, 0, slice(0, 4), 4)
    assert layer_table(net.train())[-1]["output"] == [3]


@pytest.mark.parametrize("name", list(VARIANTS))
def test_the_terminal_shows_every_number_whole_in_eighty_columns(name):
    with torch.device("meta"):
        document = summary(build(name))
    console = Console(width=80)
    with console.capture() as capture:
        console.print(summary_for_terminal(document))
    text = capture.get()
    assert "…" not in text
    for row in document["layers"]:
        assert row["name"] in text
        assert not row["multiply_adds"] or f"{row['multiply_adds']:,}" in text
    for total in ("parameters", "multiply_adds", "activations"):
        assert f"{document[total]:,}" in text
    json.dumps(document)


def test_a_dropout_is_called_one_whatever_its_kind():
    for name in ("alexnet", "caffe_alexnet"):
        with torch.device("meta"):
            kinds = {row["name"]: row["kind"] for row in layer_table(build(name))}
        assert kinds["drop6"] == "dropout"
