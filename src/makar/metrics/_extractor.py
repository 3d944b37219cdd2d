"""What an extractor is; `_extractors.py` has them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Extractor(ABC):
    """A named map from a batch of a space to float64 (n, d). A subclass is final."""

    name: str

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Features, float64 (n, d), of a batch of the space."""
