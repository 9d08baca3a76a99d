"""The response normalisation and its gradient by loops in NumPy and float64: what every implementation must equal."""

import numpy as np
import torch
from torch import Tensor

from alexnet.models.lrn import local_response_norm


def by_loop(x: np.ndarray, n=5, k=2.0, alpha=1e-4, beta=0.75, alpha_is="sum", towers=1) -> np.ndarray:
    """The formula, map by map."""
    return x.astype(np.float64) / brackets(x, n, k, alpha, alpha_is, towers) ** beta


def gradient_by_loop(
    x: np.ndarray, g: np.ndarray, n=5, k=2.0, alpha=1e-4, beta=0.75, alpha_is="sum", towers=1
) -> np.ndarray:
    """Each answer's share in each result: db_i/da_i directly, and db_i/da_j through the bracket of every window."""
    x, g = x.astype(np.float64), g.astype(np.float64)
    d = brackets(x, n, k, alpha, alpha_is, towers)
    each = alpha if alpha_is == "sum" else alpha / n
    gradient = g / d**beta
    for i in range(x.shape[1]):
        for j in window(i, n, x.shape[1] // towers):
            gradient[:, j] -= g[:, i] * x[:, i] * beta * d[:, i] ** (-beta - 1) * 2 * each * x[:, j]
    return gradient


def brackets(x: np.ndarray, n: int, k: float, alpha: float, alpha_is: str, towers: int) -> np.ndarray:
    """k + alpha * sum of squares, for each answer."""
    x = x.astype(np.float64)
    each = alpha if alpha_is == "sum" else alpha / n
    d = np.full_like(x, k)
    for i in range(x.shape[1]):
        for j in window(i, n, x.shape[1] // towers):
            d[:, i] += each * x[:, j] ** 2
    return d


def window(i: int, n: int, width: int) -> range:
    """The maps of map i's window, those of its tower only."""
    first = i // width * width
    return range(max(i - n // 2, first), min(i - n // 2 + n, first + width))


def answers(*shape: int, seed: int = 0, size: float = 60.0) -> Tensor:
    """Normal numbers, of the deviation that conv1's answers have."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * size


def both_passes(x: Tensor, g: Tensor, implementation="eager", norm=local_response_norm, **settings):
    """The result and the gradient of x, in the memory format of x."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = norm(x, **settings, implementation=implementation)
    y.backward(g)
    assert x.grad is not None
    return y.detach(), x.grad


def errors(x: Tensor, g: Tensor, implementation="eager", norm=local_response_norm, **settings) -> tuple[float, float]:
    """How far result and gradient lie from the loops', relative to the largest number of each."""
    y, gradient = both_passes(x, g, implementation, norm, **settings)
    assert y.stride() == gradient.stride() == x.stride()
    assert y.dtype == gradient.dtype == x.dtype
    wide, g_wide = x.double().numpy(), g.double().numpy()
    expected = by_loop(wide, **settings)
    expected_gradient = gradient_by_loop(wide, g_wide, **settings)
    return furthest(y, expected), furthest(gradient, expected_gradient)


def furthest(ours: Tensor, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest number."""
    return float(np.abs(ours.double().numpy() - expected).max() / np.abs(expected).max())
