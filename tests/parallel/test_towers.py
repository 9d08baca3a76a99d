"""Two towers, replicas of them, and split fully-connected layers, in real processes beside one process."""

from typing import Any

import pytest
import torch

from alexnet.errors import InputError
from alexnet.models import Classifier, build
from alexnet.parallel.split_fully_connected import fully_connected_end, refuse_uneven
from alexnet.parallel.split_fully_connected import refuse_others as not_split
from alexnet.parallel.towers import refuse_odd
from alexnet.parallel.towers import refuse_others as not_two_towers
from parallel.launching import launched

EXACT = 1e-12  # of float64


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    """What two processes found, then four: one launch each."""
    two, four = launched(2, "parallel.working_on_towers:of_two"), launched(4, "parallel.working_on_towers:of_four")
    return [*two, *four]


def each(found: list[dict[str, Any]], topic: str) -> dict[str, Any]:
    return {f"{i}: {name}": told for i, process in enumerate(found) for name, told in process[topic].items()}


def test_every_scheme_finds_the_loss_the_wrong_answers_and_the_gradients_of_one_process(found):
    for name, far in each(found, "gradients").items():
        assert {of: value for of, value in far.items() if not value < EXACT} == {}, name
        assert far["wrong"] == 0


def test_steps_with_momentum_and_a_drop_of_the_rate_end_with_the_weights_of_one_process(found):
    for name, told in each(found, "steps").items():
        assert told["moved"] > 1e-4, name
        assert told["after two"] < EXACT, name
        assert told["after three"] < EXACT, name


def test_a_state_goes_from_one_process_to_several_and_back(found):
    for name, told in each(found, "steps").items():
        assert told["there"] < EXACT, name
        assert told["back"] < EXACT, name


def test_the_same_processes_take_up_a_state_to_the_last_bit(found):
    for name, told in each(found, "steps").items():
        assert told["to the bit"], name


def test_rows_that_fill_up_the_last_part_stay_zero(found):
    padded = [told["padding"] for name, told in each(found, "steps").items() if "frozen" not in name]
    assert any(padded)
    assert all(value == 0 for values in padded for value in values)


def test_a_part_keeps_the_order_in_memory(found):
    assert found[0]["channels last"] == [True] * 4


def test_bytes_of_a_step_are_those_of_the_arithmetic(found):
    for name, (counted, expected, _) in each(found, "bytes").items():
        assert counted == pytest.approx(expected, rel=1e-12), name
        assert counted > 0


def test_the_line_on_bytes_says_what_data_parallel_would_exchange(found):
    assert "; data-parallel would exchange 0.0" in found[0]["bytes"]["towers"][2]
    assert "data-parallel would" not in found[0]["bytes"]["data-parallel"][2]


def test_split_layers_refuse_micro_batches(found):
    assert "micro_batch" in found[0]["refused"]


@pytest.fixture(scope="module")
def nets() -> dict[str, Classifier]:
    """One of each kind, without numbers."""
    names = [
        "alexnet",
        "alexnet_2012",
        "alexnet_one_column",
        "alexnet_half",
        "caffe_alexnet",
        "caffenet",
        "alexnet_2014",
    ]
    names += ["vgg_a", "vgg_a_lrn", "vgg_a_bn", "vgg_cifar"]
    names += ["lenet5", "lenet5_softmax", "nin_cifar", "googlenet", "resnet20_cifar"]
    with torch.device("meta"):
        return {name: build(name) for name in names}


def test_only_nets_of_two_towers_are_divided_between_two_devices(nets):
    for name, net in nets.items():
        if name in ("alexnet", "alexnet_2012"):
            not_two_towers(net)
        else:
            with pytest.raises(InputError, match="alexnet or alexnet_2012, or leave --towers out"):
                not_two_towers(net)


def test_only_alexnets_and_vggs_have_fully_connected_layers_to_split(nets):
    for name, net in nets.items():
        if name.startswith(("vgg", "alexnet", "caffe")):
            not_split(net, fully_connected_end(net), 4)
        else:
            with pytest.raises(InputError, match="does not end in several fully-connected layers"):
                not_split(net, fully_connected_end(net), 4)


def test_numbers_that_do_not_divide_are_refused(nets):
    with pytest.raises(InputError, match=r"3 processes cannot hold two towers.*--devices 4"):
        refuse_odd(3)
    with pytest.raises(InputError, match=r"batch of 10 images.*multiple of 4"):
        refuse_uneven(10, 4)
    net = nets["alexnet"]
    with pytest.raises(InputError, match="4096 units of fc6 do not divide among 3"):
        not_split(net, fully_connected_end(net), 3)
