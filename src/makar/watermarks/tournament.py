"""Tournament sampling: a mark in text that leaves every symbol's distribution as it was (SynthID-Text).

Each candidate v for the next symbol has m bits g_1(v), ..., g_m(v), pseudo-random in the key, the h symbols before it
and v (`_keyed.py`). Were 2^m candidates drawn from the model's p and matched in pairs, in round l the one with the
greater g_l winning, and a coin deciding where they are equal, the winner would be drawn from p_m, where p_0 = p and

    p_l(v) = p_(l-1)(v) (1 + g_l(v) - sum_w p_(l-1)(w) g_l(w))                                          l = 1 ... m

(Dathathri et al. 2024, "Scalable watermarking for identifying large language model outputs", Nature 634:818-823; two
candidates a match). The symbol is drawn from p_m by the wrapped noise's own random number. As g_l is fair and
independent of p_(l-1), E[g_l(v) - sum_w p_(l-1)(w) g_l(w)] = 0, so the mean of p_m over keys is p: nobody without the
key can tell from one symbol that there is a mark. A context that stands in the row already would choose by the same
bits again, so there the draw is plain; with that the whole text, too, follows the model's distribution over keys.
Texts made with one key are not independent of each other: after like contexts they choose alike.

The more the model hesitates, the stronger the mark: a round adds (1 - sum p^2) / 4 to the mean of 1/2 of its bits.

The test counts the ones among the m bits of every symbol, each context taken once, where it first stands. For a text
that does not depend on the key they are independent fair coins: Binomial(n m, 1/2), exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from makar.core.errors import MakarError
from makar.watermarks._keyed import Count, TextMark, first_occurrences

_TOGETHER = 5  # rounds played at once


@dataclass(frozen=True)
class Config:
    context: int | None = None  # h: symbols that a choice depends on; None: 8 bytes or characters, 4 byte pairs
    layers: int = 10  # m: rounds; more are found in less text, and make the texts of one key more alike

    def __post_init__(self) -> None:
        if (self.context is not None and self.context < 1) or not 1 <= self.layers <= 64:
            raise MakarError(
                "the watermark tournament needs a context of at least 1 symbol and 1 to 64 layers; given "
                f"{self.context} and {self.layers}"
            )


def tournament(p: Tensor, bits: Tensor, layers: int) -> Tensor:
    """p_m (B, V), given p (B, V) float64 and g_l(v) as bit l - 1 of `bits` int64 (B, V).

    A round looks at a symbol only through its bit, so a few rounds are played between the 2^k patterns that k bits can
    have, whose masses are 2^k numbers and not V.
    """
    for first in range(0, layers, _TOGETHER):
        rounds = min(_TOGETHER, layers - first)
        pattern = bits >> first & (1 << rounds) - 1
        mass = p.new_zeros(len(p), 1 << rounds).scatter_add_(1, pattern, p)
        p = p * _factors(mass, rounds).gather(1, pattern)
    return p


def _factors(mass: Tensor, rounds: int) -> Tensor:
    """By what the probability of each pattern (B, 2^rounds), now `mass`, is multiplied in these rounds."""
    layers = torch.arange(rounds, device=mass.device).unsqueeze(1)
    ones = (torch.arange(mass.shape[1], device=mass.device) >> layers & 1).to(mass.dtype)
    factors = torch.ones_like(mass)
    for g in ones:
        expected = ((mass * factors) @ g).clamp_(max=1.0)  # above 1 only by rounding
        factors *= g + (1.0 - expected).unsqueeze(1)
    return factors


class Tournament(TextMark):
    """Marks what a next-symbol model draws, without bias for any one symbol."""

    Config: TypeAlias = Config
    config: Config
    purpose = b"makar tournament"
    contexts = (8, 4)
    automatic = 1

    def bend(self, logits: Tensor, given: Tensor) -> Tensor:
        context = given[:, -self.context :]
        seen = (given.unfold(1, self.context, 1)[:, :-1] == context.unsqueeze(1)).all(2).any(1)
        candidates = torch.arange(logits.shape[1], device=logits.device).unsqueeze(0)
        marked = tournament(logits.softmax(1), self.bits(context, candidates), self.config.layers).log()
        return torch.where((self.whole(context) & ~seen).unsqueeze(1), marked, logits)

    def count(self, windows: Tensor) -> Count:
        scored = windows[first_occurrences(windows[:, :-1])]
        bits = self.bits(scored[:, :-1], scored[:, -1:])
        layers = self.config.layers
        ones, trials = int((bits >> torch.arange(layers) & 1).sum()), len(scored) * layers
        evidence = f"{ones} of {trials} keyed bits of {len(scored)} symbols are ones, where half are expected by chance"
        return Count(ones, trials, 0.5, len(scored), evidence)
