"""Saliency, occlusion and Grad-CAM: numbers by a slow second way, and places by nets that look at one place alone."""

import numpy as np
import pytest
import torch

from alexnet.errors import InputError
from alexnet.models import build
from alexnet.models.alignment import alignment
from alexnet.pictures.explain import gradcam, gradient, last_maps, occlusion, saliency


def made(name, size, classes=3, double=False, seed=0):
    """A net of random weights whose answers differ clearly from image to image."""
    torch.manual_seed(seed)
    net = build(name, classes, size, start="he").eval()
    with torch.no_grad():
        for p in net.stages[net.classifier_stage].parameters():
            p.mul_(30)
    net.set_preprocessing([110.0, 120.0, 130.0], 60.0)
    return net.double() if double else net


def noise(size, seed=1, dtype=torch.float32):
    return torch.randint(0, 256, (1, 3, size, size), generator=torch.Generator().manual_seed(seed)).to(dtype)


def looking_at(rows, columns):
    """A net of 32 pixels whose second class is the brightness of these pixels of c1's maps, and nothing else."""
    net = build("lenet5_softmax", 2, 32).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
        net.get_submodule("c1").weight[:, :, 2, 2] = 0.3
        net.get_submodule("c3").weight[:, :, 2, 2] = 0.3
        net.get_submodule("c5").weight[:, :, rows, columns] = 0.01  # of the 5 x 5 positions of s4
        net.get_submodule("f6").weight[0] = 0.02
        net.get_submodule("output").weight[1, 0] = 20.0
    net.set_preprocessing([0.0, 0.0, 0.0], 255.0)
    return net


@pytest.mark.parametrize(("name", "size"), [("tiny", 67), ("resnet20_cifar", 16)])
def test_the_gradient_is_that_of_finite_differences(tiny, name, size):
    net, image = made(name, size, double=True), noise(size, dtype=torch.float64)
    found = gradient(net, image, 1)
    chance = np.random.default_rng(0)
    places = [(int(chance.integers(3)), *map(int, chance.integers(5, size - 5, 2))) for _ in range(12)]
    step = 1e-5
    for c, y, x in places:
        up, down = image.clone(), image.clone()
        up[0, c, y, x] += step
        down[0, c, y, x] -= step
        with torch.no_grad():
            slope = float(net(up)[0, 1] - net(down)[0, 1]) / (2 * step)
        assert np.isclose(float(found[c, y, x]), slope, rtol=1e-4, atol=1e-9)
    assert torch.equal(saliency(net, image, 1), found.abs().max(0).values)
    assert float(found.abs().max()) > 1e-4
    assert image.grad is None


@pytest.mark.parametrize(("row", "column"), [(1, 1), (2, 3), (4, 0)])
def test_what_a_net_looks_at_lights_up_and_the_rest_stays_dark(row, column):
    net, image = looking_at(row, column), torch.full((1, 3, 32, 32), 80.0)
    # Position (r, c) of s4 averages c3's at 2r and 2r + 1, whose middle is pixel 2 (2r + 2) + 2 of the image.
    seen = [slice(4 * place + 6, 4 * place + 10) for place in (row, column)]
    steep = saliency(net, image, 1)
    lit = torch.zeros(32, 32, dtype=torch.bool)
    lit[seen[0], seen[1]] = True
    assert torch.equal(steep > 0, lit)
    falls, at = occlusion(net, image, 1, side=4, step=2)
    best = np.unravel_index(int(falls.argmax()), falls.shape)
    centre = [at.first + at.step * place for place in best]
    assert [abs(c - (s.start + 1.5)) <= 1.5 for c, s in zip(centre, seen, strict=True)] == [True, True]
    middles = at.first + at.step * np.arange(len(falls))
    apart = [(middles + 1.5 < s.start) | (middles - 1.5 > s.stop - 1) for s in seen]  # squares beside the place
    beside = apart[0][:, None] | apart[1][None, :]
    assert float(falls.numpy()[beside].max()) < 0.01 * float(falls.max())
    assert beside.mean() > 0.8


@pytest.mark.parametrize(("side", "step"), [(9, 4), (4, 5), (7, 6)])
def test_occlusion_is_that_of_a_slow_loop(tiny, side, step):
    net, image = made(tiny, 67), noise(67)
    falls, at = occlusion(net, image, 2, side, step, batch=7)
    grey = np.array([110.0, 120.0, 130.0])
    with torch.no_grad():
        whole = float(net(image).softmax(1)[0, 2])
        for i in range(falls.shape[0]):
            for j in (0, 3, falls.shape[1] - 1):
                hidden = image[0].numpy().copy()
                middle = at.first + step * i, at.first + step * j
                for y in range(67):
                    for x in range(67):
                        if abs(y - middle[0]) <= (side - 1) / 2 and abs(x - middle[1]) <= (side - 1) / 2:
                            hidden[:, y, x] = grey
                fall = whole - float(net(torch.from_numpy(hidden)[None]).softmax(1)[0, 2])
                assert np.isclose(float(falls[i, j]), fall, atol=1e-6)
    assert float(falls.abs().max()) > 1e-3
    # The cells of one step about the centres cover the image.
    assert at.first - step / 2 <= -0.5
    assert 66.5 <= at.first + step * (len(falls) - 0.5) < 66.5 + step


def test_gradcam_is_its_formula_with_slopes_by_finite_differences():
    net, image = made("lenet5_softmax", 32, double=True), noise(32, dtype=torch.float64)
    found, _ = gradcam(net, image, 1, "s4")
    names = list(net.stages)

    def score(maps):
        for name in names[names.index("s4") + 1 :]:
            maps = net.stages[name](maps)
        return float(maps[0, 1])

    with torch.no_grad():
        maps, step = net.features(image, "s4"), 1e-5
        slopes = np.zeros(maps.shape[1:])
        for place in np.ndindex(slopes.shape):
            up, down = maps.clone(), maps.clone()
            up[0][place] += step
            down[0][place] -= step
            slopes[place] = (score(up) - score(down)) / (2 * step)
    weights = slopes.mean((1, 2))
    slow = np.maximum((weights[:, None, None] * maps[0].numpy()).sum(0), 0)
    assert np.allclose(found.numpy(), slow, atol=1e-9)
    assert slow.max() > 1e-3


@pytest.mark.parametrize(
    ("name", "size", "stages"),
    [
        ("tiny", 67, ["conv1", "pool1", "conv2", "pool2", "conv5"]),
        ("tiny", 91, ["conv1", "conv3", "pool5"]),
        ("resnet20_cifar", 32, ["conv1", "conv2_x", "conv3_x", "conv4_x"]),
        ("nin_cifar", 32, ["conv1", "pool1", "cccp4", "pool2"]),
        ("lenet5", 40, ["c1", "s2", "s4"]),
        ("googlenet", 64, ["pool1", "conv2", "inception3a"]),
    ],
)
def test_a_position_of_a_stage_sees_the_rows_that_its_alignment_says(tiny, name, size, stages):
    net = made(name, size)
    rows = torch.arange(0, size, 3)
    images = noise(size).repeat(len(rows), 1, 1, 1)
    images[torch.arange(len(rows)), :, rows] = float("nan")
    for stage in stages:
        at = alignment(net, stage)
        with torch.no_grad():
            reached = net.features(images, stage).isnan().any(1).any(2)  # [images, positions]
        centres = at.first + at.step * torch.arange(reached.shape[1])
        sees = (rows[:, None] - centres[None]).abs() <= (at.field - 1) / 2
        assert torch.equal(reached, sees), stage
        assert sees.any(), stage


@pytest.mark.parametrize(("y", "x"), [(20, 20), (60, 44), (36, 68)])
def test_gradcam_on_a_padded_and_strided_net_lies_on_the_spot(y, x):
    net = build("alexnet_one_column", 2, 99).eval()
    with torch.no_grad():
        for name, stage in net.stages.items():
            for p in stage.parameters():
                p.zero_()
            if name.startswith("conv"):
                middle = stage.kernel_size[0] // 2
                stage.weight[:, :, middle, middle] = 1.0 / stage.weight.shape[1]
            elif name.startswith("fc"):
                stage.weight[1 if name == "fc8" else slice(None)] = 1.0 / stage.weight.shape[1]
    net.set_preprocessing([0.0, 0.0, 0.0], 1.0)
    image = torch.zeros(1, 3, 99, 99)
    image[:, :, y - 6 : y + 7, x - 6 : x + 7] = 255.0
    heat, at = gradcam(net, image, 1, "conv5")
    hot = torch.nonzero(heat > 0.5 * heat.max()).float().mean(0)
    assert float((at.first + at.step * hot - torch.tensor([y, x])).abs().max()) <= at.step
    assert int((heat > 0).sum()) < heat.numel()


def test_what_has_no_maps_or_no_room_is_refused():
    net, image = made("lenet5_softmax", 32), noise(32)
    assert last_maps(net) == "c3"
    with pytest.raises(InputError, match=r"f6 of lenet5_softmax has no maps.*such as c3"):
        gradcam(net, image, 0, "f6")
    with pytest.raises(InputError, match="no stage 'conv1'"):
        gradcam(net, image, 0, "conv1")
    with pytest.raises(InputError, match="give 1 to 31"):
        occlusion(net, image, 0, side=32, step=2)
