"""The score map over an image: probabilities, where they lie, and the file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from alexnet.checkpoint import Card, load_weights, save_weights
from alexnet.errors import InputError
from alexnet.models import build
from alexnet.pictures.score_map import draw, score_map
from alexnet.pictures.style import save

CLASSES = ["dark", "猫 $5"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A LeNet-5 that calls a crop by the mean brightness of its middle: no training is needed for that."""
    net = build("lenet5_softmax", 2, 32)
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
        for i in (1, 3, 5):
            net.get_submodule(f"c{i}").weight[:, :, 2, 2] = 0.3  # the middle of each kernel
        net.get_submodule("f6").weight[0] = 0.02
        last = net.get_submodule(net.classifier_stage)
        last.weight[1, 0], last.bias[1] = 60.0, -3.0
    net.set_preprocessing([0.0, 0.0, 0.0], 255.0)
    path = tmp_path_factory.mktemp("bright") / "best.safetensors"
    save_weights(path, net.state_dict(), Card("lenet5_softmax", CLASSES, 32, 37, temperature=1.5))
    return path.parent


def spot(path, h, w, y, x, half=8):
    """A black image with a white square about (y, x)."""
    pixels = np.zeros((h, w), np.uint8)
    pixels[y - half : y + half, x - half : x + half] = 255
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(("y", "x"), [(40, 30), (56, 110), (30, 70)])
def test_the_hottest_squares_lie_on_what_the_net_answers_to(run, tmp_path, y, x):
    found = score_map(run, spot(tmp_path / "a.png", 96, 144, y, x), CLASSES[1], size=96)
    left, right, bottom, top = found.extent
    high, wide = found.heat.shape
    assert (high, wide) == ((96 - 32) // 4 + 1, (144 - 32) // 4 + 1)
    assert ((bottom - top) / high, (right - left) / wide) == (4, 4)
    assert found.heat.min() < 0.2 < 0.8 < found.heat.max()
    rows, columns = np.nonzero(found.heat > 0.9 * found.heat.max())
    centre = (top + 4 * (rows.mean() + 0.5), left + 4 * (columns.mean() + 0.5))
    assert abs(centre[0] - (y - 0.5)) <= 4
    assert abs(centre[1] - (x - 0.5)) <= 4


def test_its_values_are_the_calibrated_probabilities_of_the_net_on_each_crop(run, tmp_path):
    found = score_map(run, spot(tmp_path / "a.png", 48, 40, 20, 18), size=40)
    assert found.pixels.shape == (48, 40, 3)
    net, card = load_weights(run / "best.safetensors")
    number = card.classes.index(found.label)
    image = torch.from_numpy(found.pixels).movedim(-1, 0)[None].float()
    scores = np.zeros((*found.heat.shape, 2))
    with torch.inference_mode():
        for i, j in np.ndindex(found.heat.shape):
            crop = image[:, :, 4 * i : 4 * i + 32, 4 * j : 4 * j + 32]
            scores[i, j] = net(crop)[0].double().numpy() / 1.5
    each = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    assert np.allclose(found.heat, each[:, :, number], atol=1e-5)
    whole = np.exp(scores.mean((0, 1)))
    assert np.isclose(found.whole, (whole / whole.sum())[number], atol=1e-5)
    assert whole.argmax() == number
    assert found.heat.std() > 0.05


def test_colours_lie_where_the_extent_says_and_nothing_beyond_it(run, tmp_path):
    found = score_map(run, spot(tmp_path / "a.png", 96, 144, 40, 100), CLASSES[1], size=96)
    drawing = draw(replace(found, label="bright"))  # the font that draws a PNG has no 猫
    drawing.set_dpi(100)
    canvas = FigureCanvasAgg(drawing)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3].astype(int)

    def colour(x, y):
        """Red minus blue at a place of the image: above 0 yellow, under 0 blue, 0 grey."""
        right, up = drawing.axes[1].transData.transform((x, y))
        r, _, b = pixels[pixels.shape[0] - 1 - int(up), int(right)]
        return r - b

    assert colour(100, 40) > 40
    assert colour(40, 70) < -20
    assert colour(4, 4) == colour(140, 92) == 0


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_file_is_written_in_the_form_of_its_suffix(run, tmp_path, suffix):
    found = score_map(run, spot(tmp_path / "a.png", 64, 64, 30, 30), CLASSES[1])
    assert min(found.pixels.shape[:2]) == 64  # twice the net's
    path = save(draw(found), tmp_path / f"out{suffix}")
    if suffix == ".png":
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width > 1.5 * picture.height
    else:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("<?xml")
        assert CLASSES[1] in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", path.name]


def test_what_cannot_be_drawn_is_said_in_one_line(run, tiny_run, tmp_path):
    image = spot(tmp_path / "a.png", 64, 64, 30, 30)
    with pytest.raises(InputError, match="no class 'cat'"):
        score_map(run, image, "cat")
    with pytest.raises(InputError, match="--size 31"):
        score_map(run, image, size=31)
    with pytest.raises(InputError, match=r"b\.png.*no such file"):
        score_map(run, tmp_path / "b.png")
    with pytest.raises(InputError, match=r"\.png or \.svg"):
        save(draw(score_map(run, image)), tmp_path / "out.jpg")
    assert score_map(tiny_run, image).heat.shape == (3, 3)  # another net, its own classes and sizes
