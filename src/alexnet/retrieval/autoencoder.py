"""Codes by an auto-encoder: a net that has to give a vector back after it went through a few bits.

Encoder and decoder have one hidden layer each. The code layer is logistic, and noise is added to its inputs in
training: only values near 0 and 1 come through it unharmed, so that the code becomes binary and the threshold 0.5
loses little (R. Salakhutdinov, G. Hinton, "Semantic hashing", 2009, section 2.2). Codes of images by auto-encoders:
A. Krizhevsky, G. Hinton, "Using Very Deep Autoencoders for Content-Based Image Retrieval", 2011. Departures: theirs
are five layers deep, on pixels, and begun layer by layer; ours is shallow, as it compresses features that a deep
net has made, and needs no such start. It sees the vectors' first principal components, at most 256, whose
distances are those of the vectors but for the little that is cut off; the components become part of the first layer.

The loop of `training` is for labelled images, their augmentation and their error; of it this takes the rule of the
rate. All chance comes from (seed, step), as there.
"""

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.draws import generator
from alexnet.progress import bar
from alexnet.retrieval.components import principal_components
from alexnet.training.optimise import one_cycle

COMPONENTS = 256
HIDDEN = 512
NOISE = 2.0  # standard deviation at the logistic units' inputs, reached over the first half of the steps
STEPS = 2000
BATCH = 128
RATE = 1e-3  # of Adam, at its peak
WARM_UP = 0.1


def fit_autoencoder(vectors: np.ndarray, bits: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Train an auto-encoder; give its encoder: layers [d, hidden] and [hidden, bits].

    Args:
        vectors: float32 [n, d], centred.
        bits: units of the code layer.
        seed: of weights, order and noise.
    """
    width = min(COMPONENTS, *vectors.shape)
    components = principal_components(vectors, width, seed)
    projected = vectors @ components
    scale = float(projected.std()) or 1.0
    encoder, decoder = made(width, bits, seed)
    train(encoder, decoder, torch.from_numpy(projected / scale), seed)
    first, last = encoder[0], encoder[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    weight = components @ first.weight.detach().numpy().T / scale
    layers = [(weight, first.bias), (last.weight.T, last.bias)]
    return [(_array(weight), _array(bias)) for weight, bias in layers]


def made(width: int, bits: int, seed: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder [n, width] -> [n, bits] before the logistic units, and decoder [n, bits] -> [n, width]."""
    encoder = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, bits))
    decoder = nn.Sequential(nn.Linear(bits, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, width))
    chance = generator(seed, 0, "autoencoder")
    with torch.no_grad():
        for layer in (*encoder, *decoder):
            if isinstance(layer, nn.Linear):
                layer.weight.normal_(0, layer.in_features**-0.5, generator=chance)
                layer.bias.zero_()
    return encoder, decoder


def train(encoder: nn.Module, decoder: nn.Module, vectors: Tensor, seed: int) -> None:
    """Minimise the mean squared difference between vectors, float32 [n, width], and what comes back; in place."""
    batch = min(BATCH, len(vectors))
    each = len(vectors) // batch  # steps an epoch; the few left over are others every time
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE)
    with bar() as progress:
        task = progress.add_task("auto-encoder", total=STEPS, unit="steps", status="")
        for step in range(STEPS):
            epoch, at = divmod(step, each)
            order = torch.randperm(len(vectors), generator=generator(seed, epoch, "order"))
            x = vectors[order[at * batch : (at + 1) * batch]]
            optimiser.param_groups[0]["lr"] = RATE * one_cycle(step / STEPS, WARM_UP)
            inputs = encoder(x)
            noise = torch.randn(inputs.shape, generator=generator(seed, step, "noise"))
            code = torch.sigmoid(inputs + NOISE * min(1, 2 * step / STEPS) * noise)
            loss = nn.functional.mse_loss(decoder(code), x)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            progress.update(task, advance=1, status=f"loss {float(loss.detach()):.3f}")


def _array(tensor: Tensor | np.ndarray) -> np.ndarray:
    values = tensor.detach().numpy() if isinstance(tensor, Tensor) else tensor
    return np.ascontiguousarray(values, np.float32)
