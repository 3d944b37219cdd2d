"""Green lists: a mark in text that makes a keyed part of the vocabulary likelier; biased, so it must be asked for.

Each candidate v for the next symbol is green with probability gamma, pseudo-random in the key, the h symbols before it
and v (`_keyed.py`), and the logits of green ones are raised by delta: the soft red list of Kirchenbauer et al. 2023,
"A watermark for large language models", algorithm 2. Theirs takes exactly gamma V green symbols for a context; here
each is coloured by itself, which makes the test below exact.

This is not the model's distribution any more: odds between green and red change by the factor exp(delta), 7.4 at
delta = 2, for every reader to see. In turn it is found in fewer symbols and where the model hesitates little, and short
contexts, which survive edits better, cost no variety. It acts after temperature, top k and top p.

The test counts the green symbols among the different pairs of context and symbol. For a text that does not depend on
the key each is green by itself: Binomial(n, gamma), exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from makar.core.errors import MakarError
from makar.watermarks._keyed import Count, TextMark, first_occurrences


@dataclass(frozen=True)
class Config:
    context: int | None = None  # h: symbols that a colour depends on; None: 4 bytes or characters, 2 byte pairs
    gamma: float = 0.25  # share of green symbols
    delta: float = 2.0  # by which their logits are raised

    def __post_init__(self) -> None:
        if (self.context is not None and self.context < 1) or not (0 < self.gamma < 1 and self.delta > 0):
            raise MakarError(
                "the watermark greenlist needs a context of at least 1 symbol, 0 < gamma < 1 and delta > 0; given "
                f"{self.context}, {self.gamma} and {self.delta}"
            )


class Greenlist(TextMark):
    """Marks what a next-symbol model draws, with a bias towards green symbols."""

    Config: TypeAlias = Config
    config: Config
    purpose = b"makar greenlist"
    contexts = (4, 2)

    @property
    def _chance(self) -> float:
        """Gamma to 32 bits: the probability that a symbol is green."""
        return round(self.config.gamma * 2**32) / 2**32

    def _green(self, contexts: Tensor, symbols: Tensor) -> Tensor:
        """Which symbols (N or 1, K) are green after the contexts (N, h): bool (N, K)."""
        return (self.bits(contexts, symbols) & (1 << 32) - 1) < round(self.config.gamma * 2**32)

    def bend(self, logits: Tensor, given: Tensor) -> Tensor:
        context = given[:, -self.context :]
        candidates = torch.arange(logits.shape[1], device=logits.device).unsqueeze(0)
        green = self._green(context, candidates) & self.whole(context).unsqueeze(1)
        return logits + self.config.delta * green

    def count(self, windows: Tensor) -> Count:
        scored = windows[first_occurrences(windows)]
        green = int(self._green(scored[:, :-1], scored[:, -1:]).sum())
        expected = self._chance * len(scored)
        evidence = f"{green} of {len(scored)} symbols are green, where {expected:.1f} are expected by chance"
        return Count(green, len(scored), self._chance, len(scored), evidence)
