"""Recurrent networks over vectors: long short-term memory and gated recurrent units.

    LSTM   c' = f * c + i * tanh(W [x, h]),  h' = o * tanh(c')   (Hochreiter & Schmidhuber 1997; f of Gers et al. 2000)
    GRU    h' = (1 - z) * tanh(W x + r * U h) + z * h            (Cho et al. 2014, in the variant of cuDNN)

The state has one size for any length, so a step costs the same at position 10 and at position 10,000.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
"""(h, c) of an LSTM or (h,) of a GRU, each (depth, B, width)."""


class Recurrent(nn.Module):
    """`depth` recurrent layers of one width: position t of the output depends on positions <= t of the input."""

    def __init__(self, width: int, depth: int, cell: Literal["lstm", "gru"]) -> None:
        super().__init__()
        self.cell = cell
        kind = nn.LSTM if cell == "lstm" else nn.GRU
        self.layers: nn.LSTM | nn.GRU = kind(width, width, depth, batch_first=True)
        for name, parameter in self.layers.named_parameters():
            if name.startswith("weight"):
                nn.init.normal_(parameter, std=1.0 / math.sqrt(width))
            else:
                nn.init.zeros_(parameter)
                if cell == "lstm" and name.startswith("bias_ih"):
                    # The forget gate begins open, so that gradients reach far back (Jozefowicz et al. 2015).
                    with torch.no_grad():
                        parameter[width : 2 * width] = 1.0

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """x (B, T, width), the positions that follow the state's; returns the same shape and the state after them."""
        if self.cell == "lstm":
            out, after = self.layers(x, state)
            return out, after
        out, h = self.layers(x, None if state is None else state[0])
        return out, (h,)

    def flops(self, length: int) -> float:
        """Floating-point operations of a forward pass over one sequence: 2 a weight a position."""
        return 2.0 * length * sum(p.numel() for p in self.parameters() if p.ndim == 2)
