"""Dropout's two writings, and draws that do not depend on how a batch is cut up."""

import pytest
import torch
from torch import Tensor, nn

from alexnet.errors import InputError
from alexnet.models import Dropout, begin_step, draw_ahead, take_rows


def test_the_papers_dropout_masks_in_training_and_scales_at_test():
    torch.manual_seed(0)
    drop, x = Dropout(0.75, "paper"), torch.rand(40, 500) + 1
    y = drop(x)
    kept = y != 0
    assert torch.equal(y[kept], x[kept])
    assert abs(float(kept.float().mean()) - 0.75) < 0.01
    assert torch.equal(drop.eval()(x), x * 0.75)


def test_inverted_dropout_scales_in_training_and_not_at_test():
    torch.manual_seed(0)
    drop, x = Dropout(0.8, "inverted"), torch.rand(40, 500) + 1
    y = drop(x)
    kept = y != 0
    torch.testing.assert_close(y[kept], x[kept] / 0.8)
    assert abs(float(kept.float().mean()) - 0.8) < 0.01
    assert torch.equal(drop.eval()(x), x)


def test_parts_of_a_batch_are_dropped_as_the_whole():
    net = nn.Sequential(Dropout(), nn.Identity(), Dropout())
    x = torch.ones(10, 50)
    begin_step(net, 7, 3, slice(0, 10), 10)
    whole = net(x)
    parts = []
    for rows in (slice(0, 4), slice(4, 5), slice(5, None)):
        begin_step(net, 7, 3, rows, 10)
        parts.append(net(x[rows]))
    assert torch.equal(torch.cat(parts), whole)
    assert 0 < whole.sum() < whole.numel()


def test_draws_differ_between_seeds_steps_and_layers():
    first, second = Dropout(), Dropout()
    net, x = nn.Sequential(first, second), torch.ones(4, 100)

    def masks(seed: int, step: int) -> tuple[Tensor, Tensor]:
        begin_step(net, seed, step, slice(0, 4), 4)
        return first(x), second(x)

    a, b = masks(1, 2)
    assert torch.equal(masks(1, 2)[0], a)
    for other in (b, masks(2, 2)[0], masks(1, 3)[0], masks(2, 1)[0]):
        assert 0.3 < float((a != other).float().mean()) < 0.7


def test_a_draw_leaves_the_global_generator_alone():
    drop = Dropout()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    begin_step(drop, 0, 0, slice(0, 2), 2)
    drop(torch.ones(2, 9))
    assert torch.equal(torch.rand(3), expected)


def test_rows_that_do_not_fit_the_draw_are_an_error():
    drop = Dropout()
    begin_step(drop, 0, 0, slice(0, 4), 8)
    with pytest.raises(InputError, match="call begin_step"):
        drop(torch.ones(3, 9))


def test_processes_that_hold_parts_of_the_units_drop_as_one_that_holds_all():
    whole, parts = Dropout(), [Dropout(units=(part, 3)) for part in range(3)]
    x, rows = torch.rand(8, 12, 2, 2) + 1, slice(2, 7)
    for net in (whole, *parts):
        begin_step(net, 7, 3, rows, 8)
    expected = whole(x[rows])
    assert torch.equal(torch.cat([drop(own) for drop, own in zip(parts, x[rows].chunk(3, 1))], 1), expected)
    for net in (whole, *parts):
        draw_ahead(net, 7, 4)
        take_rows(net, rows)
    later = whole(x[rows])
    assert torch.equal(torch.cat([drop(own) for drop, own in zip(parts, x[rows].chunk(3, 1))], 1), later)
    assert not torch.equal(later, expected)
