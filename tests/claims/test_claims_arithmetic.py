"""The papers' arithmetic, as far as it belongs to nets: sizes, normalisation, dropout, initial weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from alexnet.errors import InputError
from alexnet.models import VARIANTS, Classifier, Dropout, build, build_variant
from alexnet.models.alexnet import sides
from alexnet.models.blocks import Conv, output_size
from alexnet.models.lrn import local_response_norm


def answers(maps: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, maps, 3, 3, generator=generator, dtype=torch.float64) * 60


def test_claim_conv_size():
    for w in (13, 27, 55, 224, 227):
        for f, p, s in ((11, 0, 4), (11, 2, 4), (5, 2, 1), (3, 1, 1), (3, 0, 2)):
            expected = int(np.floor((w - f + 2 * p) / s)) + 1
            assert output_size(w, f, s, 2 * p) == expected
            assert nn.Conv2d(1, 1, f, s, p)(torch.zeros(1, 1, w, w)).shape[2] == expected
            assert output_size(w, f, s, 2 * p, "up") == int(np.ceil((w - f + 2 * p) / s)) + 1
    # 224 gives 54 rounded down, 55 rounded up: the rounding is part of the variant.
    assert (output_size(224, 11, 4), output_size(224, 11, 4, rounding="up")) == (54, 55)
    assert VARIANTS["alexnet_2012"].conv1_padding == "up"
    assert [VARIANTS[name].pool_rounding for name in ("alexnet", "alexnet_2012", "caffenet")] == ["down", "up", "up"]
    assert sides(VARIANTS["caffenet"], 224)["pool1"] == 27  # 54 -> 26 if rounded down
    with pytest.raises(InputError, match=r"^alexnet cannot be built for 63 .* pool5's .* smallest size is 64$"):
        build("alexnet", 10, 63)


def test_claim_conv_is_correlation():
    generator = torch.Generator().manual_seed(0)
    conv = Conv(3, 4, 3)
    x = torch.randn(1, 3, 5, 6, generator=generator)
    y = conv(x).detach()
    w, b = conv.weight.detach().numpy(), conv.bias.detach().numpy()
    loop, flipped = np.zeros((4, 3, 4)), np.zeros((4, 3, 4))
    for i in range(3):
        for j in range(4):
            area = x[0, :, i : i + 3, j : j + 3].numpy()
            loop[:, i, j] = (w * area).sum((1, 2, 3)) + b
            flipped[:, i, j] = (w[:, :, ::-1, ::-1] * area).sum((1, 2, 3)) + b
    np.testing.assert_allclose(y[0].numpy(), loop, atol=1e-5)
    assert np.abs(y[0].numpy() - flipped).max() > 0.1


@pytest.mark.parametrize("name", ["alexnet", "alexnet_2012", "caffe_alexnet"])
def test_claim_pool_overlap(name):
    with torch.device("meta"):
        net = build(name)
    pools = [net.stages[f"pool{i}"] for i in (1, 2, 5)]
    assert all((pool.kernel, pool.stride) == (3, 2) for pool in pools)  # wider than the step: they overlap
    side = 55
    found = [side := pool.output_side(side) for pool in pools]
    assert found == [27, 13, 6]


def printed(x: np.ndarray, n: int, k: float, alpha: float, beta: float) -> np.ndarray:
    """Section 3.3, symbol by symbol."""
    count = x.shape[1]
    b = np.empty_like(x)
    for i in range(count):
        js = range(max(0, i - n // 2), min(count - 1, i + n // 2) + 1)
        b[:, i] = x[:, i] / (k + alpha * sum(x[:, j] ** 2 for j in js)) ** beta
    return b


def test_claim_lrn_printed():
    x = answers(12)
    expected = printed(x.numpy(), 5, 2, 1e-4, 0.75)
    np.testing.assert_allclose(local_response_norm(x).numpy(), expected, rtol=1e-12)
    for alpha, same in ((5e-4, True), (1e-4, False)):
        torchs = nn.LocalResponseNorm(5, alpha=alpha, beta=0.75, k=2.0)(x).numpy()
        assert np.allclose(torchs, expected, rtol=1e-10) == same
    norm = VARIANTS["alexnet"].normalisation
    assert norm is not None
    assert (norm.k, norm.n, norm.alpha, norm.beta, norm.alpha_is) == (2, 5, 1e-4, 0.75, "sum")


def test_claim_lrn_2012():
    x = answers(12)
    for name, k in (("alexnet_2012", 2.0), ("caffe_alexnet", 1.0), ("caffenet", 1.0)):
        norm = VARIANTS[name].normalisation
        assert norm is not None
        assert (norm.k, norm.n, norm.alpha, norm.beta, norm.alpha_is) == (k, 5, 1e-4, 0.75, "mean")
        ours = local_response_norm(x, norm.n, norm.k, norm.alpha, norm.beta, norm.alpha_is).numpy()
        np.testing.assert_allclose(ours, printed(x.numpy(), 5, k, 1e-4 / 5, 0.75), rtol=1e-12)
        assert not np.allclose(ours, printed(x.numpy(), 5, k, 1e-4, 0.75), rtol=1e-3)


def test_claim_lrn_seam():
    for name, towers in (
        ("alexnet", 2), ("alexnet_2012", 2), ("alexnet_one_column", 1), ("caffe_alexnet", 1), ("caffenet", 1),
    ):  # fmt: skip
        with torch.device("meta"):
            net = build(name)
        for stage, maps in (("norm1", 96), ("norm2", 256)):
            x = answers(maps)
            ours = net.stages[stage](x)
            across = local_response_norm(x, k=net.stages[stage].k, alpha_is=net.stages[stage].alpha_is)
            differ = (ours != across).any(0).any(-1).any(-1).nonzero().flatten().tolist()
            middle = maps // 2
            assert differ == (list(range(middle - 2, middle + 2)) if towers == 2 else [])
    assert middle - 2 == 126
    assert 96 // 2 - 2 == 46


def test_claim_dropout():
    torch.manual_seed(0)
    drop, x = Dropout(0.5, "paper"), torch.rand(400, 400) + 0.5
    y = drop(x)
    assert set((y / x).unique().tolist()) == {0.0, 1.0}
    assert abs(float((y != 0).double().mean()) - 0.5) < 0.01
    assert torch.equal(drop.eval()(x), 0.5 * x)
    with torch.device("meta"):
        stages = list(build("alexnet").stages)
    assert [stages[stages.index(name) + 1] for name in ("fc6", "fc7")] == ["drop6", "drop7"]


def inverted_twin(net: Classifier, twin: Classifier) -> Classifier:
    """The same function by dropout that scales in training: the layers behind it with half the weights."""
    state = {key: value.clone() for key, value in net.state_dict().items()}
    for name in ("fc7", "fc8"):
        state[f"{name}.weight"] /= 2
    twin.load_state_dict(state)
    return twin


@torch.no_grad()
def test_claim_dropout_scaled_in_training_is_the_same_function_with_half_the_weights():
    torch.manual_seed(0)
    variant = replace(VARIANTS["alexnet"], hidden=(64, 48))
    net = build_variant(variant, 5, 67, start="he").double()
    twin = build_variant(replace(variant, dropout="inverted"), 5, 67).double()
    x = torch.rand(2, 3, 67, 67, dtype=torch.float64) * 255 - 128
    inverted_twin(net, twin)
    for mode in (True, False):
        outputs = []
        for one in (net.train(mode), twin.train(mode)):
            torch.manual_seed(1)
            outputs.append(one(x))
        assert (outputs[0][0] - outputs[0][1]).abs().max() > 0.01 * outputs[0].abs().max()
        torch.testing.assert_close(outputs[0], outputs[1])
    twin.load_state_dict(net.state_dict())  # without the halves it is another function
    assert (twin(x) - net(x)).abs().max() > 0.1 * net(x).abs().max()


@torch.no_grad()
def test_claim_init():
    layers = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
    for name, thirds in (("alexnet", 0.01), ("alexnet_2012", 0.03)):
        torch.manual_seed(0)
        net = build_variant(replace(VARIANTS[name], hidden=(400, 300)), 200, 67)
        deviations = {layer: float(net.stages[layer].weight.std()) for layer in layers}
        for layer, found in deviations.items():
            expected = thirds if layer in ("conv3", "conv4", "conv5") else 0.01
            assert found == pytest.approx(expected, rel=0.02)
        biases = {layer: net.stages[layer].bias.unique().tolist() for layer in layers}
        ones = ("conv2", "conv4", "conv5", "fc6", "fc7")
        assert biases == {layer: [1.0] if layer in ones else [0.0] for layer in layers}
        # Normal, not uniform: 4.55 % lie beyond two deviations.
        weights = net.stages["conv3"].weight / thirds
        assert float((weights.abs() > 2).double().mean()) == pytest.approx(0.0455, abs=0.002)
