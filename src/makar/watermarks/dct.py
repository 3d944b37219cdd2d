"""Spread spectrum in the cosine domain of a picture (after Cox, Kilian, Leighton & Shamoon 1997, "Secure spread
spectrum watermarking for multimedia"), found without the original.

Brightness is cut into blocks of 8 x 8. In each, the 12 coefficients of the cosine transform with 2 <= u + v <= 4 are
moved by keyed signs s: X_uv + 3 a s_uv / (u + v). They lie low enough to survive compression and halving, and the
lowest, which a coder treats best, get most. The signs of 8 x 8 blocks make a tile, repeated over the picture, so that a
piece from anywhere still holds it. The strength a grows with the block's own texture, which hides it (Podilchuk & Zeng
1998), and is held down so that the peak signal-to-noise ratio stays above `psnr`.

Detection takes the transform at every pixel, squashes each coefficient to x / (|x| + 4) so that no edge outvotes the
rest, and adds up what lies in the same place of the tile. Correlation with the signs at all 64 x 64
offsets of the tile, by FFT, finds a cropped picture; the same at a few scales a resized one. All of that is computed
without the key, so the p-value holds for every clean picture (see `_spread`). Half of the false-positive rate is spent
on the picture as it was made, a quarter on its other offsets and a quarter on the other scales.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from makar.core.errors import MakarError
from makar.core.sampler import Sampler
from makar.core.watermark import Detection, Watermark
from makar.watermarks._spread import signs, strongest

BLOCK, TILE = 8, 64
PLACES = [(u, v) for u in range(5) for v in range(5) if 2 <= u + v <= 4]
LEAST = 48  # pixels: the shorter side that a picture must have to be marked
MOST = 1024  # pixels of a side that are looked at, half as many at other scales
SEEN = 24  # and to be looked at, since it may have been cropped or made smaller since
_CARRIERS = {1: 1, 2: 1, 3: 3, 4: 3}  # channels that carry the mark, by their number; the last of 2 or 4 is alpha
_SOFT = 4.0  # levels: coefficients well above count by their sign, those below by their value
_LUMA = (0.299, 0.587, 0.114)  # brightness of red, green and blue (ITU-R BT.601)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Config:
    psnr: float = 39.0  # dB, the least that a stamped picture has against the unstamped
    flat: float = 4.0  # change of a coefficient in a block without texture, in levels
    texture: float = 0.8  # by how much it grows with the mean size of the block's coefficients
    most: float = 14.0
    scales: tuple[float, ...] = (0.5, 0.75, 1.25, 1.5, 2.0)  # resizings that are looked for, beside none


class DCT(Watermark):
    """A stamp on pictures of at least 48 x 48 pixels."""

    Config = Config
    modality = "pictures"
    automatic = 1

    def obstacle(self, sampler: Sampler | None, shape: tuple[int, ...] | None) -> str | None:
        if shape is None or min(shape[:2]) >= LEAST:
            return None
        return (
            f"a picture of {shape[0]} x {shape[1]} pixels is too small for the watermark 'dct', "
            f"which needs {LEAST} x {LEAST}"
        )

    @cached_property
    def _signs(self) -> Array:
        """(coefficients, 8, 8): one sign for each coefficient of each block of a tile."""
        return signs(self.key, "dct", len(PLACES), TILE // BLOCK, TILE // BLOCK)

    @cached_property
    def _spectrum(self) -> Tensor:
        """Conjugate spectrum of the signs, each in the corner of its block of the tile."""
        spread = torch.zeros(len(PLACES), TILE, TILE, dtype=torch.float64)
        spread[:, ::BLOCK, ::BLOCK] = torch.from_numpy(self._signs).double()
        spectrum: Tensor = torch.fft.rfft2(spread).conj()
        return spectrum

    @cached_property
    def _tile(self) -> Array:
        """(64, 64): the mark at strength 1, in levels."""
        blocks = np.einsum("kyx,kij->yixj", self._signs, _waves())
        return np.ascontiguousarray(blocks.reshape(TILE, TILE), np.float32)

    def stamp(self, thing: Any) -> Any:
        """The picture uint8 (H, W, C) with the mark in it; alpha and incomplete blocks at the edges stay."""
        picture = _checked(thing)
        height, width = (side // BLOCK * BLOCK for side in picture.shape[:2])
        if min(picture.shape[:2]) < LEAST:
            raise MakarError(self.obstacle(None, picture.shape) or "")
        strength = self._strength(brightness(picture)[:height, :width])
        tiles = np.tile(self._tile, (-(-height // TILE), -(-width // TILE)))[:height, :width]
        mark = (tiles.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK) * strength[:, None, :, None]).reshape(
            height, width, 1
        )
        carriers = _CARRIERS[picture.shape[2]]
        stamped = picture.copy()
        part = stamped[:height, :width, :carriers]
        part[:] = np.clip(np.rint(part + mark), 0, 255).astype(np.uint8)
        return stamped

    def _strength(self, luma: Array) -> Array:
        """By how much the coefficients of each block are moved, (H / 8, W / 8)."""
        height, width = luma.shape
        basis = _basis()
        blocks = luma.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(0, 2, 1, 3)
        sizes = np.abs(basis @ blocks @ basis.T).reshape(*blocks.shape[:2], -1)
        texture = (sizes.sum(-1) - sizes[..., 0]) / (BLOCK * BLOCK - 1)
        strength = np.clip(self.config.flat + self.config.texture * texture, None, self.config.most)
        allowed = 255.0**2 * 10.0 ** (-self.config.psnr / 10.0)
        error = float(np.mean(strength**2)) * float(np.square(_waves()).sum()) / BLOCK**2
        return np.asarray(strength * min(1.0, math.sqrt(allowed / error)), np.float32)

    def detect(self, thing: Any) -> Detection:
        """Look for the mark in a picture uint8 (H, W, C), which may have been cropped and resized."""
        picture = _checked(thing)
        if min(picture.shape[:2]) < SEEN:
            size = f"{picture.shape[0]} x {picture.shape[1]}"
            return Detection(
                "dct", None, f"a picture of {size} pixels is too small to be judged: it takes {SEEN} x {SEEN}"
            )
        whole = brightness(picture)
        found, words = [], []
        for scale in (1.0, *self.config.scales):
            luma = torch.from_numpy(_middle(whole, MOST if scale == 1.0 else MOST // 2))
            height, width = (round(side / scale) for side in luma.shape)
            if min(height, width) < SEEN:
                continue
            scores = self._scores(luma if scale == 1.0 else _resized(luma, height, width))
            best = int(scores.argmax())
            share = 0.25 if scale == 1.0 else 0.25 / len(self.config.scales)
            looks = [(float(scores.flatten()[best]), share / TILE**2, f"({best // TILE}, {best % TILE})")]
            if scale == 1.0:
                looks.append((float(scores[0, 0]), 0.5, "(0, 0)"))
            for score, part, offset in looks:
                found.append((score, part))
                words.append(f"{score:.1f} standard deviations at offset {offset} and scale {scale:g}")
        p_value, best = strongest(found)
        chips = self._signs.size
        return Detection("dct", p_value, f"{chips} keyed signs agree by {words[best]}")

    def _scores(self, luma: Tensor) -> Tensor:
        """Correlation with the signs over its norm, float64 (64, 64), at every offset of the tile."""
        folded = _folded(luma)
        product = (torch.fft.rfft2(folded) * self._spectrum).sum(0)
        inner = torch.fft.irfft2(product, s=(TILE, TILE))
        each = folded.square().sum(0).reshape(TILE // BLOCK, BLOCK, TILE // BLOCK, BLOCK).sum((0, 2))
        norm = each.sqrt().repeat(TILE // BLOCK, TILE // BLOCK)
        return torch.where(norm > 1e-3, inner / norm.clamp(min=1e-3), 0.0)


def _checked(thing: Any) -> NDArray[np.uint8]:
    picture = np.asarray(thing)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in _CARRIERS:
        raise MakarError(
            f"the watermark 'dct' was given {picture.dtype} of shape {picture.shape}; it takes pictures uint8 "
            f"(height, width, channels) with 1 to 4 channels"
        )
    return picture


def brightness(picture: NDArray[np.uint8]) -> Array:
    """Float32 (H, W) of a picture uint8 (H, W, C)."""
    if picture.shape[2] < 3:
        return picture[..., 0].astype(np.float32)
    return picture[..., :3].astype(np.float32) @ np.array(_LUMA, np.float32)


@cache
def _basis() -> Array:
    """The orthonormal cosine transform: row u is cos(pi (2 i + 1) u / 16), scaled to length 1."""
    u, i = np.mgrid[:BLOCK, :BLOCK]
    rows = np.cos(math.pi * (2 * i + 1) * u / (2 * BLOCK)) * math.sqrt(2.0 / BLOCK)
    rows[0] /= math.sqrt(2.0)
    return np.asarray(rows, np.float32)


@cache
def _waves() -> Array:
    """(coefficients, 8, 8): what each sign adds to a block at strength 1, less of the higher frequencies."""
    basis = _basis()
    return np.stack([3.0 / (u + v) * np.outer(basis[u], basis[v]) for u, v in PLACES])


def _middle(luma: Array, most: int) -> Array:
    """At most `most` pixels of each side from the middle, cut at whole tiles: enough, whatever one is given."""
    top, left = (max(0, side - most) // 2 // TILE * TILE for side in luma.shape)
    return luma[top : top + most, left : left + most]


def _resized(luma: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(luma[None, None], (height, width), mode="bilinear", antialias=True)[0, 0]


def _folded(luma: Tensor) -> Tensor:
    """Squashed coefficients of the block that begins at each pixel, summed over tiles: (coefficients, 64, 64)."""
    waves = torch.from_numpy(_waves()).unsqueeze(1)
    found = F.conv2d(luma[None, None], waves)[0]
    found = found / (found.abs() + _SOFT)
    height, width = (-(-side // TILE) for side in found.shape[1:])
    padded = F.pad(found, (0, width * TILE - found.shape[2], 0, height * TILE - found.shape[1]))
    return padded.reshape(len(PLACES), height, TILE, width, TILE).double().sum((1, 3))
