"""Binary codes: each vector as 32 to 256 bits, so that a search compares machine words.

Every way to fit codes ends in the same encoder: the mean is subtracted, linear layers follow with a ReLU between
two, and a bit is 1 where the last output is positive. Codes are compared by Hamming distance, the number of bits
that differ.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from alexnet.errors import InputError
from alexnet.files import replacing
from alexnet.retrieval.autoencoder import fit_autoencoder
from alexnet.retrieval.hyperplanes import fit_hyperplanes
from alexnet.retrieval.itq import fit_itq

Layers = list[tuple[np.ndarray, np.ndarray]]
Fit = Callable[[np.ndarray, int, int], Layers]

FITS: dict[str, Fit] = {"autoencoder": fit_autoencoder, "hyperplanes": fit_hyperplanes, "itq": fit_itq}
"""Name -> what fits centred vectors (float32 [n, d], bits, seed) and gives the layers of an encoder."""

METHODS = tuple(FITS)

MOST = 20_000
"""Vectors that an encoder is fitted on at most, drawn by the seed: 328 MB of 4096 numbers each."""

BLOCK = 4096  # vectors encoded at once
FORMAT = "alexnet-codes-1"


@dataclass(frozen=True)
class Codes:
    """An encoder of vectors as bits.

    Attributes:
        method: one of METHODS.
        mean: float32 [d], subtracted first.
        layers: weight float32 [inputs, outputs] and bias float32 [outputs] of each linear layer.
    """

    method: str
    mean: np.ndarray
    layers: Layers

    @property
    def bits(self) -> int:
        """Bits a code."""
        return len(self.layers[-1][1])

    @property
    def features(self) -> int:
        """Numbers a vector."""
        return len(self.mean)

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """The codes of vectors: uint8 [n, bits / 8], the first bit the highest of the first byte.

        Args:
            vectors: float [n, d], also a memory map, which is read block by block.

        Raises:
            InputError: vectors of another length.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.features:
            raise InputError(
                f"vectors of shape {list(vectors.shape)} came, these codes are of [n, {self.features}]: "
                "embed with the run that the codes were fitted on"
            )
        codes = np.empty((len(vectors), self.bits // 8), np.uint8)
        for first in range(0, len(vectors), BLOCK):
            x = vectors[first : first + BLOCK].astype(np.float32) - self.mean
            for i, (weight, bias) in enumerate(self.layers):
                x = (np.maximum(x, 0) if i else x) @ weight + bias
            codes[first : first + BLOCK] = np.packbits(x > 0, axis=1)
        return codes


def fit_codes(vectors: np.ndarray, bits: int, method: str = "autoencoder", seed: int = 0) -> Codes:
    """Fit an encoder on vectors; no label is looked at.

    Args:
        vectors: float [n, d], also a memory map; at most MOST of them are used, drawn by the seed.
        bits: of a code, a multiple of 8.
        method: one of METHODS.
        seed: of all that is drawn.

    Raises:
        InputError: another method or number of bits; vectors that are not finite or all the same; too few of them.
    """
    if method not in FITS:
        raise InputError(f"there are no codes by {method!r}; choose one of {', '.join(METHODS)}")
    if bits < 8 or bits % 8:
        raise InputError(f"codes of {bits} bits came; give a multiple of 8, such as 32, 64, 128 or 256")
    sample = _sample(vectors, seed)
    if not np.isfinite(sample).all():
        raise InputError("some vectors are not finite: the net that made them has diverged; train it again")
    mean = sample.mean(0, dtype=np.float64).astype(np.float32)
    sample -= mean
    if not sample.any():
        raise InputError(f"all {len(sample)} vectors are the same, so that codes tell nothing apart: give other images")
    return Codes(method, mean, FITS[method](sample, bits, seed))


def _sample(vectors: np.ndarray, seed: int) -> np.ndarray:
    """At most MOST of the vectors as float32, in their order."""
    if len(vectors) <= MOST:
        return np.array(vectors, np.float32)
    # As for batches: the raw stream of a bit generator stays the same in every NumPy.
    keys = np.random.Philox(np.random.SeedSequence([seed])).random_raw(len(vectors))
    rows = np.sort(np.argsort(keys, kind="stable")[:MOST])
    return np.array(vectors[rows], np.float32)


def save_codes(codes: Codes, path: Path) -> None:
    """Write an encoder as one .safetensors file, atomically."""
    arrays = {"mean": codes.mean}
    for i, (weight, bias) in enumerate(codes.layers):
        arrays |= {f"{i}.weight": np.ascontiguousarray(weight), f"{i}.bias": bias}
    card = {"format": FORMAT, "method": codes.method, "layers": len(codes.layers)}
    with replacing(Path(path)) as aside:
        save_file(arrays, aside, metadata={"alexnet": json.dumps(card)})


def load_codes(path: Path) -> Codes:
    """Read an encoder.

    Raises:
        InputError: no such file; not a whole one; not one of codes.
    """
    try:
        with safe_open(path, framework="np") as file:
            card = json.loads((file.metadata() or {}).get("alexnet", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: make the index again with its codes") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a whole safetensors file ({error}): make the index again") from None
    if card.get("format") != FORMAT:
        raise InputError(f"{path} holds no encoder of codes that this version reads: make the index again")
    layers = [(arrays[f"{i}.weight"], arrays[f"{i}.bias"]) for i in range(card["layers"])]
    return Codes(card["method"], arrays["mean"], layers)
