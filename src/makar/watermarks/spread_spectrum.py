"""Spread spectrum in the short-time spectrum of a sound (after Kirovski & Malvar 2003, "Spread-spectrum watermarking of
audio signals"), found without the original.

The plane of time and frequency is cut into cells of 1,024 samples by 6 bins of a transform of 1,024 samples (23 ms by
258 Hz at 44.1 kHz), and the level of each cell is moved by keyed signs s: |X| 10^(s d / 20), d in decibels. As the
change follows the spectrum it is loud only where the sound is, and 1 dB is about the least difference in level that is
heard (Jesteadt, Wier & Green 1977). Bins 6 to 149 carry signs, below 6.5 kHz at 44.1 kHz, which lossy coders keep. The
signs of 64 columns repeat, so that a piece from anywhere still holds them.

Detection measures the level of every band at every quarter frame, takes away its mean over the neighbours in time and
frequency (the music), squashes the rest so that no onset outvotes the others, and adds up what lies in the same place
of the period. Correlation with the signs at all 256 offsets, by FFT, finds a cut sound; the same at a few playing
speeds a resampled one. All of that is computed without the key, so the p-value holds for every clean sound (see
`_spread`). Half of the false-positive rate is spent on the sound as it was made, a quarter on its other offsets and a
quarter on the other speeds.

Where there is no sound there is no mark: a single gliding sine holds next to none. Changes of pitch or of tempo other
than the speeds looked for hide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from makar.core.errors import MakarError
from makar.core.sampler import Sampler
from makar.core.watermark import Detection, Watermark
from makar.watermarks._spread import Signs, signs, strongest

FRAME, HOP = 1024, 256
FIRST, BIN, BANDS = 6, 6, 24  # the first bin that carries a sign, bins of a band, bands
COLUMN, COLUMNS = 4, 64  # frames of a cell, cells of a period
PERIOD = COLUMN * COLUMNS
LEAST = 16_384  # samples that a sound must have
MOST = 2**21  # samples that are looked at: 48 s at 44.1 kHz
_SOFT = 0.5  # decibels: levels that lie farther from their neighbours' count by their sign


@dataclass(frozen=True)
class Config:
    decibels: float = 1.0  # by which a cell is made louder or softer
    speeds: tuple[float, ...] = (0.5, 44_100 / 48_000, 48_000 / 44_100, 2.0)  # resamplings that are looked for


class SpreadSpectrum(Watermark):
    """A stamp on sounds of at least 16,384 samples."""

    Config = Config
    modality = "sound"
    automatic = 1

    def obstacle(self, sampler: Sampler | None, shape: tuple[int, ...] | None) -> str | None:
        if shape is None or shape[0] >= LEAST:
            return None
        return (
            f"a sound of {shape[0]:,} samples is too short for the watermark 'spread_spectrum', which needs {LEAST:,}"
        )

    @cached_property
    def _signs(self) -> Signs:
        """(24, 64): one sign for each cell of a period."""
        return signs(self.key, "spread_spectrum", BANDS, COLUMNS)

    def stamp(self, thing: Any) -> Any:
        """The sound float32 (samples, channels) with the mark in it, every channel alike."""
        sound = _checked(thing)
        if len(sound) < LEAST:
            raise MakarError(self.obstacle(None, sound.shape) or "")
        spectrum = _spectrum(torch.from_numpy(sound.T.copy()))
        cells = torch.from_numpy(self._signs).repeat_interleave(BIN, 0).repeat_interleave(COLUMN, 1)
        gains = 10.0 ** (self.config.decibels / 20.0 * cells)
        columns = torch.arange(spectrum.shape[2]) % PERIOD
        spectrum[:, FIRST : FIRST + BANDS * BIN] *= gains[:, columns]
        window = torch.hann_window(FRAME)
        marked = torch.istft(spectrum, FRAME, HOP, window=window, length=len(sound))
        return np.ascontiguousarray(marked.clamp(-1.0, 1.0).numpy().T)

    def detect(self, thing: Any) -> Detection:
        """Look for the mark in a sound float32 (samples, channels), which may have been cut and resampled."""
        sound = _checked(thing)[:MOST]
        if len(sound) < LEAST:
            words = f"a sound of {len(sound):,} samples is too short to be judged: it takes {LEAST:,}"
            return Detection("spread_spectrum", None, words)
        wave = torch.from_numpy(sound.T.copy())
        found, words_of = [], []
        for speed in (1.0, *self.config.speeds):
            scores = self._scores(wave if speed == 1.0 else _resampled(wave, speed))
            best = int(scores.argmax())
            share = 0.25 if speed == 1.0 else 0.25 / len(self.config.speeds)
            looks = [(float(scores[best]), share / PERIOD, best)]
            if speed == 1.0:
                looks.append((float(scores[0]), 0.5, 0))
            for score, part, offset in looks:
                found.append((score, part))
                words_of.append(f"{score:.1f} standard deviations at offset {offset * HOP} and speed {speed:.3g}")
        p_value, best = strongest(found)
        return Detection("spread_spectrum", p_value, f"{self._signs.size} keyed signs agree by {words_of[best]}")

    def _scores(self, wave: Tensor) -> Tensor:
        """Correlation with the signs over its norm, float64 (256,), at every offset of the period."""
        folded = _folded(wave)
        spread = torch.zeros_like(folded)
        spread[:, ::COLUMN] = torch.from_numpy(self._signs).double()
        inner = torch.fft.irfft((torch.fft.rfft(folded) * torch.fft.rfft(spread).conj()).sum(0), n=PERIOD)
        norm = folded.square().sum(0).reshape(COLUMNS, COLUMN).sum(0).sqrt().repeat(COLUMNS)
        return torch.where(norm > 1e-3, inner / norm.clamp(min=1e-3), 0.0)


def _checked(thing: Any) -> NDArray[np.float32]:
    sound = np.asarray(thing)
    if sound.dtype != np.float32 or sound.ndim != 2 or not sound.shape[1] or not np.isfinite(sound).all():
        raise MakarError(
            f"the watermark 'spread_spectrum' was given {sound.dtype} of shape {sound.shape}; it takes finite sounds "
            f"float32 (samples, channels) within [-1, 1]"
        )
    return sound


def _spectrum(wave: Tensor) -> Tensor:
    """Complex (channels, bins, frames) of a sound (channels, samples); frame f is centred on sample 256 f."""
    return torch.stft(wave, FRAME, HOP, window=torch.hann_window(FRAME), pad_mode="reflect", return_complex=True)


def _resampled(wave: Tensor, speed: float) -> Tensor:
    """The sound as it was if it has since been sped up, by band-limited interpolation: samples * speed."""
    count = round(wave.shape[1] * speed)
    resampled: Tensor = torch.fft.irfft(torch.fft.rfft(wave), n=count)
    return resampled * speed


def _local_mean(x: Tensor, bands: int, frames: int) -> Tensor:
    """Mean over a box of odd sides around each place of (bands, frames); less of the box counts at the edges."""
    sides = (bands // 2, frames // 2)
    return F.avg_pool2d(x[None, None], (bands, frames), 1, sides, count_include_pad=False)[0, 0]


def _folded(wave: Tensor) -> Tensor:
    """Squashed levels of the cell that begins at each frame, summed over periods: float64 (24, 256)."""
    power = _spectrum(wave).abs().square().sum(0)[FIRST : FIRST + BANDS * BIN]
    bands = power.reshape(BANDS, BIN, -1).sum(1)
    level = 10.0 * torch.log10(bands + 1e-7 * bands.mean() + 1e-12)
    level = level - _local_mean(level, 1, 3 * COLUMN + 1)
    level = level - _local_mean(level, 9, 1)
    level = level / (level.abs() + _SOFT)
    cells = F.avg_pool1d(F.pad(level, (0, COLUMN - 1)), COLUMN, 1)  # the cell that begins here
    periods = -(-cells.shape[1] // PERIOD)
    padded = F.pad(cells, (0, periods * PERIOD - cells.shape[1]))
    return padded.reshape(BANDS, periods, PERIOD).double().sum(1)
