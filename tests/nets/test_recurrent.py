"""Recurrent layers against their formulas, and step by step against the whole sequence."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from makar.nets.recurrent import Recurrent


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def built(cell: Literal["lstm", "gru"], depth: int = 2) -> Recurrent:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = Recurrent(8, depth, cell)
    with torch.no_grad():
        for p in net.parameters():
            if p.ndim == 1:
                p.add_(0.3 * normal(*p.shape))
    return net


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("pieces", [[1] * 7, [3, 4]])
def test_step_by_step_is_the_whole_sequence(cell: Literal["lstm", "gru"], pieces: list[int]) -> None:
    net = built(cell)
    x = normal(3, 7, 8)
    whole, last = net(x)
    state, parts = None, []
    for piece in x.split(pieces, 1):
        out, state = net(piece, state)
        parts.append(out)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-6)
    assert state is not None
    for a, b in zip(state, last, strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    assert torch.allclose(whole[:, -1], last[0][-1], atol=1e-6)


def test_lstm_is_its_formula() -> None:
    net = built("lstm", depth=1)
    p = dict(net.layers.named_parameters())
    x = normal(2, 5, 8)
    h = c = torch.zeros(2, 8)
    for t in range(5):
        gates = x[:, t] @ p["weight_ih_l0"].T + p["bias_ih_l0"] + h @ p["weight_hh_l0"].T + p["bias_hh_l0"]
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        assert torch.allclose(net(x)[0][:, t], h, atol=1e-6)


def test_gru_is_its_formula() -> None:
    net = built("gru", depth=1)
    p = dict(net.layers.named_parameters())
    x = normal(2, 5, 8)
    h = torch.zeros(2, 8)
    for t in range(5):
        from_x = (x[:, t] @ p["weight_ih_l0"].T + p["bias_ih_l0"]).chunk(3, 1)
        from_h = (h @ p["weight_hh_l0"].T + p["bias_hh_l0"]).chunk(3, 1)
        r, z = (from_x[0] + from_h[0]).sigmoid(), (from_x[1] + from_h[1]).sigmoid()
        h = (1 - z) * (from_x[2] + r * from_h[2]).tanh() + z * h
        assert torch.allclose(net(x)[0][:, t], h, atol=1e-6)


def test_the_forget_gate_begins_open() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Recurrent(8, 2, "lstm")
    for layer in range(2):
        bias = net.layers.get_parameter(f"bias_ih_l{layer}") + net.layers.get_parameter(f"bias_hh_l{layer}")
        assert bias.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_flops_are_two_a_weight_a_place(cell: Literal["lstm", "gru"], gates: int) -> None:
    assert built(cell).flops(5) == 2 * 5 * 2 * gates * 8 * (8 + 8)
