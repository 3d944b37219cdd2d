"""Beam search: the most likely item that can be found by keeping the best few beginnings (Lowerre 1976).

From each of `width` beginnings every continuation is weighed by its log-probability, and the best `width` of all are
kept. Width 1 takes the most likely symbol each time; a width of V^(T-1) finds the most likely item of all. No
correction is made for length. Nothing is left to chance: what is found is a mode, and says
little about the distribution (Holtzman et al. 2020, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from makar.core.errors import MakarError
from makar.core.model import PredictsNext
from makar.core.noise import Noise
from makar.core.sampler import Sampler
from makar.samplers._window import Window


@dataclass(frozen=True)
class Config:
    width: int = 4
    prompt: tuple[int, ...] = ()  # symbols that every item begins with
    limit: int = 0  # symbols of an item at most, its prompt included; 0: as many as the model sees at a time
    never: tuple[int, ...] = ()  # symbols that are not drawn

    def __post_init__(self) -> None:
        if self.width < 1:
            raise MakarError(f"a beam needs a width of at least 1, not {self.width}")


class Beam(Sampler):
    Config = Config
    takes = PredictsNext

    def partials(self, model: Any, noise: Noise, condition: Tensor | None = None) -> Iterator[Tensor]:
        """The best beginning so far, int64 (B, t), for each row of the noise, of which no number is used.

        The beginnings change places at every step, so the model is asked without its cache. Raises MakarError where the
        prompt is longer than an item.
        """
        config: Config = self.config
        batch = noise.batch
        window = Window(model, condition, config.prompt, config.limit)
        beams = window.begun(batch)[:, None, : len(config.prompt)]
        scores = torch.zeros(batch, 1, dtype=torch.float64)
        if len(config.prompt) == window.limit:
            yield beams[:, 0]
        ended = torch.zeros(batch, 1, dtype=torch.bool)
        while beams.shape[2] < window.limit and not bool(ended.all()):
            kept = beams.shape[1]
            labels = None if condition is None else condition.repeat_interleave(kept)
            logits, _ = model.next(window.seen(beams).flatten(0, 1), None, labels)
            total = scores.to(logits.device)[:, :, None] + self._nats(logits, ended.to(logits.device))
            # A stable sort, and not topk: among equals the first is taken on every machine.
            ordered, index = total.flatten(1).sort(dim=1, descending=True, stable=True)
            scores, index = ordered[:, : config.width], index[:, : config.width]
            parent, symbol = index // total.shape[2], index % total.shape[2]
            rows = torch.arange(batch, device=index.device)[:, None]
            symbol = torch.where(ended.to(index.device)[rows, parent], -1, symbol)
            beams = torch.cat([beams.to(index.device)[rows, parent], symbol[:, :, None]], 2)
            ended = symbol < 0 if model.end is None else (symbol < 0) | (symbol == model.end)
            yield beams[:, 0]

    def _nats(self, logits: Tensor, ended: Tensor) -> Tensor:
        """Log-probabilities (B, kept, V) of what follows; of a beginning (B, kept) that has ended, one way for sure."""
        config: Config = self.config
        if config.never:
            logits = logits.index_fill(1, torch.tensor(config.never, device=logits.device), -math.inf)
        nats = logits.double().log_softmax(1).reshape(*ended.shape, -1)
        sure = torch.full_like(nats, -math.inf)
        sure[..., 0] = 0.0
        return torch.where(ended[..., None], sure, nats)
