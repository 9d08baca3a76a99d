"""An ONNX file read layer by layer, and run.

Read are strides, zeros, rounding, groups and the constants of response normalisation, as the file has them. Run
by onnxruntime, whose numbers are the ones to agree with.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.errors import InputError
from alexnet.exchange.layers import Layer
from alexnet.exchange.onnx_nodes import KINDS, named

PASSED_OVER = {"Dropout", "Identity", "Flatten", "Reshape", "Squeeze", "Softmax", "LogSoftmax", "Cast"}
SOFTMAX = {"Softmax", "LogSoftmax"}


def onnx() -> Any:
    """The onnx package.

    Raises:
        InputError: it is not installed.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401 (both are needed, so both are asked for first)
    except ImportError as error:
        raise InputError(
            f"ONNX files need {error.name}, which is not installed: pip install 'alexnet[export]'"
        ) from None
    return onnx


class OnnxFile:
    """A classifier in an ONNX file.

    Attributes:
        path: of the file.
        declared: side in pixels of the input that the file says, or None where it leaves it open.
        scores: name of the tensor that holds the scores, before a softmax.
    """

    def __init__(self, path: Path):
        self.path, self.declared = path, None
        package = onnx()
        try:
            self.model = package.load(path)
            package.checker.check_model(self.model)
        except Exception as error:  # protobuf's and onnx's have no base of their own
            raise InputError(f"{path} is not a whole ONNX file ({' '.join(str(error).split())[:200]})") from None
        graph = self.model.graph
        self.constants = {tensor.name: package.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.nodes = self._folded()
        self.input = self._only_input()
        dimensions = [dim.dim_value for dim in self.input.type.tensor_type.shape.dim]
        if dimensions[2] != dimensions[3]:
            raise InputError(f"{path} takes images of {dimensions[2]} x {dimensions[3]}: only square ones are known")
        self.declared = dimensions[2] or None
        self.scores = self._scores()

    def _folded(self) -> list[Any]:
        """The nodes that read the image; what follows from constants alone is worked out."""
        from onnx.reference import ReferenceEvaluator

        opset = {entry.domain: entry.version for entry in self.model.opset_import}
        rest = []
        for node in self.model.graph.node:
            if not all(name in self.constants for name in node.input if name):
                rest.append(node)
                continue
            given = {name: self.constants[name] for name in node.input if name}
            try:
                values = ReferenceEvaluator(node, opsets=opset).run(None, given)
            except Exception:  # an old form of a node that is no longer worked out: an error where its result is read
                rest.append(node)
                continue
            self.constants |= dict(zip(node.output, values))
        return rest

    def _only_input(self) -> Any:
        there = [entry for entry in self.model.graph.input if entry.name not in self.constants]
        images = [entry for entry in there if len(entry.type.tensor_type.shape.dim) == 4]
        if len(there) != 1 or len(images) != 1 or images[0].type.tensor_type.shape.dim[1].dim_value != 3:
            names = ", ".join(entry.name for entry in there) or "none"
            raise InputError(f"{self.path} has the inputs {names}: wanted one, images of [n, 3, h, w]")
        return images[0]

    def _scores(self) -> str:
        """The output, or what a softmax at the end reads."""
        made_by = {name: node for node in self.nodes for name in node.output}
        name = self.model.graph.output[0].name
        while name in made_by and made_by[name].op_type in PASSED_OVER:
            if made_by[name].op_type in SOFTMAX:
                return made_by[name].input[0]
            name = made_by[name].input[0]
        return self.model.graph.output[0].name

    def layers(self, size: int) -> Layer:
        """The last layer for images of size x size pixels; the others hang on it.

        Raises:
            InputError: a node of a kind that none of our nets has; a window that does not fit.
        """
        made = {self.input.name: Layer("the input", "input", 3, size)}
        unknown: dict[str, str] = {}
        for node in self.nodes:
            data = [name for name in node.input if name and name not in self.constants]
            read = KINDS.get(node.op_type)
            if node.op_type in PASSED_OVER and data and data[0] in made:
                made[node.output[0]] = made[data[0]]
            elif read is not None and data and all(name in made for name in data):
                try:
                    made[node.output[0]] = read(node, [made[name] for name in data], self.constants)
                except InputError as error:
                    raise InputError(f"{self.path}: {error}") from None
            else:  # an error only when it matters: some files work out shapes of which nothing is used
                cause = next((unknown[name] for name in data if name in unknown), None)
                unknown |= dict.fromkeys(node.output, cause or f"{named(node)} is a {node.op_type}")
        if self.scores not in made:
            raise InputError(f"{self.path}: {unknown.get(self.scores)}, which none of our nets has at that place")
        return made[self.scores]

    def run(self, images: Tensor) -> Tensor:
        """Scores [n classes] of images as the file takes them, float32 [n 3 size size], one at a time.

        Raises:
            InputError: onnxruntime cannot run the file with images of that size.
        """
        import onnxruntime

        graph = self.model.graph
        del graph.value_info[:], graph.output[:]  # they name the sizes that follow from the declared input
        graph.output.append(onnx().helper.make_empty_tensor_value_info(self.scores))
        for dim, value in zip(self.input.type.tensor_type.shape.dim, (1, *images.shape[1:])):
            dim.Clear()
            dim.dim_value = value
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(self.model.SerializeToString(), options, ["CPUExecutionProvider"])
            rows = [np.asarray(session.run(None, {self.input.name: image[None].numpy()})[0]) for image in images]
        except Exception as error:  # onnxruntime's have no public base
            raise InputError(
                f"{self.path} does not run with images of {images.shape[-1]} pixels "
                f"({' '.join(str(error).split())[:200]}): give another --size"
            ) from None
        return torch.from_numpy(np.stack(rows)).flatten(1)
