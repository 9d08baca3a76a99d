"""State dicts of torchvision's nets are recognised by names and shapes, and give torchvision's own scores."""

import json
import urllib.error
from contextlib import nullcontext

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from alexnet.checkpoint import load_weights
from alexnet.errors import InputError
from alexnet.exchange.agreement import images_to_compare
from alexnet.exchange.bring import bring, class_names, with_weights
from alexnet.exchange.foreign import _for_size, from_state_dict
from alexnet.exchange.preprocessing import PREPROCESSING
from alexnet.exchange.state_dicts import NETS, read_file, recognise_state, released
from alexnet.models import build, parameters


def torchvisions(name, classes=1000, device="meta"):
    """torchvision's own net, of shapes alone or with its start."""
    extra = {"init_weights": False} if name == "googlenet" else {}
    with torch.device(device) if device == "meta" else nullcontext():
        return torchvision.models.get_model(name, weights=None, num_classes=classes, **extra).eval()


def random_state(name, classes, seed=0):
    """He weights, random biases and batch-norm statistics."""
    numbers = torch.Generator().manual_seed(seed)
    state = {}
    for key, value in torchvisions(name, classes).state_dict().items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(7)
        elif value.dim() > 1:
            state[key] = torch.randn(value.shape, generator=numbers) * (2 / value[0].numel()) ** 0.5
        elif key.endswith(("running_var", "weight")):
            state[key] = torch.rand(value.shape, generator=numbers) + 0.5
        else:
            state[key] = torch.randn(value.shape, generator=numbers) * 0.1
    return state


@pytest.fixture
def classes(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(f"class {i}" for i in range(10)))
    return path


@pytest.mark.parametrize("theirs", NETS)
def test_every_net_is_recognised_by_names_and_shapes_with_any_number_of_classes(theirs):
    known = recognise_state(dict(torchvisions(theirs, 37).state_dict()))
    assert (known.theirs, known.net.name, known.net.classes) == (theirs, NETS[theirs][0], 37)
    own = {key: tuple(value.shape) for key, value in known.net.state_dict().items() if key not in ("mean", "scale")}
    assert {key: tuple(value.shape) for key, value in known.state.items()} == own


@pytest.mark.parametrize(
    "theirs",
    [
        "resnet18",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "alexnet",
                "googlenet",
                "vgg11",
                "vgg16_bn",
                "vgg19",
                "resnet34",
                "resnet50",
                "resnet101",
                "resnet152",
            )
        ),
    ],
)
def test_a_state_dict_becomes_a_run_with_torchvisions_scores(theirs, tmp_path, classes):
    state = random_state(theirs, 10)
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "any name.pth")
    said = bring(str(tmp_path / "any name.pth"), tmp_path / "run", classes=classes, preprocessing="torchvision")
    assert said["model"] == NETS[theirs][0]
    assert said["agreement"]["scores"] < 1e-5
    net, card = load_weights(tmp_path / "run" / "best.safetensors")
    assert card.classes[3] == "class 3"
    module = torchvisions(theirs, 10)
    module.load_state_dict(state, assign=True)
    image = images_to_compare(224, 2, seed=3)
    with torch.inference_mode():
        ours, their_scores = net(image), module(PREPROCESSING["torchvision"](image))
    assert float((ours - their_scores).abs().max() / their_scores.abs().max()) < 1e-5


def test_equal_shapes_in_the_wrong_place_are_refused_by_the_comparison(tmp_path, classes, monkeypatch):
    path = tmp_path / "weights.safetensors"
    save_file(random_state("resnet18", 10), path)
    ours, names = NETS["resnet18"]
    first, second = "conv2_x.1.conv1.conv.weight", "conv2_x.2.conv2.conv.weight"

    def swapped(net):
        right = names(net)
        return right | {first: right[second], second: right[first]}

    monkeypatch.setitem(NETS, "resnet18", (ours, swapped))
    with pytest.raises(InputError, match="does not do what the original does"):
        bring(str(path), tmp_path / "run", "resnet18", classes, "torchvision")
    assert not (tmp_path / "run").exists()


def test_googlenets_side_classifiers_may_be_missing_and_then_start_anew(tmp_path):
    state = {key: value for key, value in random_state("googlenet", 10).items() if not key.startswith("aux")}
    torch.save(state, tmp_path / "weights.pt")
    found = from_state_dict(tmp_path / "weights.pt", PREPROCESSING["torchvision_googlenet"])
    assert "they start anew" in found.notes[0]
    net = with_weights(found)
    assert 0.01 < float(net.get_submodule("side4a.linear").weight.detach().std()) < 1
    assert torch.equal(net.get_submodule("linear").weight, state["fc.weight"])


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """torchvision's cache in a folder of the test's own, and no network."""

    def unreachable(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_published_weights_in_torchvisions_cache_come_with_their_own_preprocessing(hub, tmp_path):
    """torchvision's GoogLeNet changes its normalised input again, which comes to (pixel - 127.5) / 127.5."""
    state = random_state("googlenet", 1000)
    torch.save(state, hub / "googlenet-1378be20.pth")
    said = bring("torchvision:googlenet", tmp_path / "run")
    assert said["agreement"]["scores"] < 1e-5
    net, card = load_weights(tmp_path / "run" / "best.safetensors")
    assert net.mean.flatten().tolist() == [127.5] * 3
    assert float(net.scale) == 127.5
    assert (card.classes[1], card.size, card.side, card.source) == ("goldfish", 224, 256, "imagenet")


def test_weights_that_cannot_be_fetched_are_told_by_their_address(hub):
    with pytest.raises(
        InputError, match=r"no network.*get https://.*/resnet50-0676ba61.pth elsewhere, then alexnet import"
    ):
        released("resnet50")


@pytest.mark.parametrize(
    ("what", "options", "words"),
    [
        ("torchvision:inception_v3", {}, "none of the nets that are known: choose one of alexnet, vgg11"),
        ("torchvision:resnet50:BEST", {}, "no weights BEST of resnet50: it has IMAGENET1K_V1, IMAGENET1K_V2"),
        ("torchvision:resnet50", {"preprocessing": "caffe"}, "brings its own preprocessing"),
        ("nowhere.pth", {}, "does not exist: give an .onnx file"),
        ("nowhere.pth", {"name": "resnet51"}, "no such model"),
    ],
)
def test_what_cannot_be_brought_in_is_one_line(tmp_path, what, options, words):
    with pytest.raises(InputError, match=words):
        bring(what, tmp_path / "run", **options)


def test_other_files_and_other_tensors_are_refused(tmp_path):
    (tmp_path / "words.pth").write_text("These are words.")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"weight": torch.ones(2, 2)}, tmp_path / "small.pth")
    state = dict(torchvisions("resnet18").state_dict())
    for name, words in (
        ("words.pth", "is not a file of tensors"),
        ("list.pth", "holds no state dict"),
        ("small.pth", "no net that is known: known are state dicts of torchvision's alexnet, vgg11"),
    ):
        with pytest.raises(InputError, match=words):
            bring(str(tmp_path / name), tmp_path / "run", preprocessing="torchvision")
    del state["layer1.0.bn1.bias"]
    with pytest.raises(InputError, match=r"nearest is resnet18, but layer1\.0\.bn1\.bias is None where it has \(64,\)"):
        recognise_state(state)
    with pytest.raises(InputError, match=r"torchvision has no resnet50, .* resnet50_v1_5"):
        recognise_state(state, "resnet50")


def test_classes_must_be_as_many_as_the_nets_and_different(tmp_path):
    names = tmp_path / "names.txt"
    for text, words in (
        ("a\nb\nc", "3 lines, 3 of them different, and the net 4"),
        ("a\nb\na\nc", "4 lines, 3 of them"),
    ):
        names.write_text(text)
        with pytest.raises(InputError, match=words):
            class_names(4, names)
    with pytest.raises(InputError, match="4 classes and no file says their names"):
        class_names(4, None)
    names.write_text("a\nb \n\nc\nd\n")
    assert class_names(4, names) == (["a", "b", "c", "d"], "")
    assert class_names(1000, None)[0][999] == "toilet tissue"


def test_an_existing_run_is_never_overwritten(tmp_path):
    with pytest.raises(InputError, match="is never overwritten"):
        bring("torchvision:resnet18", tmp_path)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "net.", "module._orig_mod."])
def test_what_wrappers_put_before_every_name_is_taken_off(tmp_path, prefix):
    torch.save({f"{prefix}{key}": torch.ones(2) for key in ("conv1.weight", "fc.bias")}, tmp_path / "weights.pt")
    assert list(read_file(tmp_path / "weights.pt")) == ["conv1.weight", "fc.bias"]


def test_weights_that_fit_every_size_come_in_at_the_size_asked_for_and_others_do_not(tmp_path, classes):
    save_file(random_state("resnet18", 10), tmp_path / "weights.safetensors")
    given = {"classes": classes, "preprocessing": "torchvision"}
    said = bring(str(tmp_path / "weights.safetensors"), tmp_path / "run", size=96, **given)
    assert said["size"] == said["agreement"]["size"] == 96
    assert load_weights(tmp_path / "run" / "best.safetensors")[0].size == 96
    with torch.device("meta"):
        vgg = build("vgg_a", 10)
    with pytest.raises(InputError, match="--size 320: vgg_a has other shapes there than at 224 pixels"):
        _for_size(vgg, 320)


def test_a_run_counts_the_parameters_that_the_net_has_at_test(tmp_path):
    state = random_state("googlenet", 1000)
    torch.save(state, tmp_path / "weights.pt")
    said = bring(str(tmp_path / "weights.pt"), tmp_path / "run", preprocessing="torchvision_googlenet", size=64)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert said["parameters"] == about["parameters"] == parameters("googlenet_torchvision") == 6_624_904
