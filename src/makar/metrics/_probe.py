"""The digits probe: a small convolutional classifier whose last hidden layer is a feature space for digits.

    levels / 8 - 1 -> [conv 3x3 - GELU] x 3 -> Linear -> LayerNorm -> GELU = 64 features -> Linear = 10 logits

Frechet distances and neighbourhoods in this space mean "does it look like a digit of the same kind", which pixels do
not. Inception, the field's usual space, was made for photographs of 299 x 299 and cannot be had offline; so this is
for *relative* comparison, and a score that uses it carries the probe's name and digest. `benchmarks/probe_digits.py`
trained it on the training split alone and wrote `probe_digits/`, with the accuracy it reached on held-out digits.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from makar.core.errors import MakarError
from makar.core.spaces import Levels
from makar.metrics._extractor import Extractor

FOLDER = Path(__file__).resolve().parent / "probe_digits"
SPACE = Levels((1, 8, 8), 17)
_CHUNK = 512


class ProbeNet(nn.Module):
    """Three convolutions, 64 features, 10 classes."""

    def __init__(self, width: int, features: int = 64, classes: int = 10) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, stride=2),
            nn.GELU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(2 * width * 16, features),
            nn.LayerNorm(features),
            nn.GELU(),
        )
        self.head = nn.Linear(features, classes)
        # a fixed unit of length: real digits lie 0.14 apart, as in the published runs that ours are compared with
        self.register_buffer("unit", torch.tensor(0.6))
        self.unit: Tensor

    def features(self, x: Tensor) -> Tensor:
        """Levels 0..16, (B, 1, 8, 8), to float32 (B, 64)."""
        return self.unit * self._hidden(x)

    def forward(self, x: Tensor) -> Tensor:
        """Levels 0..16, (B, 1, 8, 8), to logits (B, 10)."""
        out: Tensor = self.head(self._hidden(x))
        return out

    def _hidden(self, x: Tensor) -> Tensor:
        out: Tensor = self.trunk(x.float() / 8.0 - 1.0)
        return out


@cache
def _loaded() -> tuple[ProbeNet, str, dict[str, Any]]:
    from safetensors.torch import load

    weights = (FOLDER / "model.safetensors").read_bytes()
    config: dict[str, Any] = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256(weights).hexdigest()
    if digest != config["sha256"]:
        raise MakarError(f"the probe's weights have digest {digest[:8]}, not {config['sha256'][:8]}: reinstall makar")
    with torch.random.fork_rng(devices=[]):
        net = ProbeNet(config["width"], config["features"], config["classes"])
    net.load_state_dict(load(weights))
    net.requires_grad_(False)
    return net.eval(), digest[:8], config


class Probe(Extractor):
    """The shipped probe: an extractor (call it) and a classifier (`classify`)."""

    def __init__(self) -> None:
        self._net, digest, self.config = _loaded()
        self.name = f"probe-digits-{digest}"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Features, float64 (n, 64), of int64 levels (n, 1, 8, 8)."""
        return torch.cat([self._net.features(part).double() for part in x.split(_CHUNK)])

    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """The digit that each item of int64 levels (n, 1, 8, 8) is read as, int64 (n,)."""
        return torch.cat([self._net(part).argmax(1) for part in x.split(_CHUNK)])
