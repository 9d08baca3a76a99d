"""Foreign weights as the state of one of our nets."""

import math

import torch
from torch import Tensor, nn

from alexnet.exchange.layers import Layer
from alexnet.exchange.recognise import WEIGHTED, Pairing


def state_of(pairing: Pairing) -> dict[str, Tensor]:
    """Our state's weights from the layers that lie under ours, without mean, scale and side classifiers."""
    net, state = pairing.net, {}
    for layer, theirs in pairing.pairs:
        if layer.kind in WEIGHTED:
            module = net.get_submodule(layer.name)
            norm = net.get_submodule(f"{layer.name.rpartition('.')[0]}.norm") if layer.norm else None
            state |= _weights(layer, theirs, module.bias is not None, norm)
    return state


def _weights(layer: Layer, theirs: Layer, with_bias: bool, norm: nn.Module | None) -> dict[str, Tensor]:
    """Weights of one convolution or fully-connected layer of ours, and of its batch normalisation."""
    zeros = torch.zeros(layer.maps)
    bias = theirs.tensors.get("bias", zeros)
    state = {f"{layer.name}.weight": theirs.tensors["weight"]}
    if with_bias:
        state[f"{layer.name}.bias"], bias = bias, zeros
    if not isinstance(norm, nn.BatchNorm2d):
        return state
    if theirs.norm:
        weight, shift, mean, variance, eps = (
            theirs.tensors[f"norm.{name}"] for name in ("weight", "bias", "running_mean", "running_var", "eps")
        )
        weight = weight * ((variance + norm.eps) / (variance + eps)).sqrt()  # 1 where both add the same eps
        mean = mean - bias
    else:  # folded into the convolution: the normalisation adds its bias, and else does nothing
        weight, shift = torch.full((layer.maps,), math.sqrt(1 + norm.eps)), bias
        mean, variance = zeros, torch.ones(layer.maps)
    prefix = f"{layer.name.rpartition('.')[0]}.norm"
    return state | {
        f"{prefix}.weight": weight,
        f"{prefix}.bias": shift,
        f"{prefix}.running_mean": mean,
        f"{prefix}.running_var": variance,
        f"{prefix}.num_batches_tracked": torch.tensor(0),
    }
