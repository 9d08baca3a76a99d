"""The layers, their sizes and their padding."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from alexnet.errors import InputError
from alexnet.models.blocks import Conv, ConvNorm, ConvReLU, FullyConnected, FullyConnectedReLU, MaxPool, output_size


@settings(max_examples=200, deadline=None, derandomize=True)
@given(side=st.integers(1, 60), kernel=st.integers(1, 12), stride=st.integers(1, 5), padding=st.integers(0, 5))
def test_output_size_counts_the_windows(side, kernel, stride, padding):
    if side + padding < kernel:
        with pytest.raises(InputError):
            output_size(side, kernel, stride, padding)
        return
    inside = [at for at in range(0, side + padding, stride) if at + kernel <= side + padding]
    assert output_size(side, kernel, stride, padding) == len(inside)
    last = inside[-1] + kernel
    assert output_size(side, kernel, stride, padding, "up") == len(inside) + (last < side + padding)


def test_an_impossible_size_names_the_layer_and_the_smallest_input():
    with pytest.raises(InputError, match=r"conv7: a window of 11 does not fit into 5 pixels .* at least 8"):
        output_size(5, 11, 4, 3, layer="conv7")


@pytest.mark.parametrize("side", [12, 13, 14, 15, 16])
@pytest.mark.parametrize("ends", [(0, 0), (1, 2), (0, 3), (2, 2)])
@pytest.mark.parametrize("rounding", ["down", "up"])
def test_a_convolution_with_uneven_ends_equals_one_on_a_padded_image(side, ends, rounding):
    conv = Conv(3, 4, 5, 4, ends, rounding, groups=1)
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    y = conv(x)
    assert y.shape[2:] == (conv.output_side(side),) * 2
    # Far more zeros at right and bottom than needed, then only the positions that exist.
    padded = functional.pad(x, (ends[0], ends[1] + 9, ends[0], ends[1] + 9))
    wide = functional.conv2d(padded, conv.weight, conv.bias, stride=4)
    torch.testing.assert_close(y, wide[:, :, : y.shape[2], : y.shape[3]])


def test_rounding_up_pads_each_side_by_its_own_need():
    conv = Conv(3, 2, 5, 4, rounding="up")
    assert conv(torch.zeros(1, 3, 14, 17)).shape == (1, 2, 4, 4)
    assert conv(torch.zeros(1, 3, 13, 18)).shape == (1, 2, 3, 5)


def test_relu_is_part_of_the_stage():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 8)
    plain, cut = Conv(3, 4, 3), ConvReLU(3, 4, 3)
    cut.load_state_dict(plain.state_dict())
    assert (plain(x) < 0).any()
    assert torch.equal(cut(x), plain(x).clamp(min=0))
    line, bent = FullyConnected((3, 8, 8), 9), FullyConnectedReLU((3, 8, 8), 9)
    bent.load_state_dict(line.state_dict())
    assert (line(x) < 0).any()
    assert torch.equal(bent(x), line(x).clamp(min=0))


@pytest.mark.parametrize(("side", "down", "up"), [(55, 27, 27), (54, 26, 27), (6, 2, 3), (3, 1, 1)])
def test_pooling_rounds_as_it_is_told(side, down, up):
    x = torch.randn(1, 2, side, side)
    for rounding, expected in (("down", down), ("up", up)):
        pool = MaxPool(3, 2, rounding)
        y = pool(x)
        assert y.shape[2] == pool.output_side(side) == expected
        corner = x[:, :, 2 * expected - 2 :, 2 * expected - 2 :]
        assert torch.equal(y[:, :, -1, -1], corner[:, :, :3, :3].amax((2, 3)))


def test_a_fully_connected_layer_slides_over_larger_maps():
    torch.manual_seed(0)
    layer = FullyConnected((4, 3, 2), 5)
    maps = torch.randn(2, 4, 5, 4)
    y = layer(maps)
    assert y.shape == (2, 5, 3, 3)
    for i in range(3):
        for j in range(3):
            torch.testing.assert_close(y[:, :, i, j], layer(maps[:, :, i : i + 3, j : j + 2]))


def test_a_pooling_that_rounds_up_says_of_maps_smaller_than_its_window_what_it_does():
    pool = MaxPool(3, 2, "up")
    assert pool.output_side(2) == pool(torch.zeros(1, 1, 2, 2)).shape[2] == 1
    for small in (pool, MaxPool(3, 2)):
        with pytest.raises(InputError, match="does not fit"):
            small.output_side(1)
    with pytest.raises(InputError, match="does not fit"):
        MaxPool(3, 2).output_side(2)


def test_batch_normalisation_of_one_number_a_map_is_refused_in_one_line():
    layer, image = ConvNorm(3, 2, 3), torch.rand(1, 3, 3, 3)
    with pytest.raises(InputError, match=r"batch of one image .* maps of 1 x 1: .* --optimiser\.batch"):
        layer(image)
    assert layer(image.expand(2, -1, -1, -1)).shape == (2, 2, 1, 1)
    assert layer(torch.rand(1, 3, 4, 3)).shape == (1, 2, 2, 1)
    assert layer.eval()(image).shape == (1, 2, 1, 1)


@pytest.mark.parametrize("side", [15, 31])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_maps_that_are_turned_for_their_pooling_give_torchs_numbers_to_the_bit(side, kind):
    # Rounded to halves and cut at 0: most windows have several greatest answers, of which one gets the gradient.
    torch.manual_seed(side)
    x = (torch.randn(4, 6, side, side) * 2).round().div(2).relu().to(kind).requires_grad_()
    for pool in (MaxPool(3, 2), MaxPool(3, 2, "up"), MaxPool(2, 2, padding=1)):
        y = pool(x)
        ceil = pool.rounding == "up"
        expected = functional.max_pool2d(x, pool.kernel, pool.stride, pool.padding, ceil_mode=ceil)
        g = torch.randn_like(expected)
        ours, theirs = (torch.autograd.grad(out, x, g)[0] for out in (y, expected))
        assert torch.equal(y, expected)
        assert torch.equal(ours, theirs)
        assert y.is_contiguous()
        with torch.no_grad():
            assert torch.equal(pool(x), expected)
            last = x.contiguous(memory_format=torch.channels_last)
            assert pool(last).is_contiguous(memory_format=torch.channels_last)


def test_maps_are_turned_where_that_pays():
    asked = []
    pool, plain = MaxPool(), functional.max_pool2d

    def see(x, *arguments, **named):
        asked.append(x.is_contiguous(memory_format=torch.channels_last))
        return plain(x, *arguments, **named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(functional, "max_pool2d", see)
        for side, learns in ((15, True), (31, True), (31, False)):
            pool(torch.randn(2, 3, side, side).requires_grad_(learns))
    assert asked == [True, False, True]
