"""A trained net as an ONNX file: pixels in, scores and calibrated probabilities out, all that it must know inside."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from alexnet.checkpoint import Card
from alexnet.errors import InputError
from alexnet.exchange.onnx_graph import Graph, Maps
from alexnet.exchange.onnx_stages import averaged, write_stage
from alexnet.models import Classifier
from alexnet.models.grey import GreyClassifier
from alexnet.version import __version__

OPSET = 18
IR_VERSION = 8  # of the file format, as old as the operators: a newer one would shut older runtimes out
LARGEST = 2**31 - 1  # bytes of a protobuf message


def write_onnx(net: Classifier, card: Card, path: Path, described: dict[str, str]) -> None:
    """Write the net.

    The graph has one input, `images`: float32 RGB [n 3 size size] in 0..255, any n. Its outputs are `scores`
    [n classes] and `probabilities` [n classes], the softmax of the scores divided by the card's temperature. Mean,
    scale and the mean of the channels in nets that read grey are part of it.

    Args:
        net: in evaluation mode, on the CPU.
        card: of its weights; kept in the file's metadata under "alexnet", as JSON.
        path: of the file.
        described: more metadata.

    Raises:
        InputError: a layer without an ONNX form; a net of more than 2 GB.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    graph = Graph()
    scores = write_net(graph, net)
    divided = graph.node("Div", [scores, graph.constant("temperature", float(card.temperature))], "calibrated")
    graph.node("Softmax", [divided], "probabilities", axis=1)
    weights = [numpy_helper.from_array(values, name) for name, values in graph.constants.items()]
    if sum(values.nbytes for values in graph.constants.values()) > LARGEST - 2**20:
        raise InputError(f"{net.name} at {net.size} pixels has over 2 GB of weights, too much for ONNX: --format torch")
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, net.size, net.size])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", net.classes])
        for name in ("scores", "probabilities")
    ]
    whole = helper.make_graph(graph.nodes, net.name, [images], outputs, weights)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name, model.producer_version = "alexnet", __version__
    helper.set_model_props(model, described | {"alexnet": json.dumps(asdict(card), ensure_ascii=False)})
    save(model, path)


def write_net(graph: Graph, net: Classifier) -> str:
    """Add preprocessing and stages; give the name of the scores."""
    centred = graph.node("Sub", ["images", graph.constant("mean", net.mean)], "images.centred")
    x = Maps(graph.node("Div", [centred, graph.constant("scale", net.scale)], "images.scaled"), 3, net.size)
    if isinstance(net, GreyClassifier):
        channels = graph.constant("images.channels", np.array([1]))
        x = Maps(graph.node("ReduceMean", [x.name, channels], "images.grey", keepdims=1), 1, net.size)
    for name, stage in net.stages.items():
        x = write_stage(graph, stage, x, name)
    if x.side:  # a map of scores: larger images than the net was published for
        x = averaged(graph, x, "scores.over_positions")
    return graph.node("Identity", [x.name], "scores")


class OnnxProgram:
    """An exported ONNX file, run by onnxruntime.

    Attributes:
        name: of the program, with its version.
    """

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self.session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and probabilities, [n classes] each, of float32 RGB [n 3 size size] in 0..255."""
        scores, p = self.session.run(["scores", "probabilities"], {"images": images.numpy()})
        return torch.from_numpy(scores), torch.from_numpy(p)
