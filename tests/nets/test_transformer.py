"""The decoder block against loops and formulas, and its cache against the whole sequence."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.errors import MakarError
from makar.core.noise import Noise
from makar.nets.transformer import Block, Decoder, RMSNorm, Rotary, SelfAttention, SwiGLU, dropped, turned


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def built(width: int = 24, heads: int = 4, kv_heads: int = 2, seed: int = 0) -> SelfAttention:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        attention = SelfAttention(width, heads, kv_heads)
    with torch.no_grad():
        attention.norm.gain.copy_(1.0 + 0.3 * normal(*attention.norm.gain.shape, seed=seed))
    return attention


def loop_head(x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, gains: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """One causal head by loops, in float64: values (T, d) and weights (T, T)."""
    size = len(wq)
    rates = [10_000.0 ** (-2 * i / size) for i in range(size // 2)]

    def prepared(v: Tensor, gain: Tensor, t: int) -> Tensor:
        v = v / math.sqrt(float((v * v).mean()) + 1e-6) * gain
        out = v.clone()
        for i, rate in enumerate(rates):
            a, b, angle = v[i], v[i + size // 2], t * rate
            out[i] = a * math.cos(angle) - b * math.sin(angle)
            out[i + size // 2] = b * math.cos(angle) + a * math.sin(angle)
        return out

    length = len(x)
    weights = torch.zeros(length, length, dtype=torch.float64)
    values = torch.zeros(length, size, dtype=torch.float64)
    for t in range(length):
        q = prepared(wq @ x[t], gains[0], t)
        scores = [math.exp(float(q @ prepared(wk @ x[s], gains[1], s)) / math.sqrt(size)) for s in range(t + 1)]
        for s in range(t + 1):
            weights[t, s] = scores[s] / sum(scores)
            values[t] += weights[t, s] * (wv @ x[s])
    return values, weights


def by_loop(attention: SelfAttention, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The attention's output (T, width) for one sequence as single heads, concatenated and projected; and weights."""
    heads, kv_heads, size = attention.heads, attention.kv_heads, attention.head
    w = attention.enter.weight.detach().double().reshape(heads + 2 * kv_heads, size, -1)
    gain = attention.norm.gain.detach().double()
    outs, weights = [], []
    for h in range(heads):
        g = h * kv_heads // heads
        out, weight = loop_head(x.double(), w[h], w[heads + g], w[heads + kv_heads + g], (gain[h], gain[heads + g]))
        outs.append(out)
        weights.append(weight)
    return torch.cat(outs, 1) @ attention.leave.weight.detach().double().T, weights


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_attention_is_its_heads_by_loops(kv_heads: int) -> None:
    attention = built(kv_heads=kv_heads)
    x = normal(2, 7, 24)
    y, _ = attention(x, Rotary(6)(0, 7))
    for row in range(2):
        expected, weights = by_loop(attention, x[row])
        assert torch.allclose(y[row].double(), expected, atol=1e-6)
        for weight in weights:
            assert torch.allclose(weight.sum(1), torch.ones(7, dtype=torch.float64))


def test_without_places_the_last_output_ignores_the_order_of_the_others() -> None:
    attention = built()
    nowhere = (torch.ones(6, 3), torch.zeros(6, 3))
    x = normal(1, 6, 24)
    mixed = x[:, [3, 1, 4, 0, 2, 5]]
    assert torch.allclose(attention(x, nowhere)[0][:, -1], attention(mixed, nowhere)[0][:, -1], atol=1e-6)
    turn = Rotary(6)(0, 6)
    assert not torch.allclose(attention(x, turn)[0][:, -1], attention(mixed, turn)[0][:, -1], atol=1e-3)


def test_rotary_products_depend_on_distance_alone() -> None:
    rotary = Rotary(8)
    q, k = normal(1, 1, 1, 8), normal(1, 1, 1, 8, seed=1)

    def product(s: int, t: int) -> float:
        return float((turned(q, rotary(s, s + 1)) * turned(k, rotary(t, t + 1))).sum())

    for shift in (1, 17, 200):
        assert product(9 + shift, 4 + shift) == pytest.approx(product(9, 4), abs=1e-5)
    assert abs(product(9, 4) - product(9, 5)) > 1e-3
    assert float(turned(q, rotary(31, 32)).norm()) == pytest.approx(float(q.norm()), rel=1e-6)


def test_rms_norm_is_its_formula() -> None:
    norm = RMSNorm(5)
    with torch.no_grad():
        norm.gain.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    x = normal(3, 5) * 7
    for row, out in zip(x, norm(x), strict=True):
        rms = math.sqrt(sum(float(v) ** 2 for v in row) / 5 + 1e-6)
        assert torch.allclose(out, torch.tensor([float(v) / rms * (i + 1) for i, v in enumerate(row)]), atol=1e-6)
    assert torch.allclose(norm(3.0 * x), norm(x), atol=1e-5)


def test_swiglu_is_its_formula() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layer = SwiGLU(4, 6)
    x = normal(3, 4)
    gate, up = layer.enter.weight[:6], layer.enter.weight[6:]
    z = x @ gate.T
    expected = (z / (1 + torch.exp(-z)) * (x @ up.T)) @ layer.leave.weight.T
    assert torch.allclose(layer(x), expected, atol=1e-6)


def decoder(kv_heads: int | None = None, dropout: float = 0.0) -> Decoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return Decoder(24, 3, 4, kv_heads, dropout)


@pytest.mark.parametrize("kv_heads", [None, 2])
def test_no_output_depends_on_later_inputs(kv_heads: int | None) -> None:
    net = decoder(kv_heads)
    x = normal(1, 6, 24).requires_grad_()
    for t in range(6):
        grad = torch.autograd.grad(net(x)[0][0, t].square().sum(), x)[0][0].abs().sum(1)
        assert bool((grad[: t + 1] > 0).all())
        assert bool((grad[t + 1 :] == 0).all())


@pytest.mark.parametrize("pieces", [[1] * 9, [4, 5], [3, 1, 2, 3]])
def test_cached_outputs_are_those_of_the_whole(pieces: list[int]) -> None:
    net = decoder(2)
    x = normal(2, 9, 24)
    whole, _ = net(x)
    cache, parts = None, []
    for piece in x.split(pieces, 1):
        out, cache = net(piece, cache)
        parts.append(out)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


@torch.no_grad()
def test_two_continuations_of_one_past_do_not_disturb_each_other() -> None:
    net = decoder(2)
    x, others = normal(2, 9, 24), normal(2, 4, 24).flip(0)
    whole, _ = net(x)
    _, past = net(x[:, :3])
    _, past = net(x[:, 3:5], past)  # into a room of its own, with places free
    parts = []
    cache = past
    for piece in x[:, 5:].split(1, 1):
        out, cache = net(piece, cache)
        parts.append(out)
        net(others[:, :2], past)
    assert past[0].length == 5
    assert torch.allclose(torch.cat(parts, 1), whole[:, 5:], atol=1e-5)
    assert torch.allclose(net(x[:, 5:], past)[0], whole[:, 5:], atol=1e-5)


def test_dropout_uses_the_noise_alone_and_keeps_the_mean() -> None:
    x = torch.ones(4, 20_000)
    out = dropped(x, 0.25, Noise.step(0, 1, 4))
    assert set(out.unique().tolist()) == {0.0, float(torch.tensor(1.0 / 0.75))}
    assert float(out.mean()) == pytest.approx(1.0, abs=0.01)
    assert torch.equal(out, dropped(x, 0.25, Noise.step(0, 1, 4)))
    assert dropped(x, 0.25, None) is x
    net = decoder(dropout=0.3)
    y = normal(2, 5, 24)
    assert torch.equal(net(y)[0], net(y)[0])
    assert not torch.equal(net(y)[0], net(y, noise=Noise.step(0, 1, 2))[0])


def test_flops_are_those_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    net = decoder(2)
    with FlopCounterMode(display=False) as counter:
        for block in net.blocks:
            assert isinstance(block, Block)
            block.inner(normal(1, 10, 24))
    inner = counter.get_total_flops()
    projections = 3 * 2 * 10 * (24 * 24 + 24 * 2 * 12 + 24 * 24)
    attention = 3 * sum(4 * (t + 1) * 24 for t in range(10))
    assert net.flops(10) == inner + projections + attention


def test_refuses_heads_that_do_not_fit() -> None:
    for width, heads, kv_heads in ((24, 5, 5), (24, 4, 3), (20, 4, 4)):
        with pytest.raises(MakarError, match="heads"):
            SelfAttention(width, heads, kv_heads)


def test_gradients_are_those_of_the_loop() -> None:
    """The fused attention's gradient, by finite differences of the loop."""
    attention = built()
    x = normal(1, 4, 24).requires_grad_()
    grad = torch.autograd.grad(F.mse_loss(attention(x, Rotary(6)(0, 4))[0], torch.zeros(1, 4, 24)), x)[0]
    step = normal(1, 4, 24, seed=3)
    ends = []
    for sign in (1, -1):
        out, _ = by_loop(attention, (x.detach().double() + sign * 1e-4 * step)[0])
        ends.append(float(out.square().mean()))
    assert float((grad * step).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-3)
