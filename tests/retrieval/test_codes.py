"""Binary codes: their bits, what they keep of the neighbourhoods, and their files."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from alexnet.errors import InputError
from alexnet.retrieval import autoencoder, itq
from alexnet.retrieval import codes as room
from alexnet.retrieval.codes import METHODS, Codes, fit_codes, load_codes, save_codes
from alexnet.retrieval.components import principal_components
from alexnet.retrieval.itq import fit_itq


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Auto-encoders of half a second."""
    monkeypatch.setattr(autoencoder, "STEPS", 200)


@pytest.fixture(scope="module")
def vectors():
    """Points on a curved sheet of 6 dimensions in 48, far from the origin: float32 [600, 48]."""
    chance = np.random.default_rng(0)
    sheet = chance.normal(0, 1, (600, 6))
    bent = np.tanh(sheet @ chance.normal(0, 1, (6, 48))) + chance.normal(0, 0.05, (600, 48)) + 3
    return bent.astype(np.float32)


def kept(codes, vectors, shortlist=60):
    """The share of the ten nearest by L2 that are in the short-list by code, of 50 queries."""
    bits = np.unpackbits(codes.encode(vectors), axis=1).astype(int)
    shares = []
    for row in range(50):
        nearest = np.argsort(((vectors - vectors[row]) ** 2).sum(1))[1:11]
        near = np.argsort((bits != bits[row]).sum(1), kind="stable")[1 : shortlist + 1]
        shares.append(np.isin(nearest, near).mean())
    return np.mean(shares)


@pytest.mark.parametrize("method", METHODS)
def test_codes_keep_more_neighbours_the_longer_they_are(method, vectors):
    small, large = (kept(fit_codes(vectors, bits, method), vectors) for bits in (8, 48))
    assert 0.25 < small < large - 0.1  # by chance 0.1
    assert large > 0.75


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits", [32, 64, 128, 256])
def test_every_length_is_packed_eight_bits_to_a_byte(method, bits, monkeypatch):
    monkeypatch.setattr(autoencoder, "STEPS", 3)
    monkeypatch.setattr(itq, "ITERATIONS", 3)
    vectors = np.random.default_rng(1).normal(2, 1, (300, 260)).astype(np.float32)
    codes = fit_codes(vectors, bits, method)
    packed = codes.encode(vectors)
    assert (codes.method, codes.bits, codes.features) == (method, bits, 260)
    assert (packed.shape, packed.dtype) == ((300, bits // 8), np.uint8)
    share = np.unpackbits(packed, axis=1).mean(0)
    assert 0 < share.min() < share.max() < 1  # no bit is always the same


def test_a_bit_is_the_sign_of_the_last_output_in_float64():
    chance = np.random.default_rng(2)
    layers = [(chance.normal(0, 1, shape), chance.normal(0, 1, shape[1])) for shape in ((12, 20), (20, 16))]
    mean = chance.normal(5, 1, 12)
    x = chance.normal(5, 1, (40, 12))
    hidden = np.maximum((x - mean) @ layers[0][0] + layers[0][1], 0)
    wanted = hidden @ layers[1][0] + layers[1][1] > 0
    single = [(weight.astype(np.float32), bias.astype(np.float32)) for weight, bias in layers]
    codes = Codes("autoencoder", mean.astype(np.float32), single)
    packed = codes.encode(x.astype(np.float32))
    for row in range(40):
        bits = [packed[row, bit // 8] >> (7 - bit % 8) & 1 for bit in range(16)]
        assert bits == wanted[row].astype(int).tolist()


def test_blocks_and_half_precision_give_the_same_bits(vectors, monkeypatch):
    codes = fit_codes(vectors, 32, "itq")
    halves = vectors.astype(np.float16)
    whole = codes.encode(halves.astype(np.float32))
    monkeypatch.setattr(room, "BLOCK", 7)
    assert np.unpackbits(codes.encode(halves) ^ whole).mean() < 1e-3  # a product may round otherwise
    assert codes.encode(halves[:0]).shape == (0, 4)


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides_everything_that_is_drawn(method, vectors, monkeypatch):
    monkeypatch.setattr(autoencoder, "STEPS", 20)
    one, again, other = (fit_codes(vectors, 24, method, seed).encode(vectors) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_hyperplanes_differ_in_a_bit_as_often_as_the_angle_says():
    vectors = np.random.default_rng(3).normal(0, 1, (40, 20)).astype(np.float32)
    codes = fit_codes(vectors, 4096, "hyperplanes")
    bits = np.unpackbits(codes.encode(vectors), axis=1).astype(int)
    centred = vectors - vectors.mean(0, dtype=np.float64)
    cosines = centred @ centred.T / np.outer(*[np.linalg.norm(centred, axis=1)] * 2)
    angles = np.arccos(np.clip(cosines, -1, 1)) / np.pi
    found = np.array([[(a != b).mean() for b in bits] for a in bits])
    assert np.abs(found - angles).max() < 0.05  # four deviations and a half of 4096 draws


def test_itq_turns_the_components_towards_their_signs(vectors):
    centred = vectors - vectors.mean(0)
    ((weight, bias),) = fit_itq(centred, 16, 0)
    assert np.abs(weight.T @ weight - np.eye(16)).max() < 1e-4  # still orthonormal: a turn, no stretching
    components = principal_components(centred, 16, 0)
    assert np.abs(weight @ weight.T - components @ components.T).max() < 1e-4  # of the same 16 dimensions
    assert not bias.any()

    def loss(projection):
        values = centred @ projection
        return ((np.where(values > 0, 1, -1) - values) ** 2).mean()

    random = np.linalg.qr(np.random.default_rng(7).normal(size=(16, 16)))[0]
    values = centred @ weight
    product = values.T @ np.where(values > 0, 1, -1)  # symmetric where the turn is the best one for its signs
    assert np.abs(product - product.T).max() < 0.02 * np.abs(product).max()
    assert loss(weight) < min(loss(components), loss(components @ random)) - 0.005


def test_components_are_those_of_the_covariance(vectors):
    centred = (vectors - vectors.mean(0)).astype(np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred)
    found = principal_components(centred.astype(np.float32), 5, 0)
    assert np.abs(np.abs(np.diag(axes[:, ::-1][:, :5].T @ found)) - 1).max() < 1e-3
    assert values[-5] > 1.05 * values[-6]  # apart enough to be told


def test_the_auto_encoder_learns_to_give_vectors_back_through_bits(vectors):
    x = torch.from_numpy((vectors - vectors.mean(0)) / vectors.std())
    encoder, decoder = autoencoder.made(48, 24, seed=0)

    def loss():
        with torch.inference_mode():
            return float(((decoder((encoder(x) > 0).float()) - x) ** 2).mean())

    fresh = loss()
    autoencoder.train(encoder, decoder, x, seed=0)
    assert loss() < 0.4 * float((x**2).mean()) < fresh


def test_noise_makes_the_code_binary(vectors, monkeypatch):
    def undecided():
        x = torch.from_numpy((vectors - vectors.mean(0)) / vectors.std())
        encoder, decoder = autoencoder.made(48, 24, seed=0)
        autoencoder.train(encoder, decoder, x, seed=0)
        with torch.inference_mode():
            code = torch.sigmoid(encoder(x))
        return float(((code > 0.1) & (code < 0.9)).float().mean())

    noisy = undecided()
    monkeypatch.setattr(autoencoder, "NOISE", 0.0)
    assert noisy < 0.7 * undecided()


def test_an_encoder_is_read_back_as_it_was_written(vectors, tmp_path, monkeypatch):
    monkeypatch.setattr(autoencoder, "STEPS", 3)
    for method in METHODS:
        codes = fit_codes(vectors, 16, method)
        save_codes(codes, tmp_path / "encoder.safetensors")
        again = load_codes(tmp_path / "encoder.safetensors")
        assert (again.method, again.bits, again.features) == (method, 16, 48)
        assert (again.encode(vectors) == codes.encode(vectors)).all()


def test_files_that_hold_no_encoder_are_errors(vectors, tmp_path):
    path = tmp_path / "encoder.safetensors"
    with pytest.raises(InputError, match="does not exist"):
        load_codes(path)
    save_codes(fit_codes(vectors, 16, "itq"), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(InputError, match="is not a whole safetensors file"):
        load_codes(path)
    save_file({"mean": np.zeros(3, np.float32)}, path)
    with pytest.raises(InputError, match="holds no encoder of codes"):
        load_codes(path)
    path.write_bytes(whole)
    save_file(load_file(path), path, metadata={"alexnet": json.dumps({"format": "alexnet-codes-0"})})
    with pytest.raises(InputError, match="holds no encoder of codes"):
        load_codes(path)


def test_what_no_codes_can_be_fitted_on_is_an_error(vectors):
    with pytest.raises(InputError, match="there are no codes by 'lsh'; choose one of autoencoder, hyperplanes, itq"):
        fit_codes(vectors, 32, "lsh")
    with pytest.raises(InputError, match="codes of 100 bits came; give a multiple of 8"):
        fit_codes(vectors, 100, "itq")
    with pytest.raises(InputError, match="600 vectors of 48 numbers have 48 at most"):
        fit_codes(vectors, 64, "itq")
    with pytest.raises(InputError, match="some vectors are not finite"):
        fit_codes(np.where(vectors > vectors.max() - 1e-6, np.nan, vectors), 8, "itq")
    with pytest.raises(InputError, match="all 9 vectors are the same"):
        fit_codes(np.ones((9, 48), np.float32), 8, "hyperplanes")
    with pytest.raises(InputError, match=r"vectors of shape \[2, 47\] came, these codes are of \[n, 48\]"):
        fit_codes(vectors, 8, "hyperplanes").encode(vectors[:2, 1:])


def test_a_large_set_is_fitted_on_a_part_that_the_seed_draws(vectors, monkeypatch):
    monkeypatch.setattr(room, "MOST", 100)
    seen = []
    monkeypatch.setitem(room.FITS, "itq", lambda sample, bits, seed: seen.append(sample) or [])
    for seed in (0, 0, 1):
        fit_codes(vectors, 8, "itq", seed)
    assert [len(sample) for sample in seen] == [100] * 3
    assert (seen[0] == seen[1]).all()
    assert (seen[0] != seen[2]).any()
