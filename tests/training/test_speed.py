"""How a step is run: what is chosen for a device and a run, what is recorded, and what a resumed run keeps."""

import json
import math
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch
import yaml

from alexnet.checkpoint import load_weights
from alexnet.models import build
from alexnet.models.lrn import LRN
from alexnet.recipe import Optimiser, Recipe, Speed
from alexnet.recipes import RECIPES
from alexnet.training import speed
from alexnet.training.loop import fit
from alexnet.training.speed import Chosen, apply, choose, expected_seconds, in_words, resumed, speed_line
from alexnet.training.start import resume, start
from alexnet.training.summary import opening_lines

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
COMPILED = Chosen("float32", "channels_last", "compiled", "eager", "a run of about 9 minutes")


@pytest.fixture
def machine(monkeypatch):
    """A machine with a compiler and a graphics card, which has bfloat16 unless told otherwise."""
    has = SimpleNamespace(compiler=True, bfloat16=True)

    def response_norm_for(device, seconds):
        if device.type == "cuda":
            return "triton", ""
        if not has.compiler:
            return "eager", "no C++ compiler here"
        return ("compiled", "") if seconds >= 300 else ("eager", "short")

    monkeypatch.setattr(speed, "response_norm_for", response_norm_for)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated=True: has.bfloat16)
    return has


def shape_of(name, size):
    with torch.device("meta"):
        return build(name, 10, size)


def fields(chosen):
    return chosen.precision, chosen.memory_format, chosen.response_norm, chosen.step


@pytest.mark.parametrize(
    ("name", "size", "device", "images", "expected"),
    [
        ("alexnet", 67, CPU, 1_000, ("float32", "contiguous", "eager", "eager")),
        ("alexnet", 224, CPU, 1_000_000, ("float32", "channels_last", "compiled", "eager")),
        ("resnet18", 224, CPU, 1_000_000, ("float32", "channels_last", "eager", "eager")),
        ("alexnet", 224, CUDA, 1_000, ("bfloat16", "channels_last", "triton", "graph")),
        ("alexnet", 224, CUDA, 100_000_000, ("bfloat16", "channels_last", "triton", "compiled")),
        ("resnet20_cifar", 32, CUDA, 1_000, ("bfloat16", "channels_last", "eager", "graph")),
    ],
)
def test_what_is_left_open_goes_by_device_size_and_length_of_the_run(machine, name, size, device, images, expected):
    assert fields(choose(Recipe(), shape_of(name, size), device, images)) == expected


def test_what_was_asked_for_is_taken(machine):
    asked = Recipe(optimiser=Optimiser(precision="bfloat16"), speed=Speed("compiled", "channels_last", "compiled"))
    net = shape_of("alexnet", 67)
    assert fields(choose(asked, net, CPU, 1)) == ("bfloat16", "channels_last", "compiled", "compiled")
    plain = Recipe(optimiser=Optimiser(precision="float32"), speed=speed.ONE_WAY)
    assert fields(choose(plain, net, CUDA, 10**9)) == ("float32", "contiguous", "eager", "eager")


def test_a_gpu_without_bfloat16_takes_float32(machine):
    machine.bfloat16 = False
    assert choose(Recipe(), shape_of("alexnet", 67), CUDA, 1).precision == "float32"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Speed(step="graph"), "step graph is not to be had on cpu here: eager instead\n"),
        (Speed(response_norm="triton"), "response_norm triton is not to be had on cpu here: eager instead\n"),
    ],
)
def test_what_a_device_cannot_do_is_said_in_one_line(machine, capsys, asked, said):
    chosen = choose(Recipe(speed=asked), shape_of("alexnet", 67), CPU, 1)
    assert (chosen.response_norm, chosen.step) == ("eager", "eager")
    assert capsys.readouterr().err == said


def test_the_expected_time_grows_with_images_and_work_and_falls_with_threads(monkeypatch):
    small, large = shape_of("alexnet", 67), shape_of("alexnet", 224)
    assert expected_seconds(small, CPU, 2000) == pytest.approx(2 * expected_seconds(small, CPU, 1000))
    one = expected_seconds(large, CPU, 1000)
    multiply_adds = 666_000_000 + 54_550_000  # convolutions and fully-connected layers, ten classes
    assert one == pytest.approx(3 * multiply_adds * 1000 / speed.RATE_OF_A_THREAD, rel=0.01)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert expected_seconds(large, CPU, 1000) == pytest.approx(one / 4)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "under a minute"), (64, "about 1 minute"), (540, "about 9 minutes"), (5400, "about 2 hours")],
)
def test_a_length_of_time_in_words(seconds, words):
    assert in_words(seconds) == words


def test_a_choice_is_applied_to_the_net(tiny):
    net = build(tiny, 4, 67)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    apply(net, COMPILED)
    assert {module.implementation for module in net.modules() if isinstance(module, LRN)} == {"compiled"}
    assert net.conv3.weight.stride()[1] == 1
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_choice_is_printed_and_recorded_beside_the_recipe_as_it_was_asked(tiny, cache, tmp_path):
    run = start("digits", replace(RECIPES["practical"], model=tiny, epochs=1), out=tmp_path / "run", device="cpu")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["speed"] == asdict(run.speed)
    kept = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert kept["speed"] == {"response_norm": "auto", "memory_format": "auto", "step": "auto"}
    assert kept["optimiser"]["precision"] == "auto"
    expected = (
        "speed    cpu, 1 thread: float32, contiguous, response norm eager, steps op by op; a run of under a minute"
    )
    assert any(line.startswith(expected) for line in opening_lines(run))


def test_the_line_says_what_a_gpu_does_with_the_products(machine):
    net = shape_of("resnet18", 64)
    line = speed_line(choose(Recipe(optimiser=Optimiser(precision="float32")), net, CUDA, 1), net, CUDA)
    assert line.startswith("cuda: float32, products in TF32, contiguous, steps as a CUDA graph; ")
    assert "the rest in TF32" in speed_line(choose(Recipe(), net, CUDA, 1), net, CUDA)


def test_a_resumed_run_keeps_its_choice_whatever_would_be_chosen_now(machine, capsys):
    assert resumed(asdict(COMPILED), Recipe(), shape_of("alexnet", 67), CPU, 1) == COMPILED
    assert capsys.readouterr().err == ""


def test_a_run_resumed_where_its_choice_cannot_be_had_says_so(machine, capsys):
    machine.compiler = False
    net = shape_of("alexnet", 67)
    assert resumed(asdict(COMPILED), Recipe(), net, CPU, 1) == replace(COMPILED, response_norm="eager")
    said = capsys.readouterr().err
    assert said == "begun with response_norm compiled, resumed with eager: the last digits may differ\n"
    captured = replace(COMPILED, response_norm="triton", step="graph")
    assert fields(resumed(asdict(captured), Recipe(), net, CPU, 1))[2:] == ("eager", "eager")
    assert capsys.readouterr().err.count("the last digits may differ") == 2


def test_a_run_begun_before_there_was_a_choice_goes_on_as_it_was(machine, capsys):
    old = Recipe(optimiser=Optimiser(precision="bfloat16"))
    chosen = resumed(None, old, shape_of("alexnet", 224), CPU, 10**9)
    assert fields(chosen) == ("bfloat16", "contiguous", "eager", "eager")
    assert capsys.readouterr().err == ""


def test_a_run_in_another_order_in_memory_stops_goes_on_and_ends_bit_for_bit_as_alone(tiny, cache, tmp_path):
    practical = RECIPES["practical"]
    recipe = replace(practical, model=tiny, epochs=1, optimiser=replace(practical.optimiser, batch=64))
    recipe = replace(recipe, speed=Speed(memory_format="channels_last"))
    ends = []
    for name, minutes in (("alone", None), ("stopped", 1e-6)):
        reason = fit(start("digits", replace(recipe, max_minutes=minutes), out=tmp_path / name, device="cpu"))
        while reason:
            again = resume(tmp_path / name, device="cpu")
            assert again.speed.memory_format == "channels_last"
            again.recipe = replace(again.recipe, max_minutes=math.inf)
            reason = fit(again)
        ends.append(load_weights(tmp_path / name / "last.safetensors")[0].state_dict())
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())
