"""Third-party ONNX graphs are read, recognised and converted, and what is not equal is refused."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.checkpoint import load_weights
from alexnet.errors import InputError
from alexnet.exchange import foreign
from alexnet.exchange.agreement import agreement, images_to_compare
from alexnet.exchange.bring import bring, with_weights
from alexnet.exchange.layers import in_order
from alexnet.exchange.onnx_file import OnnxFile
from alexnet.exchange.preprocessing import PREPROCESSING
from alexnet.models import MODELS, build, resnet

CAFFE = PREPROCESSING["caffe"]


@pytest.fixture
def classes(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(f"class {i}" for i in range(10)))
    return path


@pytest.fixture
def bring_thin(graph, thin_nets, classes, tmp_path):
    """Bring in a thin graph as the net of that name; give what `bring` says."""

    def make(name, ours, change=None, **options):
        return bring(str(graph(name, True, change)), tmp_path / "run", ours, classes, "caffe", **options)

    return make


@pytest.mark.parametrize(
    ("name", "ours", "size"),
    [
        ("bvlc_alexnet", "thin_caffe_alexnet", 227),
        ("vgg19", "thin_vgg_e", 224),
        ("resnet50", "thin_resnet50_v1_5", 224),
    ],
)
def test_a_thin_graph_becomes_the_net_that_it_is_with_equal_outputs(bring_thin, name, ours, size):
    said = bring_thin(name, ours)
    assert (said["model"], said["size"], said["classes"]) == (ours, size, 10)
    assert said["agreement"]["scores"] < 1e-5
    assert said["agreement"]["softmax"] < 1e-5
    assert said["agreement"]["variation"] > 0.01


def test_googlenet_is_recognised_among_all_nets_and_runs_where_its_rounding_does_not_matter(graph, tmp_path):
    """As shipped the maps are 55, 27, 13 and 6 pixels wide, since its poolings round down; Caffe's round up."""
    path = graph("inception_v1")
    sides = [layer.side for layer in in_order(OnnxFile(path).layers(224)) if layer.facts.get("stride") == 2]
    assert sides == [112, 55, 27, 13, 6]
    said = bring(str(path), tmp_path / "run", preprocessing="caffe_googlenet")
    assert (said["model"], said["size"]) == ("googlenet", 222)
    assert said["agreement"]["scores"] < 1e-5
    assert "pool1, whose side of the maps is 55 where that of googlenet is 56" in said["notes"][0]
    net, card = load_weights(tmp_path / "run" / "best.safetensors")
    image = images_to_compare(222, 2, seed=5)
    file = OnnxFile(path)
    with torch.inference_mode():
        ours, theirs = net(image), file.run(PREPROCESSING["caffe_googlenet"](image))
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-5
    assert card.classes[0] == "tench"
    assert card.source == "imagenet"


def test_a_graph_at_a_size_where_it_is_another_net_is_refused_with_layer_and_both_values(bring_thin, tmp_path):
    with pytest.raises(InputError, match=r"at 224 pixels .* pool1, whose side of the maps is 26 where .* is 27"):
        bring_thin("bvlc_alexnet", "thin_caffe_alexnet", size=224)
    assert not (tmp_path / "run").exists()


def test_v1_and_v1_5_are_told_apart_by_where_the_strides_lie(bring_thin):
    with pytest.raises(
        InputError, match=r"thin_resnet50 but for conv3_x\.1\.conv1\.conv, whose stride is 1 where .* is 2"
    ):
        bring_thin("resnet50", "thin_resnet50", size=224)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zfnet512", r"\(conv 96 x 3 x 7 x 7\)"),
        ("squeezenet", "none of the nets that"),
        ("shufflenet", "none of our nets|averages"),
        ("densenet121", "none of our nets"),
        ("inception_v2", "none of our nets|none of the nets|averages"),
    ],
)
def test_a_net_that_is_none_of_ours_is_refused_in_one_line(shipped, tmp_path, name, words):
    with pytest.raises(InputError, match=words) as refused:
        bring(str(shipped / f"light_{name}.onnx"), tmp_path / "run", preprocessing="caffe")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_graph_whose_scores_hardly_depend_on_the_image_proves_nothing(shipped, tmp_path):
    with pytest.raises(InputError, match="nearly the same answer"):
        bring(str(shipped / "light_inception_v1.onnx"), tmp_path / "run", "googlenet", preprocessing="caffe", size=222)


def another_pad(graph):
    node = next(node for node in graph.node if node.op_type == "Conv" and node.input[1].startswith("conv3"))
    attribute = next(entry for entry in node.attribute if entry.name == "pads")
    attribute.ints[:] = [2, 2, 0, 0]


def another_constant(graph):
    node = next(node for node in graph.node if node.op_type == "LRN")
    next(entry for entry in node.attribute if entry.name == "bias").f = 2.0


def pool_first(graph, norms):
    """Put the pooling behind a response normalisation before it."""
    nodes = list(graph.node)
    for norm in [node for node in nodes if node.op_type == "LRN"][:norms]:
        pool = next(node for node in nodes if node.op_type == "MaxPool" and node.input[0] == norm.output[0])
        last = pool.output[0]
        pool.input[0], pool.output[0] = norm.input[0], f"{last}_before"
        norm.input[0], norm.output[0] = pool.output[0], last
        nodes.remove(norm)
        nodes.insert(nodes.index(pool) + 1, norm)
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def one_pool_first(graph):
    pool_first(graph, norms=1)


def as_caffenet(graph):
    pool_first(graph, norms=2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (another_pad, "conv3, whose padding before is 2 where .* is 1"),
        (another_constant, "norm1, whose k is 2.0 where .* is 1.0"),
        (one_pool_first, r"has norm1 \(lrn\) where this has n3 \(pool\)"),
    ],
)
def test_another_geometry_in_the_file_is_named(bring_thin, change, words):
    with pytest.raises(InputError, match=words):
        bring_thin("bvlc_alexnet", "thin_caffe_alexnet", change)


def swapped(state, first, second):
    return state | {first: state[second], second: state[first]}


def test_caffenet_is_told_from_caffes_alexnet_by_its_order(bring_thin):
    said = bring_thin("bvlc_alexnet", None, as_caffenet)
    assert (said["model"], said["size"]) == ("thin_caffenet", 227)
    assert said["agreement"]["scores"] < 1e-5


def as_released(graph):
    """Strides and first pooling as in the ResNet authors' release, converted from Caffe."""
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    for three in convolutions:
        name = three.input[1].split("/")[-1]
        if name in ("res3_0_branch2b_w_0", "res4_0_branch2b_w_0", "res5_0_branch2b_w_0"):
            one = next(node for node in convolutions if node.input[1].endswith(name.replace("2b", "2a")))
            strides = [next(entry for entry in node.attribute if entry.name == "strides") for node in (one, three)]
            strides[0].ints[:], strides[1].ints[:] = [2, 2], [1, 1]
    pool = next(node for node in graph.node if node.op_type == "MaxPool")
    next(entry for entry in pool.attribute if entry.name == "pads").ints[:] = [0, 0, 1, 1]


def test_the_resnet_authors_release_needs_a_net_of_that_name(bring_thin, monkeypatch):
    """Its first pooling has no zeros and rounds up; with such a net it comes in."""
    with pytest.raises(InputError, match=r"thin_resnet50 but for pool1, whose padding before is 0 where .* is 1"):
        bring_thin("resnet50", None, as_released)
    variant = replace(resnet.VARIANTS["resnet50"], name="thin_release", width=8, stem_pool="up")
    model = replace(MODELS["resnet50"], name="thin_release", builder=partial(resnet.build_variant, variant))
    monkeypatch.setitem(MODELS, "thin_release", model)
    said = bring_thin("resnet50", None, as_released)
    assert said["model"] == "thin_release"
    assert said["agreement"]["scores"] < 1e-5


BREAKS = {
    "a branch of zeros": lambda state: state | {"inception4b.five.weight": state["inception4b.five.weight"] * 0},
    "two layers swapped": lambda state: swapped(state, "inception4b.projection.bias", "inception4c.projection.bias"),
    "two kernels swapped": lambda state: swapped(state, "inception4c.one.weight", "inception4c.three_reduce.weight"),
    "a kernel turned": lambda state: state | {"inception3a.three.weight": state["inception3a.three.weight"].flip(2, 3)},
}


@pytest.mark.parametrize("what", BREAKS)
def test_weights_that_went_astray_are_refused_by_the_comparison(graph, tmp_path, monkeypatch, what):
    sound = foreign.state_of
    monkeypatch.setattr(foreign, "state_of", lambda pairing: BREAKS[what](sound(pairing)))
    with pytest.raises(InputError, match="does not do what the original does"):
        bring(str(graph("inception_v1")), tmp_path / "run", "googlenet", preprocessing="caffe", size=222)
    assert not (tmp_path / "run").exists()


def test_channels_in_the_wrong_order_a_wrong_mean_and_a_wrong_pad_are_refused_by_the_comparison(
    graph, thin_nets, monkeypatch
):
    found = foreign.from_onnx(graph("bvlc_alexnet", True), CAFFE, "thin_caffe_alexnet")
    assert agreement(with_weights(found), found.original, 227).scores < 1e-5
    for wrong in (
        replace(CAFFE, channels="rgb"),
        replace(CAFFE, mean=CAFFE.mean[::-1]),
        replace(CAFFE, scale=(1, 1, 1.1)),
    ):
        net = with_weights(replace(found, preprocessing=wrong))
        with pytest.raises(InputError, match="does not do what the original does"):
            agreement(net, found.original, 227)
    net = with_weights(found)
    net.get_submodule("conv2").padding = (1, 1)
    net.get_submodule("pool2").padding = 1  # so that the sizes fit again
    with pytest.raises(InputError, match="does not do what the original does"):
        agreement(net, found.original, 227)


def folded(graph):
    """Fold every batch normalisation into the convolution before it, as exporters do."""
    from onnx import numpy_helper

    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made_by = {node.output[0]: node for node in graph.node}
    kept = []
    for node in graph.node:
        if node.op_type != "BatchNormalization":
            kept.append(node)
            continue
        conv = made_by[node.input[0]]
        weight, bias, mean, variance = (values[name] for name in node.input[1:])
        factor = weight / np.sqrt(variance + 1e-5)
        values[conv.input[1]] = values[conv.input[1]] * factor[:, None, None, None]
        values[f"{conv.input[1]}_bias"] = bias - mean * factor
        conv.input.append(f"{conv.input[1]}_bias")
        conv.output[0] = node.output[0]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items())


def biased(graph):
    """Give the first convolution a bias and its batch normalisation another epsilon, as Caffe's release has."""
    from onnx import numpy_helper

    conv, norm = (next(node for node in graph.node if node.op_type == kind) for kind in ("Conv", "BatchNormalization"))
    graph.initializer.append(numpy_helper.from_array(np.linspace(-1, 1, 8, dtype=np.float32), "bias"))
    conv.input.append("bias")
    next(entry for entry in norm.attribute if entry.name == "epsilon").f = 1e-2


def test_batch_normalisation_that_the_file_has_folded_is_undone(bring_thin):
    said = bring_thin("resnet50", "thin_resnet50_v1_5", folded)
    assert said["agreement"]["scores"] < 1e-5
    assert said["notes"] == ["53 batch normalisations are folded into the file's convolutions: ours then only add"]


def test_a_bias_before_a_batch_normalisation_and_another_epsilon_are_taken_in(bring_thin):
    assert bring_thin("resnet50", "thin_resnet50_v1_5", biased)["agreement"]["scores"] < 1e-5


def matrices(graph):
    """Write fully-connected layers as products and sums, the last pooling as a mean, a bias apart."""
    from onnx import helper, numpy_helper

    values = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "Gemm":
            data, weight, bias = node.input
            turned = np.ascontiguousarray(numpy_helper.to_array(values[weight]).T)
            values[weight].CopyFrom(numpy_helper.from_array(turned, weight))
            nodes.append(helper.make_node("MatMul", [data, weight], [f"{weight}_product"]))
            nodes.append(helper.make_node("Add", [bias, f"{weight}_product"], list(node.output)))
        elif node.op_type == "AveragePool":
            nodes.append(helper.make_node("ReduceMean", list(node.input), list(node.output), axes=[2, 3], keepdims=1))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def test_products_sums_and_means_are_read_as_the_layers_that_they_are(bring_thin):
    assert bring_thin("resnet50", "thin_resnet50_v1_5", matrices)["agreement"]["scores"] < 1e-5


def test_a_file_that_is_no_onnx_file_is_refused(tmp_path):
    path = tmp_path / "words.onnx"
    path.write_text("These are words.")
    with pytest.raises(InputError, match="is not a whole ONNX file"):
        bring(str(path), tmp_path / "run", preprocessing="caffe")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "ours", "size"),
    [("bvlc_alexnet", "caffe_alexnet", 227), ("vgg19", "vgg_e", 224), ("resnet50", "resnet50_v1_5", 224)],
)
def test_the_whole_graphs_are_recognised_among_all_nets_with_equal_outputs(graph, tmp_path, name, ours, size):
    path: Path = graph(name)
    said = bring(str(path), tmp_path / "run", preprocessing="caffe")
    assert (said["model"], said["size"]) == (ours, size)
    assert said["agreement"]["scores"] < 1e-5
    assert said["parameters"] == sum(p.numel() for p in build(ours).parameters())
