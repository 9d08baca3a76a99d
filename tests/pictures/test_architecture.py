"""The drawing of a net: what stands in it, and that it can be read."""

from itertools import combinations

import pytest
import torch

from alexnet.errors import InputError
from alexnet.models import MODELS, build
from alexnet.models.summary import layer_table
from alexnet.pictures.architecture import architecture_figure, boxes_of
from alexnet.pictures.maps import towers_of

NAMES = ["alexnet", "alexnet_2014", "lenet5", "nin", "vgg_e", "googlenet", "resnet20_cifar"]


def drawn(name, size=None):
    with torch.device("meta"):
        net = build(name, size=size)
    return net, architecture_figure(net)


def words(drawing):
    return [text.get_text() for text in drawing.axes[0].texts]


def test_alexnet_has_the_numbers_of_the_papers_figure():
    _, drawing = drawn("alexnet")
    said = words(drawing)
    counts = {word: said.count(word) for word in ("224", "55", "27", "13", "48", "128", "192", "2,048", "1,000", "3")}
    # Two towers: each number of a side stands on two edges of each box; 128 maps in conv2 and conv5.
    assert counts == {
        "224": 2, "55": 4, "27": 4, "13": 12, "48": 2, "128": 4, "192": 4, "2,048": 4, "1,000": 1, "3": 1,
    }  # fmt: skip
    assert {"11 × 11, stride 4", "5 × 5", "3 × 3", "max pool 3 by 2", "response norm"} <= set(said)


def test_towers_see_each_other_at_conv3_and_behind_conv5_only():
    net, _ = drawn("alexnet")
    crosses = {box.names[0]: box.crosses for box in boxes_of(net)}
    assert [name for name, does in crosses.items() if does] == ["image", "conv1", "conv3", "fc6", "fc7", "fc8"]
    dashed = [text for text in architecture_figure(net).axes[0].texts if getattr(text, "arrow_patch", None) is not None]
    lines = [text.arrow_patch.get_linestyle() != "-" for text in dashed]
    assert (len(lines), sum(lines)) == (2 + 2 + 4 + 2 + 2 + 4 + 4 + 2, 2 + 2 + 2)


@pytest.mark.parametrize(
    "name", [*NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in MODELS if name not in NAMES)]
)
def test_every_stage_with_weights_is_named_and_sized_and_no_word_is_cut_or_covered(name, nothing_cut):
    net, drawing = drawn(name)
    rows = [row for row in layer_table(net) if row["parameters"] or row["name"] == net.classifier_stage]
    named = [stage for box in boxes_of(net)[1:] for stage in box.names]
    assert named == [row["name"] for row in rows]
    said = " ".join(words(drawing))
    for row in rows:
        parts = 2 if towers_of(net) == 2 and row["name"] != "fc8" else 1
        assert f"{row['output'][0] // parts:,}" in said, row["name"]
    boxes = nothing_cut(drawing)
    for (one, a), (other, b) in combinations(boxes, 2):
        overlap = min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2
        assert not overlap, (one, other)


def test_equal_neighbours_of_a_deep_net_stand_together_and_side_classifiers_above():
    net, drawing = drawn("vgg_e")
    assert [len(box.names) for box in boxes_of(net)] == [1, 2, 2, 4, 4, 4, 1, 1, 1]
    assert "4 × 512" in words(drawing)
    assert {"side4a", "side4d"} <= set(words(drawn("googlenet")[1]))
    blocks = {box.names[0]: box.slices for box in boxes_of(drawn("resnet50")[0])}
    assert [blocks[f"conv{i}_x"] for i in (2, 3, 4, 5)] == [3, 4, 6, 3]


def test_another_size_changes_the_numbers_and_a_wrong_one_is_refused():
    assert "15" in words(drawn("alexnet", 67)[1])
    with torch.device("meta"):
        net = build("alexnet")
    assert boxes_of(net, 288)[0].side == 288
    with pytest.raises(InputError, match="takes 224 x 224 or larger"):
        architecture_figure(net, 100)
