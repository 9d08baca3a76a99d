"""Third-party ONNX graphs with random weights in place of their constant ones, whole or with fewer maps."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from alexnet.models import MODELS, VARIANTS, build_variant, resnet, vgg

THIN = 8  # every number of maps is divided by it


@pytest.fixture(scope="session")
def shipped() -> Path:
    """The folder of graphs that the onnx package has for its own tests; all their weights are constant."""
    import onnx

    return Path(onnx.__file__).parent / "backend/test/data/light"


@pytest.fixture(scope="session")
def thin_nets() -> Iterator[None]:
    """Nets of the same layers as the thin graphs, under names of their own."""
    thin = {
        "caffe_alexnet": build_thin(VARIANTS["caffe_alexnet"], "widths", "hidden"),
        "caffenet": build_thin(VARIANTS["caffenet"], "widths", "hidden"),
        "vgg_e": partial(
            vgg.build_variant, replace(vgg.VARIANTS["vgg_e"], name="thin_vgg_e", widths=(8, 16, 32, 64, 64), hidden=512)
        ),
        **{
            name: partial(resnet.build_variant, replace(resnet.VARIANTS[name], name=f"thin_{name}", width=8))
            for name in ("resnet50", "resnet50_v1_5")
        },
    }
    for name, builder in thin.items():
        MODELS[f"thin_{name}"] = replace(MODELS[name], name=f"thin_{name}", builder=builder)
    yield
    for name in thin:
        del MODELS[f"thin_{name}"]


def build_thin(variant, *widths) -> Callable:
    """An AlexNet with fewer maps and units."""
    fewer = {field: tuple(width // THIN for width in getattr(variant, field)) for field in widths}
    return partial(build_variant, replace(variant, name=f"thin_{variant.name}", **fewer))


@pytest.fixture(scope="session")
def graph(shipped, tmp_path_factory) -> Callable[..., Path]:
    """Give the file of a shipped graph with random weights: `graph("resnet50", thin=True)`.

    Weights are He's, batch-norm statistics random. Thin ones have an eighth of the maps, and ten classes. `change`
    is called with the graph before it is written.
    """
    folder = tmp_path_factory.mktemp("graphs")
    made: dict[tuple, Path] = {}

    def make(name: str, thin: bool = False, change: Callable | None = None) -> Path:
        key = (name, thin, change)
        if key not in made:
            made[key] = folder / f"{name}{len(made)}.onnx"
            write_graph(shipped / f"light_{name}.onnx", made[key], thin, change)
        return made[key]

    return make


def write_graph(source: Path, out: Path, thin: bool, change: Callable | None) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(source)
    graph = model.graph
    there = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    made = {node.output[0]: tuple(there[node.input[0]]) for node in graph.node if node.op_type == "ConstantOfShape"}
    shapes = made | {name: value.shape for name, value in there.items() if value.dtype == np.float32}
    plain = {name: value for name, value in there.items() if name not in shapes and not name.endswith("__SHAPE")}
    if thin:
        shapes = {name: fewer(shape) for name, shape in shapes.items()}
        plain = {name: np.array(fewer(tuple(value)), value.dtype) for name, value in plain.items()}
    statistics = {
        name: role
        for node in graph.node
        if node.op_type == "BatchNormalization"
        for role, name in zip(("weight", "bias", "mean", "variance"), node.input[1:], strict=True)
    }
    numbers = np.random.default_rng(0)
    values = {name: random_tensor(numbers, shape, statistics.get(name)) for name, shape in shapes.items()}
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    inputs = [entry for entry in graph.input if entry.name not in there]
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in (plain | values).items())
    if thin:
        del graph.output[0].type.tensor_type.shape.dim[:]
    model.ir_version = 8  # before 4 every constant is an input too
    if change is not None:
        change(graph)
    onnx.save(model, out)


def fewer(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with an eighth of the maps; 3 channels, 1 and kernels stay, 1000 classes become ten."""
    small = [10 if side == 1000 else side // THIN if side >= THIN else side for side in shape[:2]]
    return (*small, *shape[2:])


def random_tensor(numbers: np.random.Generator, shape: tuple[int, ...], role: str | None) -> np.ndarray:
    if role in ("weight", "variance"):
        value = numbers.uniform(0.5, 1.5, shape)
    elif len(shape) > 1:
        value = numbers.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    else:
        value = numbers.normal(0, 0.1, shape)
    return np.asarray(value, np.float32)
