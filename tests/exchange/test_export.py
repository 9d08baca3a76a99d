"""`alexnet export`: what is written, what is checked, and what is refused."""

import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.checkpoint import load_weights
from alexnet.cli import main
from alexnet.errors import InputError, JobFailed
from alexnet.evaluation.calibrate import apply_temperature
from alexnet.evaluation.predict import load
from alexnet.exchange import export as exporting
from alexnet.exchange.agreement import images_to_compare
from alexnet.exchange.export import checked, destination, export, images_to_show
from alexnet.exchange.export_onnx import OnnxProgram, write_onnx
from alexnet.exchange.export_openvino import BFLOAT16, OpenvinoProgram
from alexnet.exchange.export_torch import TorchProgram

ROOT = Path(__file__).parents[2]
PROGRAMS = {"onnx": OnnxProgram, "torch": TorchProgram, "openvino": OpenvinoProgram}
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "openvino": ".xml"}


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory) -> Path:
    """A folder with the tiny run in all three formats, as net.onnx, net.pt2 and net.xml."""
    folder = tmp_path_factory.mktemp("exported")
    for format in SUFFIXES:
        export(tiny_run, folder / "net", format)
    return folder


@pytest.mark.parametrize("format", SUFFIXES)
def test_an_exported_file_answers_as_the_run_does(format, exported, tiny_run):
    net, card = load_weights(tiny_run / "best.safetensors")
    images = images_to_compare(67, images=5, seed=3)
    with torch.inference_mode():
        wanted = net(images).double()
    program = PROGRAMS[format](exported / f"net{SUFFIXES[format]}")
    for part in (slice(0, 5), slice(0, 1)):
        scores, p = program(images[part])
        assert (scores - wanted[part]).abs().max() < 1e-5 * wanted.abs().max()
        calibrated = apply_temperature(wanted[part].softmax(1).numpy(), card.temperature)
        assert np.abs(p.numpy() - calibrated).max() < 1e-5


def test_the_description_holds_what_a_server_must_know(exported, tiny_run):
    card = load(tiny_run).card
    for format, suffix in SUFFIXES.items():
        about = json.loads((exported / f"net{suffix}.json").read_text())
        assert about["format"] == format
        assert about["file"] == f"net{suffix}"
        assert about["classes"] == card.classes
        assert about["input"] == {"name": "images", "dtype": "float32", "shape": ["n", 3, 67, 67]}
        assert f"shorter side brought to {card.side} pixels" in about["preprocessing"]
        assert (about["temperature"], about["threshold"]) == (card.temperature, card.threshold)
        assert about["recipe"]["name"] == "practical"
        assert about["agreement"]["images"] == 7  # three seeded, four of the test part
        assert 0 <= about["agreement"]["scores"] < 1e-5
    assert about["hints"] == {"INFERENCE_PRECISION_HINT": "bf16"}


def test_class_names_lie_in_every_file_too(exported, tiny_run):
    import onnx
    import openvino

    classes = load(tiny_run).card.classes
    inside = [
        next(entry.value for entry in onnx.load(exported / "net.onnx").metadata_props if entry.key == "alexnet"),
        openvino.Core().read_model(exported / "net.xml").get_rt_info(["alexnet"]).value,
    ]
    extra = {"card.json": ""}
    torch.export.load(exported / "net.pt2", extra_files=extra)
    for card in [*inside, extra["card.json"]]:
        assert json.loads(card)["classes"] == classes


def test_the_command_says_what_was_written_and_how_it_was_checked(tiny_run, tmp_path, capsys):
    assert main(["export", str(tiny_run), str(tmp_path / "served"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["out"] == str(tmp_path / "served.onnx")
    assert sorted(said["files"]) == sorted(str(path) for path in tmp_path.iterdir())
    assert said["compared_with"].startswith("onnxruntime ")
    assert main(["export", str(tiny_run), str(tmp_path / "served.pt2")]) == 0
    assert "run by torch" in capsys.readouterr().out


def test_an_existing_file_is_never_overwritten(tiny_run, tmp_path, capsys):
    (tmp_path / "net.bin").write_text("mine")
    assert main(["export", str(tiny_run), str(tmp_path / "net"), "--format", "openvino"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{tmp_path / 'net.bin'} exists and is never overwritten" in said
    assert [path.name for path in tmp_path.iterdir()] == ["net.bin"]


@pytest.mark.parametrize(
    ("out", "format", "wanted"),
    [
        ("a", None, ("onnx", "a.onnx")),
        ("a.pt2", None, ("torch", "a.pt2")),
        ("a.xml", None, ("openvino", "a.xml")),
        ("v1.2", "torch", ("torch", "v1.2.pt2")),
    ],
)
def test_the_suffix_says_the_format_or_is_added(out, format, wanted, tmp_path):
    assert destination(tmp_path / out, format) == (wanted[0], tmp_path / wanted[1])


def test_another_formats_suffix_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has the suffix of onnx, not of torch: let OUT end in \.pt2"):
        destination(tmp_path / "a.onnx", "torch")


def test_a_file_that_answers_otherwise_is_not_kept(tiny_run, tmp_path, monkeypatch, capsys):
    def spoilt(net, card, path, described):
        net.get_submodule("norm1").k += 0.01
        write_onnx(net, card, path, described)
        net.get_submodule("norm1").k -= 0.01

    monkeypatch.setattr(exporting, "write_onnx", spoilt)
    assert main(["export", str(tiny_run), str(tmp_path / "net.onnx")]) == 1
    assert "does not answer as tiny does" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", ["scores of one", "probabilities", "not a number"])
def test_each_way_to_be_wrong_is_seen(wrong, tiny_run):
    net, card = load_weights(tiny_run / "best.safetensors")
    images = images_to_compare(67)

    def program(images):
        with torch.inference_mode():
            scores = net(images)
        p = (scores / (2 * card.temperature if wrong == "probabilities" else card.temperature)).softmax(1)
        if wrong == "scores of one" and len(images) == 1:
            scores = scores * 1.001
        if wrong == "not a number":
            scores = scores * float("nan")
        return scores, p

    program.name = "a program"
    with pytest.raises(JobFailed, match="a program does not answer"):
        checked(net, card, program, images)


def test_a_net_that_hardly_looks_at_the_image_goes_out_with_a_word_of_caution(tiny_run, capsys):
    net, card = load_weights(tiny_run / "best.safetensors")
    with torch.no_grad():
        net.get_submodule("fc8").weight.mul_(1e-6)
        net.get_submodule("fc8").bias.copy_(torch.arange(10))

    def program(images):
        scores = net(images)
        return scores, (scores / card.temperature).softmax(1)

    program.name = "itself"
    with torch.inference_mode():
        checked(net, card, program, images_to_compare(67))
    assert capsys.readouterr().err.count("\n") == 1


def test_without_the_runs_pack_seeded_images_are_shown(tiny_run, tmp_path):
    net, card = load_weights(tiny_run / "best.safetensors")
    assert torch.equal(images_to_show(net, card, tmp_path), images_to_compare(67))
    assert len(images_to_show(net, card, tiny_run)) == 7
    assert len(images_to_show(net, replace(card, fingerprint="another"), tiny_run)) == 3


@pytest.mark.parametrize(("format", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_package_is_one_line(format, package, tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["export", str(tiny_run), str(tmp_path / "net"), "--format", format]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"needs {package}, which is not installed: pip install 'alexnet[export]'" in said
    assert list(tmp_path.iterdir()) == []


def test_torch_needs_no_extra_package(tiny_run, tmp_path, monkeypatch):
    for package in ("onnx", "onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, package, None)
    assert export(tiny_run, tmp_path / "net.pt2")["format"] == "torch"


def test_openvino_is_not_asked_over_the_network(exported, tiny_run, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    export(tiny_run, tmp_path / "net.xml")
    leave = "import os, socket; socket.getaddrinfo = socket.socket.connect = lambda *_: os._exit(3); import openvino"
    assert subprocess.run([sys.executable, "-c", leave]).returncode == 0


def test_bfloat16_is_a_hint_that_costs_little(exported, tiny_run):
    images = images_to_compare(67, images=4)
    sharp, coarse = (OpenvinoProgram(exported / "net.xml", hints)(images)[0] for hints in ({**BFLOAT16}, BFLOAT16))
    wanted = OpenvinoProgram(exported / "net.xml")(images)[0]
    assert torch.equal(sharp, coarse)
    assert (coarse - wanted).abs().max() < 0.03 * wanted.abs().max()


def snippets() -> list[str]:
    text = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_page_has_a_snippet_for_each_format():
    assert [re.findall(r"net\.(onnx|pt2|xml)\"", snippet)[-1] for snippet in snippets()[1:]] == ["onnx", "xml", "pt2"]


def test_the_snippets_of_the_page_answer_as_the_run_does(exported, tiny_run, monkeypatch):
    first, *others = snippets()
    pixels = np.random.default_rng(0).integers(0, 256, (150, 100, 3), dtype=np.uint8)
    folder = exported / "page"
    folder.mkdir()
    for path in exported.glob("net*"):
        os.link(path, folder / path.name)
    Image.fromarray(pixels).save(folder / "cat.png")
    wanted = load(tiny_run).probabilities([folder / "cat.png"])[0]
    monkeypatch.chdir(folder)
    scope: dict = {}
    exec(first, scope)
    found = []
    for snippet in others:
        exec(snippet, scope)
        found.append(np.asarray(scope["probabilities"])[0])
    assert [p.shape for p in found] == [(10,)] * 3
    # The page resizes bytes; the run enlarges small images as floats. OpenVINO is asked in bfloat16.
    for p, near in zip(found, (0.02, 0.03, 0.02), strict=True):
        assert np.abs(p - wanted).max() < near
    assert np.abs(found[0] - found[2]).max() < 1e-5
