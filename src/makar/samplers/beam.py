"""Beam search: the most likely item that can be found by keeping the best few beginnings (Lowerre 1976).

From each of `width` beginnings every continuation is weighed by its log-probability, and the best `width` of all are
kept. Width 1 takes the most likely symbol each time; a width of V^(T-1) finds the most likely item of all. All items
have one length, so no correction for length is needed. Nothing is left to chance: what is found is a mode, and says
little about the distribution (Holtzman et al. 2020, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from makar.core.errors import MakarError
from makar.core.model import PredictsNext
from makar.core.noise import Noise
from makar.core.sampler import Sampler


@dataclass(frozen=True)
class Config:
    width: int = 4
    prompt: tuple[int, ...] = ()  # symbols that every item begins with

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
        batch = noise.batch
        prompt = torch.tensor(self.config.prompt, dtype=torch.int64)
        if len(prompt) > model.length:
            raise MakarError(f"the prompt has {len(prompt)} symbols and an item at most {model.length}; shorten it")
        beams = prompt.expand(batch, 1, -1)
        scores = torch.zeros(batch, 1, dtype=torch.float64)
        if len(prompt) == model.length:
            yield beams[:, 0]
        while beams.shape[2] < model.length:
            kept = beams.shape[1]
            labels = None if condition is None else condition.repeat_interleave(kept)
            logits, _ = model.next(beams.flatten(0, 1), None, labels)
            nats = logits.double().log_softmax(1).reshape(batch, kept, -1)
            total = scores.to(nats.device)[:, :, None] + nats
            # A stable sort, and not topk: among equals the first is taken on every machine.
            ordered, index = total.flatten(1).sort(dim=1, descending=True, stable=True)
            scores, index = ordered[:, : self.config.width], index[:, : self.config.width]
            parent, symbol = index // nats.shape[2], index % nats.shape[2]
            rows = torch.arange(batch, device=index.device)[:, None]
            beams = torch.cat([beams.to(index.device)[rows, parent], symbol[:, :, None]], 2)
            yield beams[:, 0]
