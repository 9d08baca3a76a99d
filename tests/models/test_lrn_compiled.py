"""The compiled response normalisation against the loops; few shapes, since every compilation takes seconds."""

import shutil

import pytest
import torch
from torch import nn

from alexnet.models import lrn_choice, lrn_compiled
from alexnet.models.lrn import LRN, local_response_norm, works
from alexnet.models.lrn_formula import Constants
from normalising import answers, both_passes, errors

CPU = torch.device("cpu")
needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(lrn_choice, "_given_up", set())
    torch._dynamo.utils.counters.clear()


def compilations() -> int:
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@needs_a_compiler
def test_one_compilation_serves_every_batch_and_every_width(monkeypatch):
    monkeypatch.setattr(lrn_compiled.lrn_eager, "CHUNK_BYTES", 2000)
    shapes = [(4, 14, 5, 3), (1, 6, 2, 2), (7, 194, 2, 3), (2, 96, 4, 4)]
    for shape in shapes:
        x, g = answers(*shape), answers(*shape, seed=1)
        assert max(errors(x, g, "compiled", towers=2, alpha=1e-3)) < 1e-6, shape
        assert works("compiled", CPU)
    assert compilations() == 4  # forward in one loop, backward in three
    with torch.autocast("cpu", torch.bfloat16):
        both_passes(x, g, "compiled", towers=2, alpha=1e-3)
    assert compilations() == 4


@pytest.mark.slow
@needs_a_compiler
@pytest.mark.parametrize(("n", "beta", "towers"), [(5, 0.75, 1), (4, 0.6, 3)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_formats_equal_the_loop(n, beta, towers, memory_format, dtype):
    for maps in (3, 21, 291):
        x = answers(3, maps, 4, 3).to(dtype).contiguous(memory_format=memory_format)
        g = answers(3, maps, 4, 3, seed=1).to(dtype)
        near = 1e-6 if dtype == torch.float32 else 1e-13
        assert max(errors(x, g, "compiled", n=n, beta=beta, towers=towers, alpha_is="mean", alpha=1e-3)) < near
    assert works("compiled", CPU)


@pytest.mark.slow
@needs_a_compiler
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_sixteen_bit_input_is_rounded_once(memory_format):
    x, g = (answers(2, 20, 4, 4, seed=seed).bfloat16().contiguous(memory_format=memory_format) for seed in (0, 1))
    y, gradient = both_passes(x, g, "compiled", alpha=1e-3)
    wide_y, wide_gradient = both_passes(x.double(), g.double(), alpha=1e-3)
    assert y.dtype == gradient.dtype == torch.bfloat16
    # Half a step of bfloat16 is at most 2^-8 of a number; float32's own error before it is far below.
    assert ((y - wide_y).abs() <= wide_y.abs() * (2**-8 + 1e-6)).all()
    assert ((gradient - wide_gradient).abs() <= wide_gradient.abs() * (2**-8 + 1e-6) + 1e-6).all()
    assert works("compiled", CPU)


@pytest.mark.slow
@needs_a_compiler
def test_it_works_in_inference_mode_and_in_a_net_that_is_compiled_as_a_whole():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), LRN(5, 2.0, 1e-3, 0.75, "sum", 2), nn.MaxPool2d(3, 2))
    x = answers(2, 3, 9, 9, size=20.0)
    expected = net(x).detach()
    net[2].implementation = "compiled"
    with torch.inference_mode():
        torch.testing.assert_close(net(x), expected, rtol=1e-5, atol=1e-5)
    assert works("compiled", CPU)
    torch.testing.assert_close(torch.compile(net, fullgraph=True)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_torch_s_compiler_sees_the_plain_formula_without_a_break(memory_format):
    whole = torch.compile(local_response_norm, fullgraph=True, backend="aot_eager", dynamic=False)
    x, g = answers(2, 14, 3, 4).contiguous(memory_format=memory_format), answers(2, 14, 3, 4, seed=1)
    assert max(errors(x, g, "compiled", norm=whole, n=4, towers=2, alpha=1e-3)) < 1e-6


def test_an_exported_net_holds_torch_s_operations_alone():
    stage = LRN(5, 2.0, 1e-3, 0.75, "sum", 2)
    stage.implementation = "compiled"
    x = answers(3, 8, 4, 4)
    batch = torch.export.Dim("batch")
    exported = torch.export.export(stage, (x,), dynamic_shapes={"x": {0: batch}})
    called = {str(node.target).split(".")[0] for node in exported.graph.nodes if node.op == "call_function"}
    assert called == {"aten"}
    other = answers(5, 8, 4, 4, seed=1)
    expected = local_response_norm(other, alpha=1e-3, towers=2)
    torch.testing.assert_close(exported.module()(other), expected, rtol=1e-5, atol=1e-6)


def test_a_compiler_that_fails_costs_one_note_and_no_result(monkeypatch, capsys):
    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("CppCompileError: C++ compile error\nand a hundred lines more")

    monkeypatch.setenv("CXX", "true")
    monkeypatch.setattr(lrn_compiled._Loops, "of", lambda constants: Broken())
    x, g = answers(2, 8, 3, 3), answers(2, 8, 3, 3, seed=1)
    for _ in range(2):
        assert max(errors(x, g, "compiled", towers=2)) < 1e-6
    said = capsys.readouterr().err.splitlines()
    assert said == ["response normalisation: 'eager' does the work of 'compiled' (CppCompileError: C++ compile error)"]
    assert not works("compiled", CPU)


def test_no_chunk_is_one_row_beside_others(monkeypatch):
    monkeypatch.setattr(lrn_compiled.lrn_eager, "CHUNK_BYTES", 1)
    for count in range(9):
        parts = lrn_compiled._even_chunks(torch.zeros(count, 3, 2))
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(count))
        assert count < 2 or min(part.stop - part.start for part in parts) >= 2


def test_loops_are_kept_for_the_same_constants():
    constants = Constants(5, 2.0, 1e-4, 0.75, 2)
    assert lrn_compiled._Loops.of(constants) is lrn_compiled._Loops.of(Constants(5, 2.0, 1e-4, 0.75, 2))
