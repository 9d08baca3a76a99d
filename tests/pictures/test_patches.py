"""The strongest patches of each filter: which, where, and what they are cut from."""

import numpy as np
import pytest
import torch

from alexnet.errors import InputError
from alexnet.models import build
from alexnet.models.alignment import Alignment, alignment
from alexnet.pictures.patches import patch, spread, strongest


def net_and_images(name, size, count=17):
    torch.manual_seed(3)
    net = build(name, 3, size, start="he").eval()
    images = torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(4)).float()
    images[5] = images[11]  # equal answers: the earlier image wins
    return net, images


@pytest.mark.parametrize(("name", "size", "stage"), [("tiny", 67, "conv2"), ("resnet20_cifar", 16, "conv3_x")])
def test_they_are_those_of_a_slow_search(tiny, name, size, stage):
    net, images = net_and_images(name, size)
    batches = iter([images[:6], images[6:12], images[12:]])
    found = strongest(net, batches, stage, k=4)
    with torch.no_grad():
        maps = torch.cat([net.features(batch, stage) for batch in (images[:6], images[6:12], images[12:])]).numpy()
    for unit in range(maps.shape[1]):
        rows = []
        for number in range(len(images)):
            high = maps[number, unit]
            y, x = np.argwhere(high == high.max())[0]
            rows.append((-float(high[y, x]), number, int(y), int(x)))
        rows.sort()
        for place, (answer, number, y, x) in enumerate(rows[:4]):
            assert float(found.answers[unit, place]) == -answer
            assert int(found.images[unit, place]) == number
            assert found.places[unit, place].tolist() == [y, x]
    assert next(batches, None) is None  # one pass over what can be read once


@pytest.mark.parametrize(
    ("name", "size", "stage"), [("tiny", 67, "conv2"), ("nin_cifar", 32, "cccp4"), ("resnet20_cifar", 32, "conv2_x")]
)
def test_an_answer_depends_on_its_patch_alone(tiny, name, size, stage):
    net, images = net_and_images(name, size, 12)
    at = alignment(net, stage)
    found = strongest(net, [images], stage, k=2)
    other = torch.randint(0, 256, images.shape[1:], generator=torch.Generator().manual_seed(9)).float()
    seen_parts = 0
    for unit in spread(len(found.answers), 6):
        number, (y, x) = int(found.images[unit, 0]), found.places[unit, 0].tolist()
        seen = patch(images[number].byte().permute(1, 2, 0).numpy(), (y, x), at)
        assert seen.shape == (at.field, at.field, 4)
        # The patch alone, laid back on another image, gives the answer.
        top, left = (round(at.first + at.step * one - (at.field - 1) / 2) for one in (y, x))
        mixed = other.clone()
        for i, j in np.argwhere(seen[:, :, 3] == 255):
            mixed[:, top + i, left + j] = torch.from_numpy(seen[i, j, :3].astype(np.float32))
        with torch.no_grad():
            answer = net.features(mixed[None], stage)[0, unit, y, x]
        assert torch.isclose(answer, found.answers[unit, 0], rtol=1e-4)
        seen_parts += bool((seen[:, :, 3] == 0).any())
    assert net.size == size


def test_beyond_the_edge_a_patch_is_transparent_and_a_field_larger_than_the_image_is_cut():
    view = np.full((10, 10, 3), 200, np.uint8)
    corner = patch(view, (0, 2), Alignment(0.0, 3, 5))
    assert (corner[:2, :, 3] == 0).all()
    assert (corner[2:, :, 3] == 255).all()
    assert patch(view, (0, 0), Alignment(4.5, 1, 30)).shape == (10, 10, 4)


def test_units_are_spread_evenly_over_all():
    assert spread(5) == [0, 1, 2, 3, 4]
    assert spread(256, 4) == [0, 85, 170, 255]


def test_a_stage_of_units_and_no_image_are_refused():
    net, images = net_and_images("lenet5", 32, 12)
    with pytest.raises(InputError, match="no maps"):
        strongest(net, [images], "f6", 3)
    with pytest.raises(InputError, match="no image"):
        strongest(net, [], "c1", 3)
