"""Weights that say what they are."""

import json

import pytest
import torch
from safetensors.torch import save_file

from alexnet.checkpoint import Card, load_weights, read_card, read_run, save_weights, weights_file
from alexnet.errors import InputError
from alexnet.models import build


@pytest.fixture
def net(tiny):
    torch.manual_seed(0)
    net = build(tiny, classes=3, size=67, start="he").eval()
    net.set_preprocessing(torch.rand(3, 67, 67) * 255, 50.0)
    return net


def card(**changes):
    return Card(**({"model": "tiny", "classes": ["猫", "<b>", "dog"], "size": 67, "side": 77} | changes))


def test_a_net_comes_back_with_weights_mean_image_and_class_names(tmp_path, net):
    save_weights(tmp_path / "a.safetensors", net.state_dict(), card(temperature=1.5, threshold=0.25))
    again, about = load_weights(tmp_path / "a.safetensors")
    images = torch.rand(2, 3, 67, 67) * 255
    assert torch.equal(again(images), net(images))
    assert about.classes == ["猫", "<b>", "dog"]
    assert (about.temperature, about.threshold) == (1.5, 0.25)
    assert not again.training


def test_weights_hold_no_code_and_can_be_read_by_others(tmp_path, net):
    path = tmp_path / "a.safetensors"
    save_weights(path, net.state_dict(), card())
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length])
    assert json.loads(header["__metadata__"]["alexnet"])["model"] == "tiny"
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_unknown_net_another_format_and_foreign_weights_are_refused_in_one_line(tmp_path, net):
    path = tmp_path / "a.safetensors"
    save_weights(path, net.state_dict(), card(model="resnet9000"))
    with pytest.raises(InputError, match="resnet9000"):
        load_weights(path)
    save_weights(path, net.state_dict(), card(format=99))
    with pytest.raises(InputError, match="format 99, this version reads 1"):
        read_card(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="no card"):
        read_card(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        read_card(path)
    with pytest.raises(InputError, match="does not exist"):
        read_card(tmp_path / "none.safetensors")


def test_a_run_stands_for_its_best_weights(tmp_path, net):
    for name in ("last.safetensors", "best.safetensors"):
        save_weights(tmp_path / name, net.state_dict(), card())
    assert weights_file(tmp_path).name == "best.safetensors"
    assert weights_file(tmp_path / "last.safetensors").name == "last.safetensors"


def test_a_folder_without_weights_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="holds no weights"):
        weights_file(tmp_path)
    (tmp_path / "state.pt").touch()
    with pytest.raises(InputError, match="alexnet train --resume"):
        weights_file(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        weights_file(tmp_path / "no")
    with pytest.raises(InputError, match="not the folder of a run"):
        read_run(tmp_path)
