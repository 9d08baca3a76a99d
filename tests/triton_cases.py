"""Runs the GPU kernels in Triton's interpreter, on the CPU; `test_lrn_triton.py` starts it in a process of its own.

It wants TRITON_INTERPRET=1 around it, since Triton must know before it is imported. Prints one JSON object: case ->
what was found.
"""

import json
import sys

import torch
from torch import Tensor

from alexnet.models import lrn_choice
from alexnet.models.lrn import local_response_norm
from normalising import answers, both_passes, errors

# name: shape, settings
CASES = {
    "odd window, two towers": ((2, 14, 3, 4), {"towers": 2}),
    "even window": ((1, 7, 2, 3), {"n": 4}),
    "window wider than the maps": ((2, 3, 2, 2), {"n": 8, "alpha_is": "mean"}),
    "window of one": ((1, 3, 2, 2), {"n": 1}),
    "one map": ((1, 1, 3, 3), {"beta": 0.6}),
    "more maps than a tile": ((1, 97, 2, 1), {"alpha_is": "mean", "k": 1.0}),
    "a seam within a tile": ((1, 40, 2, 2), {"towers": 2, "beta": 1.0}),
    "more positions than a tile": ((2, 4, 5, 7), {"n": 3}),
}


def with_gradient(dtype: torch.dtype, memory_format: torch.memory_format, *shape: int) -> tuple[Tensor, Tensor]:
    x, g = answers(*shape).to(dtype), answers(*shape, seed=1).to(dtype)
    return x.contiguous(memory_format=memory_format), g


def main() -> None:
    found: dict[str, object] = {"imported with the nets": "torch._dynamo" in sys.modules}
    from alexnet.models import lrn_triton

    for format in (torch.contiguous_format, torch.channels_last):
        for name, (shape, settings) in CASES.items():
            settings = {"alpha": 1e-3} | settings
            x, g = with_gradient(torch.float32, format, *shape)
            found[f"{name}, {format}"] = errors(x, g, "triton", **settings)
        x, g = with_gradient(torch.bfloat16, format, 2, 6, 3, 3)
        ours, exact = both_passes(x, g, "triton"), both_passes(x.double(), g.double())
        found[f"bfloat16, {format}"] = [float(((a - b).abs() / b.abs()).max()) for a, b in zip(ours, exact)]
    x, g = with_gradient(torch.float32, torch.contiguous_format, 2, 6, 3, 3)
    whole = torch.compile(local_response_norm, fullgraph=True, backend="aot_eager")
    found["inside torch.compile"] = errors(x, g, "triton", norm=whole, towers=2, alpha=1e-3)
    found["nothing"] = list(local_response_norm(x[:0], implementation="triton").shape)
    found["given up"] = sorted(lrn_choice._given_up)
    found["float64"] = errors(x.double(), g.double(), "triton")
    lrn_triton._forward_kernel = lrn_triton._backward_kernel = None  # as when Triton cannot compile
    found["after a failure"] = errors(x, g, "triton")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
