"""The GPU kernels: right in Triton's interpreter, and compiled for an H100 as they are meant to be; without a GPU."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from alexnet.models import lrn_choice
from triton_cases import CASES

pytest.importorskip("triton")
FORMATS = ("torch.contiguous_format", "torch.channels_last")


@pytest.fixture(scope="module")
def interpreted() -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(here / "triton_cases.py")],
        env=os.environ | {"PYTHONPATH": str(here), "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def found(interpreted) -> dict:
    return json.loads(interpreted.stdout)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("memory_format", FORMATS)
def test_both_passes_equal_the_loop(found, name, memory_format):
    assert max(found[f"{name}, {memory_format}"]) < 1e-6


@pytest.mark.parametrize("memory_format", FORMATS)
def test_sixteen_bit_input_is_rounded_once(found, memory_format):
    # A step of bfloat16 is at most 2^-7 of a number; the interpreter cuts where a GPU rounds.
    assert 2**-12 < max(found[f"bfloat16, {memory_format}"]) <= 2**-7


def test_torch_s_compiler_takes_the_kernels_as_they_are(found):
    assert max(found["inside torch.compile"]) < 1e-6


def test_torch_s_compiler_is_not_imported_with_the_nets_and_asks_once_all_the_same(found):
    assert not found["imported with the nets"]

    @torch.compiler.assume_constant_result
    def marked():
        pass

    assert vars(lrn_choice._has_triton) == vars(marked)


def test_an_empty_batch_starts_no_kernel(found):
    assert found["nothing"] == [0, 6, 3, 3]


def test_what_the_kernels_cannot_do_is_done_without_them_after_a_note(found, interpreted):
    assert found["given up"] == []  # until then, the kernels did all the work
    assert max(found["float64"]) < 1e-12
    assert max(found["after a failure"]) < 1e-6
    said = interpreted.stderr.splitlines()
    assert len(said) == 2
    assert "float64 came" in said[0]
    assert "'eager' does the work of 'triton' ('NoneType' object is not subscriptable)" in said[1]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("kernel", "tensors", "reads"), [("forward", ("x", "out"), 5), ("backward", ("x", "g", "out"), 14)]
)
def test_a_kernel_for_an_h100_reads_whole_rows_and_no_number_twice(kernel, tensors, reads, channels_last):
    """5 reads a number forward; backward 9 of x and 5 of g: shared between the shifts, or it would be 30."""
    compiled = compiled_for_h100(f"_{kernel}_kernel", tensors, channels_last)
    program = compiled.asm["ptx"]
    numbers = 32 * 32 // (8 * 32)  # that a thread has of a tile
    assert len(re.findall(r"ld\.global", program)) == reads * numbers
    assert len(re.findall(r"st\.global", program)) == numbers
    assert "cvt.rn.bf16" in program  # rounded to the nearest
    assert compiled.metadata.shared == 0
    # Neighbouring threads read neighbouring numbers, in either format.
    layout = re.search(r"sizePerThread = \[1, 1\], threadsPerWarp = \[(\d+), (\d+)\]", compiled.asm["ttgir"])
    assert layout is not None
    assert layout.groups() == (("32", "1") if channels_last else ("1", "32"))


def compiled_for_h100(name: str, tensors: tuple[str, ...], channels_last: bool):
    import triton
    from triton.backends.compiler import GPUTarget

    from alexnet.models import lrn_triton

    kernel = getattr(lrn_triton, name)
    step = "map_stride" if channels_last else "position_stride"
    constants = {"N": 5, "BY_ROOTS": True, "MAPS": lrn_triton.MAPS, "POSITIONS": lrn_triton.POSITIONS, step: 1}
    kinds = dict.fromkeys(tensors, "*bf16") | dict.fromkeys(("k", "each", "beta"), "fp32")
    signature = {each: "constexpr" if each in constants else kinds.get(each, "i32") for each in kernel.arg_names}
    places = {(kernel.arg_names.index(each),): value for each, value in constants.items()}
    source = triton.compiler.ASTSource(fn=kernel, signature=signature, constexprs=places, attrs={})
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=lrn_triton.OPTIONS)
