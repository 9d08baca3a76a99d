"""An exported ONNX file comes back as the run that it was."""

import json

import numpy as np
import pytest
import torch

from alexnet.checkpoint import Card, load_weights
from alexnet.cli import main
from alexnet.evaluation.predict import load
from alexnet.exchange.export import export
from alexnet.exchange.export_onnx import write_onnx
from alexnet.exchange.own_file import read_own
from alexnet.models import build


@pytest.mark.parametrize(
    ("name", "size"), [("lenet5", 32), ("lenet5", 40), ("nin_mnist", 28), ("resnet20_cifar", 32), ("googlenet", 64)]
)
def test_every_weight_and_buffer_comes_back(name, size, tmp_path):
    torch.manual_seed(0)
    net = build(name, 7, size, "he").eval()
    net.set_preprocessing(255 * torch.rand(3, size, size), 60.0)
    card = Card(name, list("abcdefg"), size, size, temperature=1.7)
    write_onnx(net, card, tmp_path / "net.onnx", {})
    found = read_own(tmp_path / "net.onnx")
    assert found is not None
    assert found[1] == card
    sides = tuple(net.sides)
    state = found[0].state_dict()
    assert state.keys() == net.state_dict().keys()
    for key, values in net.state_dict().items():
        if not key.startswith(sides) or not sides:
            assert torch.equal(state[key], values), key


def test_the_command_makes_a_run_of_it(tiny_run, tmp_path, capsys):
    export(tiny_run, tmp_path / "net.onnx")
    assert main(["import", str(tmp_path / "net.onnx"), str(tmp_path / "run"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["model"], said["agreement"]["images"]) == ("tiny", 3)
    before, after = load(tiny_run), load(tmp_path / "run")
    assert after.card == before.card
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    assert after.predict(pixels) == before.predict(pixels)
    assert (tmp_path / "run" / "recipe.yaml").read_text() == (tiny_run / "recipe.yaml").read_text()
    assert main(["evaluate", str(tmp_path / "run")]) == 2
    assert "say which images to take" in capsys.readouterr().err


def test_it_says_all_itself(tiny_run, tmp_path, capsys):
    export(tiny_run, tmp_path / "net.onnx")
    given = ["import", str(tmp_path / "net.onnx"), str(tmp_path / "run"), "--preprocessing", "caffe"]
    assert main(given) == 2
    assert "leave the options out" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_file_whose_weights_were_changed_comes_in_as_it_is_now(tiny_run, tmp_path):
    import onnx

    net, _ = load_weights(tiny_run / "best.safetensors")
    export(tiny_run, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "fc8.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.arange(10, dtype=np.float32), "fc8.bias"))
    onnx.save(model, tmp_path / "net.onnx")
    found = read_own(tmp_path / "net.onnx")
    assert found is not None
    assert found[0].state_dict()["fc8.bias"].tolist() == list(range(10))
    assert torch.equal(found[0].state_dict()["fc7.bias"], net.state_dict()["fc7.bias"])


def test_files_of_others_and_damaged_ones_are_left_to_the_reader_of_those(tmp_path, graph):
    assert read_own(graph("bvlc_alexnet", True)) is None
    (tmp_path / "net.onnx").write_bytes(b"no graph")
    assert read_own(tmp_path / "net.onnx") is None
