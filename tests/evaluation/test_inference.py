"""A net made ready for inference: the same answers, faster, and never a compilation for a small job."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from alexnet.cli import main
from alexnet.evaluation import inference
from alexnet.evaluation.classify import probabilities
from alexnet.evaluation.evaluate import evaluate
from alexnet.evaluation.inference import compiled_for_one_shape, expected_seconds, for_inference
from alexnet.evaluation.predict import answers, load
from alexnet.models import MODELS, build, names
from alexnet.models.lrn import LRN

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def never_compiled(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a small job was compiled")

    monkeypatch.setattr(torch, "compile", refuse)


def seen(net, n=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    clouds = nn.functional.interpolate(torch.rand(n, 3, 5, 5, generator=generator), net.size, mode="bilinear")
    return 255 * clouds


def prepared(name, **options):
    """The scores of a net as built and of one made ready, as float64, on the same images."""
    torch.manual_seed(0)
    size = MODELS[name].small
    net = build(name, 7, size, "he").eval()
    images = seen(net)
    with torch.inference_mode():
        before = net(images).double()
        after = for_inference(net, CPU, 3, **options)(images)
    assert after.dtype == torch.float32
    return before, after.double()


@pytest.mark.parametrize("name", ["lenet5", "nin_cifar", "vgg_cifar", "googlenet", "resnet20_cifar"])
def test_scores_are_those_of_the_net_as_it_was(name):
    before, after = prepared(name)
    assert (before - after).abs().max() < 1e-5 * before.abs().max()


@pytest.mark.parametrize("name", ["lenet5", "nin_cifar", "vgg_cifar", "googlenet", "googlenet_bn", "resnet20_cifar"])
def test_in_bfloat16_they_are_near_and_not_the_same(name):
    before, after = prepared(name, precision="bfloat16")
    centred = (before - before.mean(1, keepdim=True)).abs().max()
    assert 1e-6 * centred < (before - after).abs().max() < 0.05 * centred


def test_bfloat16_leaves_preprocessing_statistics_and_the_last_layer_sharp():
    net = for_inference(build("resnet20_cifar", 7, 32), CPU, 1, "bfloat16")
    assert {net.mean.dtype, net.scale.dtype, net.get_submodule("fc").weight.dtype} == {torch.float32}
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert {norm.running_var.dtype for norm in norms} == {torch.float32}
    assert {convolution.weight.dtype for convolution in convolutions} == {torch.bfloat16}


def test_a_processor_without_bfloat16_says_so_and_takes_float32(tiny, monkeypatch, capsys):
    monkeypatch.setattr(inference, "_cpu_has_bfloat16", lambda: False)
    net = for_inference(build(tiny, 7), CPU, 1, "bfloat16")
    assert {values.dtype for values in net.parameters()} == {torch.float32}
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no arithmetic in bfloat16" in said


def test_weights_of_convolutions_lie_channels_last(tiny):
    net = for_inference(build(tiny, 7), CPU, 1)
    kernels = [module.weight for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    assert not net.get_submodule("conv2").weight.is_contiguous()


def test_compiling_is_chosen_by_the_number_of_images(tiny, monkeypatch):
    asked = []

    def chosen(device, seconds):
        asked.append(seconds)
        return ("eager", "") if seconds < 100 else ("compiled", "")

    monkeypatch.setattr(inference, "response_norm_for", chosen)
    net = build(tiny, 7)
    for images, wanted in ((1000, "eager"), (10**9, "compiled"), (999, "eager")):
        for_inference(net, CPU, images)
        assert {norm.implementation for norm in net.modules() if isinstance(norm, LRN)} == {wanted}
    assert asked[1] == pytest.approx(1e6 * asked[0])
    assert asked[2] == 0


def test_expected_seconds_grow_with_the_net_and_the_images(tiny):
    small, large = build(tiny, 7), build("alexnet_half", 7, 67)
    assert expected_seconds(small, CPU, 200) == pytest.approx(2 * expected_seconds(small, CPU, 100))
    assert expected_seconds(large, CPU, 100) > 10 * expected_seconds(small, CPU, 100)
    assert expected_seconds(small, torch.device("cuda"), 100) < expected_seconds(small, CPU, 100)


def test_a_compiled_function_serves_its_first_shape_and_the_rest_goes_the_eager_way(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda function, **_: lambda x: calls.append(x.shape) or function(x))
    run = compiled_for_one_shape(lambda x: x + 1, mode="reduce-overhead")
    for n in (4, 4, 3, 4, 1):
        assert torch.equal(run(torch.zeros(n)), torch.ones(n))
    assert calls == [(4,)] * 3


def test_a_compiler_that_fails_is_named_once_and_the_net_runs(monkeypatch, capsys):
    def broken(function, **_):
        def run(x):
            raise OSError("no compiler here")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    run = compiled_for_one_shape(lambda x: x + 1)
    for _ in range(3):
        assert torch.equal(run(torch.zeros(2)), torch.ones(2))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cannot be compiled here (OSError)" in said


def test_an_error_of_the_net_itself_is_not_the_compilers(monkeypatch, capsys):
    def wrong(x):
        raise ValueError("the net's own")

    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    with pytest.raises(ValueError, match="the net's own"):
        compiled_for_one_shape(wrong)(torch.zeros(2))
    assert capsys.readouterr().err == ""


def test_evaluating_gives_the_numbers_of_the_net_as_it_was(tiny_run):
    from alexnet.checkpoint import load_weights, read_run
    from alexnet.data import open_packed
    from alexnet.evaluation.evaluate import rows_of

    net, card = load_weights(tiny_run / "best.safetensors")
    packed = open_packed(read_run(tiny_run)["packed"])
    rows, _ = rows_of(packed, card, None)
    for views in ("center", "ten"):
        plain = probabilities(net, packed, rows[:40], card.side, card.size, views)
        ready = for_inference(copy.deepcopy(net), CPU, 40)
        assert np.abs(probabilities(ready, packed, rows[:40], card.side, card.size, views) - plain).max() < 1e-6


def test_a_result_in_bfloat16_says_so_and_is_not_kept(tiny_run, capsys):
    kept = (tiny_run / "evaluation.json").read_bytes()
    assert main(["evaluate", str(tiny_run), "--precision", "bfloat16", "--json"]) == 0
    assert '"precision": "bfloat16"' in capsys.readouterr().out
    assert (tiny_run / "evaluation.json").read_bytes() == kept
    sharp = evaluate(tiny_run)
    assert sharp["precision"] == "float32"


def test_many_files_are_asked_about_together_and_in_order(tiny_run, tmp_path, monkeypatch):
    from PIL import Image

    from alexnet.evaluation import predict

    monkeypatch.setattr(predict, "AT_ONCE", 4)
    numbers = np.random.default_rng(0)
    files = []
    for i in range(10):
        path = tmp_path / f"{i}.png"
        if i in (2, 3, 9):
            path.write_text("no image")
        else:
            shape = (70 + i, 80, 3)
            Image.fromarray(numbers.integers(0, 256, shape, dtype=np.uint8) // (1 + i % 3)).save(path)
        files.append(str(path))
    batches = []
    plain = predict.batch_probabilities
    monkeypatch.setattr(
        predict,
        "batch_probabilities",
        lambda net, images, *rest: batches.append(len(images)) or plain(net, images, *rest),
    )
    rows = answers(tiny_run, files, top=3)
    assert batches == [2, 4, 1]
    assert [row["image"] for row in rows] == files
    assert [i for i, row in enumerate(rows) if "error" in row] == [2, 3, 9]
    predictor = load(tiny_run)
    for row in rows:
        if "predictions" in row:
            alone = predictor.predict(row["image"], top=3)[0]
            for said, wanted in zip(row["predictions"], alone.predictions, strict=True):
                assert said["probability"] == pytest.approx(wanted.probability, rel=1e-5)
                assert said["label"] == wanted.label


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_net_of_the_list_can_be_made_ready(name, precision):
    before, after = prepared(name, precision=precision)
    centred = (before - before.mean(1, keepdim=True)).abs().max()
    assert (before - after).abs().max() < (1e-5 if precision == "float32" else 0.2) * centred
