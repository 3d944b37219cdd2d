"""Samplers: ways to draw from a denoiser or a next-symbol model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from torch import Tensor

from makar.core.noise import Noise


class Sampler(ABC):
    """A way to draw. A subclass is final, sets `Config` (frozen dataclass) and `takes`, and is made as `S(config)`."""

    Config: ClassVar[type[Any]]
    takes: ClassVar[type[Any]]
    """The capability that it draws from: Denoises or PredictsNext."""

    order: ClassVar[int | None] = None
    """For a solver of an ODE, the order of its global error in the step size; the laws measure it."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def partials(self, model: Any, noise: Noise, condition: Tensor | None = None) -> Iterator[Tensor]:
        """Results as they form: latents for a denoiser, symbols so far for a next-symbol model; the last is whole.

        What is yielded has not yet been through the model's `finish`.
        """

    def sample(self, model: Any, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """The whole result, as an item of the model's space for every row of `noise`."""
        result = None
        for partial in self.partials(model, noise, condition):
            result = partial
        assert result is not None, "a sampler yields at least once"
        finished: Tensor = model.finish(result, noise)
        return finished
