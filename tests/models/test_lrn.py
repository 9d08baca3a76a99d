"""Response normalisation against a slow float64 loop, torch's module and numeric gradients."""

import copy
import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from alexnet.errors import InputError
from alexnet.models import lrn_choice, lrn_eager
from alexnet.models.lrn import (
    LRN,
    SpatialNorm,
    local_response_norm,
    response_norm_for,
    set_response_norm,
    works,
)
from normalising import answers, by_loop, errors, furthest


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 15])
@pytest.mark.parametrize(("alpha_is", "towers"), [("sum", 1), ("mean", 2)])
def test_it_equals_the_loop_for_odd_and_even_windows(n, alpha_is, towers):
    x = answers(2, 14, 3, 5)
    expected = by_loop(x.numpy(), n, 1.5, 1e-3, 0.75, alpha_is, towers)
    assert furthest(local_response_norm(x, n, 1.5, 1e-3, 0.75, alpha_is, towers), expected) < 1e-6


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    n=st.integers(1, 9),
    maps=st.integers(1, 11),
    towers=st.integers(1, 3),
    samples=st.integers(0, 5),
    side=st.integers(1, 6),
    beta=st.sampled_from([0.5, 0.75, 1.0]),
    alpha_is=st.sampled_from(["sum", "mean"]),
    channels_last=st.booleans(),
    chunk=st.sampled_from([1, 200, 1 << 20]),
    seed=st.integers(0, 1000),
)
def test_it_equals_the_loop_whatever_the_shape(
    n, maps, towers, samples, side, beta, alpha_is, channels_last, chunk, seed
):
    x = answers(samples, maps * towers, side, side + 1, seed=seed).double()
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    expected = by_loop(x.numpy(), n, 2.0, 1e-3, beta, alpha_is, towers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lrn_eager, "CHUNK_BYTES", chunk)
        y = local_response_norm(x, n, 2.0, 1e-3, beta, alpha_is, towers)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=0)
    assert y.stride() == x.stride()


@pytest.mark.parametrize("maps", [1, 3, 7, 97])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("n", "beta"), [(4, 0.75), (5, 0.6)])
def test_both_passes_equal_the_loop_for_odd_numbers_of_maps(maps, memory_format, n, beta):
    x, g = answers(3, maps, 4, 3), answers(3, maps, 4, 3, seed=1)
    x = x.contiguous(memory_format=memory_format)
    assert max(errors(x, g, n=n, beta=beta, alpha=1e-3)) < 1e-6


@settings(max_examples=25, deadline=None, derandomize=True)
@given(factor=st.floats(0.5, 50.0), maps=st.integers(2, 8), seed=st.integers(0, 99))
def test_normalised_answers_keep_their_sign_and_shrink(factor, maps, seed):
    x = answers(1, maps, 2, 2, seed=seed, size=factor)
    y = local_response_norm(x, k=1.0)
    assert torch.equal(y.sign(), x.sign())
    assert (y.abs() <= x.abs()).all()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), maps=st.integers(2, 9))
def test_turning_the_maps_round_turns_the_result_round_for_odd_windows(seed, maps):
    x = answers(2, maps, 2, 3, seed=seed)
    torch.testing.assert_close(local_response_norm(x.flip(1)), local_response_norm(x).flip(1))


@pytest.mark.parametrize("n", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("towers", [1, 2])
@pytest.mark.parametrize("beta", [0.75, 0.6])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_is_the_numeric_one(n, towers, beta, memory_format, monkeypatch):
    monkeypatch.setattr(lrn_eager, "CHUNK_BYTES", 150)  # several chunks
    x = answers(3, 6, 2, 3, size=1.0).double().contiguous(memory_format=memory_format).requires_grad_()
    # A large alpha, or the second term of the gradient would be lost in the tolerance.
    assert torch.autograd.gradcheck(lambda x: local_response_norm(x, n, 1.5, 0.4, beta, "sum", towers), x)


@pytest.mark.parametrize("shape", [(2, 96, 7, 7), (3, 37, 5, 4)])
def test_torch_divides_alpha_by_n_and_agrees_forward_and_backward(shape):
    theirs = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)
    x, g = answers(*shape), answers(*shape, seed=1, size=1.0)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours, other = local_response_norm(a, alpha_is="mean"), theirs(b)
    ours.backward(g)
    other.backward(g)
    torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-5)
    assert a.grad is not None
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)


def test_the_two_conventions_are_different_numbers():
    x = answers(1, 9, 4, 4)
    printed, divided = local_response_norm(x), local_response_norm(x, alpha_is="mean")
    assert ((printed - divided).abs().max() / divided.abs().max()) > 0.05


def test_a_seam_changes_only_the_maps_whose_window_would_cross_it():
    x = answers(1, 96, 3, 3)
    changed = (local_response_norm(x, towers=2) - local_response_norm(x)).abs().amax((0, 2, 3)) > 0
    assert changed.nonzero().flatten().tolist() == [46, 47, 48, 49]


def test_towers_are_the_halves_normalised_alone():
    x = answers(2, 10, 3, 3)
    apart = torch.cat([local_response_norm(half) for half in x.chunk(2, 1)], 1)
    assert torch.equal(local_response_norm(x, towers=2), apart)


@pytest.mark.parametrize("towers", [1, 3])
def test_channels_last_gives_the_same_numbers_and_keeps_the_format(towers):
    x, g = answers(3, 33, 5, 4), answers(3, 33, 5, 4, seed=1)
    a = x.clone().requires_grad_()
    b = x.clone(memory_format=torch.channels_last).requires_grad_()
    ya, yb = local_response_norm(a, towers=towers), local_response_norm(b, towers=towers)
    assert yb.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(ya, yb)
    ya.backward(g)
    yb.backward(g.contiguous(memory_format=torch.channels_last))
    assert a.grad is not None
    assert b.grad is not None
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-6, atol=1e-6)


def test_a_strided_input_and_a_strided_gradient_are_taken():
    x = answers(2, 8, 6, 6)
    cut = x[:, :, ::2, 1:5].detach().requires_grad_()
    whole = cut.detach().contiguous().requires_grad_()
    g = answers(2, 8, 4, 3, seed=1).transpose(2, 3)
    local_response_norm(cut).backward(g)
    local_response_norm(whole).backward(g.contiguous())
    assert cut.grad is not None
    assert whole.grad is not None
    assert torch.equal(cut.grad, whole.grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_input_is_computed_in_float32(dtype):
    x = answers(2, 20, 4, 4).to(dtype).requires_grad_()
    wide = x.detach().float().requires_grad_()
    y, expected = local_response_norm(x, alpha=1e-3), local_response_norm(wide, alpha=1e-3)
    assert y.dtype == dtype
    assert torch.equal(y, expected.to(dtype))  # one rounding, at the end
    g = answers(2, 20, 4, 4, seed=1).to(dtype)
    y.backward(g)
    expected.backward(g.float())
    assert x.grad is not None
    assert wide.grad is not None
    assert x.grad.dtype == dtype
    assert torch.equal(x.grad, wide.grad.to(dtype))


def test_only_the_input_is_kept_for_the_backward_pass():
    kept = []
    x = answers(2, 8, 3, 3).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        local_response_norm(x)
    assert [t.data_ptr() for t in kept] == [x.data_ptr()]


def test_maps_that_do_not_divide_into_towers_are_an_error():
    with pytest.raises(InputError, match="7 maps do not divide into 2 towers"):
        local_response_norm(answers(1, 7, 2, 2), towers=2)


@pytest.mark.parametrize("shape", [(0, 6, 3, 3), (2, 6, 0, 3)])
@pytest.mark.parametrize("implementation", ["eager", "compiled"])
def test_nothing_in_gives_nothing_out(shape, implementation):
    x = torch.zeros(shape, requires_grad=True)
    y = local_response_norm(x, towers=2, implementation=implementation)
    y.sum().backward()
    assert x.grad is not None
    assert y.shape == x.grad.shape == x.shape


def test_a_net_is_the_same_whatever_computes_its_normalisation():
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3), LRN(5, 2.0, 1e-4, 0.75, "sum", 2), nn.Sequential(LRN(3, 1.0, 1e-4, 1, "mean"))
    )
    before, weights = repr(net), list(net.state_dict())
    assert {stage.implementation for stage in net.modules() if isinstance(stage, LRN)} == {"eager"}
    set_response_norm(net, "compiled")
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    for other in (net, copy.deepcopy(net), torch.load(file, weights_only=False)):
        assert (repr(other), list(other.state_dict())) == (before, weights)
        assert {stage.implementation for stage in other.modules() if isinstance(stage, LRN)} == {"compiled"}
    with pytest.raises(InputError, match="no response normalisation 'fast': take eager, compiled, triton"):
        set_response_norm(net, "fast")


@pytest.fixture
def nothing_given_up(monkeypatch):
    monkeypatch.setattr(lrn_choice, "_given_up", set())
    monkeypatch.setattr(lrn_choice, "_refusals", set())


def test_a_short_run_is_not_compiled_and_a_long_one_is(nothing_given_up, monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setenv("CXX", "true")  # a program that is there
    assert response_norm_for(cpu, 60) == ("eager", "compiling pays in runs of 7 minutes and more")
    assert response_norm_for(cpu, 3600)[0] == response_norm_for(cpu, math.inf)[0] == "compiled"
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert response_norm_for(cpu, 3600) == ("eager", "no C++ compiler works here")
    assert not works("compiled", cpu)
    assert works("eager", cpu)


def test_a_gpu_gets_its_kernel_where_triton_serves_it(nothing_given_up, monkeypatch):
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(lrn_choice, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert response_norm_for(gpu, 1) == ("triton", "one GPU kernel a pass")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    assert response_norm_for(gpu, 1)[0] == "eager"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(lrn_choice, "find_spec", lambda name: None)
    assert response_norm_for(gpu, math.inf)[0] == "eager"
    assert not works("triton", gpu)
    assert response_norm_for(torch.device("mps"), math.inf)[0] == "eager"


def test_without_a_gpu_the_kernel_s_work_is_done_after_one_note(nothing_given_up, monkeypatch, capsys):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    x, g = answers(2, 6, 3, 3), answers(2, 6, 3, 3, seed=1)
    for _ in range(2):
        assert max(errors(x, g, "triton", towers=2)) < 1e-6
    said = capsys.readouterr().err.splitlines()
    assert said == ["response normalisation: 'eager' does the work of 'triton' (Triton does not work on cpu here)"]


def test_the_stage_passes_its_constants_on():
    x = answers(1, 6, 2, 2)
    stage = LRN(n=3, k=1.0, alpha=0.01, beta=0.5, alpha_is="mean", towers=2)
    assert torch.equal(stage(x), local_response_norm(x, 3, 1.0, 0.01, 0.5, "mean", 2))
    assert "alpha_is='mean', towers=2" in repr(stage)


def test_the_spatial_norm_equals_a_loop_over_positions():
    x = answers(2, 3, 6, 7)
    expected = np.empty(x.shape)
    wide = x.numpy().astype(np.float64)
    for i in range(6):
        for j in range(7):
            around = wide[:, :, max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3]
            bracket = 1 + 1e-3 / 25 * (around**2).sum((2, 3))
            expected[:, :, i, j] = wide[:, :, i, j] * bracket**-0.75
    assert furthest(SpatialNorm()(x), expected) < 1e-6
    assert torch.autograd.gradcheck(SpatialNorm(3, alpha=0.5), x[:1, :1, :4, :4].double().requires_grad_())
    with pytest.raises(InputError, match="no centre"):
        SpatialNorm(4)
