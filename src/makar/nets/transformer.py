"""Decoder-only transformer: causal self-attention over a sequence, with a key-value cache (Vaswani et al. 2017).

A block is that of LLaMA (Touvron et al. 2023), applied before each residual addition:

    RMSNorm       x / sqrt(mean(x^2) + eps) * g                                   (Zhang & Sennrich 2019, eq. 4)
    attention     softmax(q k^T / sqrt(d) + mask) v                               (Vaswani et al. 2017, eq. 1)
    rotary        pair (x_i, x_{i + d/2}) is turned by the angle t * base^(-2i/d) at position t, so that q_s . k_t
                  depends on s - t alone                                          (Su et al. 2021, eq. 34)
    QK-norm       queries and keys are RMS-normalised before the product          (Henry et al. 2020)
    grouped query `kv_heads` keys and values, each shared by heads / kv_heads queries   (Ainslie et al. 2023)
    SwiGLU        W_down(silu(W_gate x) * W_up x)                                 (Shazeer 2020, eq. 6)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makar.core.errors import MakarError
from makar.core.noise import Noise
from makar.nets.mlp import linear_flops

Turn = tuple[Tensor, Tensor]
"""Cosines and sines (T, head / 2) of the rotary angles of T positions."""


class Room:
    """Keys and values (B, kv_heads, capacity, head), of which the first `filled` positions are taken."""

    def __init__(self, keys: Tensor, values: Tensor, filled: int) -> None:
        self.keys, self.values, self.filled = keys, values, filled


@dataclass(frozen=True)
class Past:
    """Keys and values of the `length` positions so far: the first ones of a room that several pasts may share."""

    room: Room
    length: int

    def extended(self, k: Tensor, v: Tensor) -> Past:
        """This past with keys and values (B, kv_heads, n, head) behind it; this one stays as it is.

        To copy the whole past for every symbol would take longer than all else, so they are written into the room
        behind it where that is free. It is not where another continuation was there first, nor where gradients flow.
        """
        total, room = self.length + k.shape[2], self.room
        if room.filled != self.length or total > room.keys.shape[2] or torch.is_grad_enabled():
            spare = 0 if torch.is_grad_enabled() else total
            keys, values = room.keys[:, :, : self.length], room.values[:, :, : self.length]
            room = Room(_joined(keys, k, spare), _joined(values, v, spare), total)
        else:
            room.keys[:, :, self.length : total] = k
            room.values[:, :, self.length : total] = v
            room.filled = total
        return Past(room, total)


def _joined(a: Tensor, b: Tensor, spare: int) -> Tensor:
    """a, b and `spare` free places along the positions."""
    parts = [a, b, b.new_zeros(*b.shape[:2], spare, b.shape[3])] if spare else [a, b]
    return torch.cat(parts, 2)


KeyValues = list[Past]
"""For every block, the keys and values of the positions so far."""


def dropped(x: Tensor, rate: float, noise: Noise | None) -> Tensor:
    """x (B, ...) with a share `rate` of its numbers at 0 and the rest scaled up; x itself where there is no noise."""
    if noise is None or rate == 0.0:
        return x
    return x * ((noise.uniform(*x.shape[1:]) >= rate).to(x.dtype) * (1.0 / (1.0 - rate)))


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * gain over the last axes, which have the shape of the gain; the mean is over the last.

    A gain of shape (heads, head) normalises every head on its own.
    """

    def __init__(self, *shape: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(*shape))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.gain


class Rotary(nn.Module):
    """Angles of rotary positions for heads of an even width."""

    def __init__(self, head: int, base: float = 10_000.0) -> None:
        super().__init__()
        rates = base ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
        self.register_buffer("rates", rates, persistent=False)
        self.rates: Tensor

    def forward(self, begin: int, end: int) -> Turn:
        """Cosines and sines (end - begin, head / 2), float32, of positions begin..end-1."""
        angles = torch.arange(begin, end, device=self.rates.device)[:, None] * self.rates
        return angles.cos().float(), angles.sin().float()


def turned(x: Tensor, turn: Turn) -> Tensor:
    """x (B, T, heads, head) with its pairs turned by their positions' angles."""
    cos, sin = turn[0][:, None], turn[1][:, None]
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class SelfAttention(nn.Module):
    """Causal self-attention of `heads` queries over `kv_heads` keys and values, from one fused projection."""

    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        if width % heads or heads % kv_heads or (width // heads) % 2:
            raise MakarError(
                f"a width of {width} must be heads x an even number, and heads a multiple of kv_heads; "
                f"given {heads} heads and {kv_heads} kv_heads"
            )
        self.heads, self.kv_heads, self.head = heads, kv_heads, width // heads
        self.enter = nn.Linear(width, (heads + 2 * kv_heads) * self.head, bias=False)
        self.norm = RMSNorm(heads + kv_heads, self.head)
        self.leave = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, turn: Turn, past: Past | None = None) -> tuple[Tensor, Past]:
        """x (B, T, width) at the positions of `turn`, which follow those of `past`; returns the same shape and the past
        with these positions appended."""
        batch, count, width = x.shape
        joint = self.enter(x).view(batch, count, self.heads + 2 * self.kv_heads, self.head)
        turned_both = turned(self.norm(joint[:, :, : -self.kv_heads]), turn).transpose(1, 2)
        q, k = turned_both.split([self.heads, self.kv_heads], 1)
        v = joint[:, :, -self.kv_heads :].transpose(1, 2)
        present = Past(Room(k, v, count), count) if past is None else past.extended(k, v)
        k, v = (z[:, :, : present.length] for z in (present.room.keys, present.room.values))
        if self.kv_heads < self.heads:
            k, v = (z.repeat_interleave(self.heads // self.kv_heads, 1) for z in (k, v))
        total = k.shape[2]
        mask = None
        if 1 < count < total:
            mask = torch.ones(count, total, dtype=torch.bool, device=x.device).tril(total - count)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=1 < count == total)
        out: Tensor = self.leave(y.transpose(1, 2).reshape(batch, count, width))
        return out, present


class SwiGLU(nn.Module):
    """W_down(silu(W_gate x) * W_up x); gate and up are one matrix."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width, 2 * inner, bias=False)
        self.leave = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.enter(x).chunk(2, -1)
        out: Tensor = self.leave(F.silu(gate) * up)
        return out


class Block(nn.Module):
    """x + attention(norm(x)), then x + SwiGLU(norm(x))."""

    def __init__(self, width: int, heads: int, kv_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(width)
        self.attention = SelfAttention(width, heads, kv_heads)
        self.inner_norm = RMSNorm(width)
        self.inner = SwiGLU(width, 32 * math.ceil(width * 8 / 3 / 32))
        self.dropout = dropout

    def forward(self, x: Tensor, turn: Turn, past: Past | None, noise: Noise | None) -> tuple[Tensor, Past]:
        y, present = self.attention(self.attention_norm(x), turn, past)
        x = x + dropped(y, self.dropout, noise)
        return x + dropped(self.inner(self.inner_norm(x)), self.dropout, noise), present


class Decoder(nn.Module):
    """`depth` causal blocks and a last norm: position t of the output depends on positions <= t of the input."""

    def __init__(self, width: int, depth: int, heads: int, kv_heads: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.rotary = Rotary(width // heads)
        self.blocks = nn.ModuleList(Block(width, heads, kv_heads or heads, dropout) for _ in range(depth))
        self.norm = RMSNorm(width)
        for name, weight in self.named_parameters():
            if name.endswith("weight"):
                # Residual branches begin small, so that their sum over the depth begins as wide as one (GPT-2, 2.3).
                shrink = math.sqrt(2 * depth) if name.endswith("leave.weight") else 1.0
                nn.init.normal_(weight, std=1.0 / (math.sqrt(weight.shape[1]) * shrink))

    def forward(
        self, x: Tensor, cache: KeyValues | None = None, noise: Noise | None = None
    ) -> tuple[Tensor, KeyValues]:
        """x (B, T, width), the positions that follow the cache's; returns the same shape and the longer cache.

        Dropout is applied where `noise` is given, with its chance.
        """
        begin = cache[0].length if cache else 0
        turn = self.rotary(begin, begin + x.shape[1])
        presents: KeyValues = []
        for i, block in enumerate(self.blocks):
            x, present = block(x, turn, cache[i] if cache else None, noise)
            presents.append(present)
        normed: Tensor = self.norm(x)
        return normed, presents

    def flops(self, length: int) -> float:
        """Floating-point operations of a forward pass over one sequence: 2 a weight a position, and the products q k^T
        and (attention) v over the causal half."""
        products = 2.0 * len(self.blocks) * length * (length + 1) * self.norm.gain.numel()
        return linear_flops(self) * length + products
