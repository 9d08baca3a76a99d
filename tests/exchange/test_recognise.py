"""Our own nets laid upon each other, without files: deep ones, and sizes at which windows hang over the edge."""

from types import SimpleNamespace

import pytest
import torch

from alexnet.errors import InputError
from alexnet.exchange import foreign
from alexnet.exchange.layers import Layer, in_order, layers_of
from alexnet.exchange.onnx_nodes import KINDS
from alexnet.exchange.recognise import recognise
from alexnet.models import Classifier, build


def outline(name: str, classes: int, size: int) -> Classifier:
    with torch.device("meta"):
        return build(name, classes, size)


def test_the_deepest_net_is_recognised():
    found = recognise(layers_of(outline("resnet152", 10, 64)), 10, 64, "resnet152")
    assert found.differences == []
    assert len(found.pairs) > 300
    with pytest.raises(InputError, match="this is not resnet101: nearest is resnet101"):
        recognise(layers_of(outline("resnet152", 10, 64)), 10, 64, "resnet101")


def test_a_small_net_that_is_none_of_ours_is_told_so_where_googlenets_pooling_hangs_over_the_edge():
    sides = [layer.side for layer in in_order(layers_of(outline("googlenet", 10, 32))) if layer.name == "pool4"]
    assert sides == [1]
    image = Layer("the input", "input", 3, 32)
    odd = Layer("odd", "conv", 7, 32, [image], shape=(7, 3, 9, 9))
    last = Layer("last", "linear", 10, 1, [odd], shape=(10, 7 * 32 * 32))
    with pytest.raises(InputError, match="none of the nets"):
        recognise(last, 10, 32)


def average_pool(kernel: int, stride: int):
    from onnx import helper

    node = helper.make_node(
        "AveragePool", ["x"], ["y"], kernel_shape=[kernel, kernel], strides=[stride, stride], name="average"
    )
    return KINDS["AveragePool"](node, [Layer("maps", "conv", 4, 7)], {})


def test_a_mean_of_a_part_of_the_map_is_no_mean_of_the_whole():
    assert average_pool(7, 1).kind == "average"
    with pytest.raises(InputError, match="averages 5 x 5 of 7 x 7 pixels to 1 x 1"):
        average_pool(5, 3)


@pytest.mark.parametrize(("published", "size", "side"), [(227, 227, 256), (224, 224, 256), (224, 222, 256)])
def test_patches_of_imagenets_nets_are_cut_from_256(monkeypatch, published, size, side):
    monkeypatch.setitem(foreign.MODELS, "one", SimpleNamespace(size=published))
    assert round(size * foreign._margin(SimpleNamespace(name="one", size=size))) == side
    assert foreign._margin(SimpleNamespace(name="one", size=64)) is None
