"""What of an item a next-symbol model sees while it is drawn from.

A model sees `length` symbols at a time. Where an item grows beyond, the model forgets all but the last half of them and
reads that half anew, as if a window began there, which is how the rows of a long text were cut when it learnt. So a
symbol has half a window or more before it, and reading anew costs one pass over half a window for each half that is
drawn. When that happens depends on the item's length alone, so one seed makes the same item in any batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from makar.core.errors import MakarError


class Window:
    """The context of a batch of items under way, and the model's cache of it."""

    def __init__(self, model: Any, condition: Tensor | None, prompt: tuple[int, ...], limit: int) -> None:
        """`limit` is how many symbols an item may have, 0 for the model's length. Raises MakarError where the prompt is
        longer than that, and where items have one length and this is another."""
        self.limit = limit or model.length
        if len(prompt) > self.limit:
            raise MakarError(f"the prompt has {len(prompt)} symbols and an item at most {self.limit}; shorten it")
        if model.end is None and self.limit > model.length:
            raise MakarError(f"limit is {limit}, but every item of this model has {model.length} symbols; leave it out")
        self._model = model
        self._condition = condition
        self._prompt = prompt
        self._first = 0  # of the symbols that the model sees
        self._cache: Any = None

    def begun(self, batch: int) -> Tensor:
        """Room for the items, int64 (batch, limit), with the prompt in its place and -1 behind it."""
        symbols = torch.full((batch, self.limit), -1, dtype=torch.int64)
        symbols[:, : len(self._prompt)] = torch.tensor(self._prompt, dtype=torch.int64)
        return symbols

    def seen(self, symbols: Tensor) -> Tensor:
        """Those of the symbols so far, int64 (B, ..., t), that the model is to be shown."""
        if symbols.shape[-1] - self._first >= self._model.length:
            self._first = symbols.shape[-1] - self._model.length // 2
            self._cache = None
        return symbols[..., self._first :]

    def logits(self, symbols: Tensor) -> Tensor:
        """Logits (B, V) of what follows the symbols so far (B, t); they must go on from those of the last call."""
        shown = self.seen(symbols)  # before the cache is read, which it may drop
        logits: Tensor
        logits, self._cache = self._model.next(shown, self._cache, self._condition)
        return logits
