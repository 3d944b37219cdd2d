"""Marks in sounds: found by their key after what happens to sounds, and by no other key."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from makar.core import registry
from makar.core.errors import MakarError
from makar.watermarks.spread_spectrum import LEAST, MOST, Config, SpreadSpectrum

RATE = 44_100
Sound = NDArray[np.float32]


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def hiss(seconds: float, rng: np.random.Generator) -> Sound:
    """Noise whose power falls with frequency."""
    count = int(seconds * RATE)
    spectrum = np.fft.rfft(rng.normal(size=count))
    wave = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 20)), count)
    return np.asarray(0.4 * wave / np.abs(wave).max(), np.float32)[:, None]


def melody(seconds: float, rng: np.random.Generator) -> Sound:
    """Plucked notes of eleven partials, two at a time, four a second."""
    count, note = int(seconds * RATE), RATE // 4
    wave = np.zeros(count)
    for start in range(0, count, note):
        t = np.arange(min(note, count - start)) / RATE
        for pitch in 110.0 * 2.0 ** (rng.integers(0, 36, 2) / 12):
            partials = sum(np.sin(2 * np.pi * pitch * h * t + rng.uniform(0, 6)) / h**1.2 for h in range(1, 12))
            wave[start : start + len(t)] += partials * np.exp(-4 * t) * (1 - np.exp(-200 * t))
    return np.asarray(0.6 * wave / np.abs(wave).max(), np.float32)[:, None]


def voice(seconds: float, rng: np.random.Generator) -> Sound:
    """Twenty partials of a wavering pitch, with a little breath."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * rng.uniform(90, 300) * t + 3 * np.sin(2 * np.pi * 5 * t)
    wave = sum(np.sin(h * phase) / h for h in range(1, 20)) * (1 + 0.5 * np.sin(2 * np.pi * rng.uniform(2, 8) * t))
    return np.asarray(0.4 * wave / np.abs(wave).max() + 0.003 * rng.normal(size=len(t)), np.float32)[:, None]


SOUNDS: list[Callable[[float, np.random.Generator], Sound]] = [hiss, melody, voice]


def down_and_up(sound: Sound) -> Sound:
    """44.1 to 22.05 kHz and back, by a polyphase filter."""
    half = resample_poly(sound, 1, 2, axis=0)
    return np.asarray(np.clip(resample_poly(half, 2, 1, axis=0)[: len(sound)], -1, 1), np.float32)


def noisy(sound: Sound) -> Sound:
    """Noise 20 dB below the sound."""
    rng = np.random.default_rng(7)
    size = float(np.sqrt(np.mean(sound**2))) * 0.1
    return np.clip(sound + size * rng.normal(size=sound.shape), -1, 1).astype(np.float32)


ATTACKS: dict[str, Callable[[Sound], Sound]] = {
    "none": lambda x: x,
    "22.05 kHz and back": down_and_up,
    "22.05 kHz": lambda x: resample_poly(x, 1, 2, axis=0).clip(-1, 1).astype(np.float32),
    "a third as loud": lambda x: x / np.float32(3),
    "noise at 20 dB": noisy,
    "cut at both ends": lambda x: x[len(x) // 17 : -len(x) // 25],
    "16 bits": lambda x: (np.rint(x * 32767) / 32767).astype(np.float32),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_marked_sound_is_found_after(attack: str) -> None:
    rng = np.random.default_rng(1)
    for number, make in enumerate(SOUNDS):
        mark = SpreadSpectrum(Config(), key(number))
        p = mark.detect(ATTACKS[attack](mark.stamp(make(3.0, rng)))).p_value
        assert p is not None
        assert p < 1e-6


def test_the_key_alone_finds_it_and_two_keys_share_a_sound() -> None:
    sound = voice(3.0, np.random.default_rng(2))
    first, second, other = (SpreadSpectrum(Config(), key(k)) for k in range(3))
    both = second.stamp(first.stamp(sound))
    for mark in (first, second):
        assert mark.detect(both).p_value < 1e-9  # type: ignore[operator]
        assert mark.detect(sound).p_value > 0.01  # type: ignore[operator]
    assert other.detect(both).p_value > 0.01  # type: ignore[operator]


def test_a_stamp_changes_little_keeps_the_range_and_is_a_function() -> None:
    rng = np.random.default_rng(3)
    for make in SOUNDS:
        sound = make(1.0, rng)
        before = sound.copy()
        mark = SpreadSpectrum(Config(), key(5))
        marked = mark.stamp(sound)
        assert np.array_equal(sound, before)
        assert np.array_equal(marked, mark.stamp(sound))
        assert marked.dtype == np.float32
        assert marked.shape == sound.shape
        assert np.abs(marked).max() <= 1.0
        # 1 dB louder or softer is 18.3 dB or 19.3 dB below the sound
        ratio = 10 * np.log10(np.sum(sound**2.0) / np.sum((marked - sound) ** 2.0))
        assert 18.0 < ratio < 40.0


def test_both_channels_carry_it() -> None:
    rng = np.random.default_rng(4)
    stereo = np.concatenate([hiss(2.0, rng), voice(2.0, rng)], 1)
    mark = SpreadSpectrum(Config(), key(1))
    marked = mark.stamp(stereo)
    for part in (marked, marked[:, :1], marked[:, 1:], marked[:, ::-1]):
        assert mark.detect(np.ascontiguousarray(part)).p_value < 1e-6  # type: ignore[operator]


def test_p_values_of_other_keys_are_valid() -> None:
    """For a hiss, a melody, a marked voice and silence: P(p <= a) <= a over 100 keys."""
    rng = np.random.default_rng(5)
    marked = SpreadSpectrum(Config(), key(7)).stamp(voice(1.0, rng))
    settings = Config(speeds=(2.0,))
    for sound in (hiss(0.5, rng), melody(1.0, rng), marked, np.zeros((LEAST, 1), np.float32)):
        values = np.array([SpreadSpectrum(settings, key(100 + k)).detect(sound).p_value for k in range(100)], float)
        for level in (0.01, 0.1, 0.5):
            assert (values <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 100)


def test_silence_has_nothing_to_change() -> None:
    silence = np.zeros((2 * LEAST, 2), np.float32)
    mark = SpreadSpectrum(Config(), key(1))
    assert np.array_equal(mark.stamp(silence), silence)
    assert mark.detect(silence).p_value == 1.0


def test_what_is_too_short_is_refused() -> None:
    mark = SpreadSpectrum(Config(), key(1))
    assert "too short" in str(mark.obstacle(None, (LEAST - 1, 1)))
    assert mark.obstacle(None, (LEAST, 1)) is None
    assert mark.obstacle(None, None) is None
    short = np.zeros((LEAST - 1, 1), np.float32)
    with pytest.raises(MakarError, match="too short"):
        mark.stamp(short)
    found = mark.detect(short)
    assert found.p_value is None
    assert "too short" in found.evidence


@pytest.mark.parametrize(
    "thing",
    [
        np.zeros((50_000, 1)),
        np.zeros(50_000, np.float32),
        np.zeros((50_000, 0), np.float32),
        np.full((50_000, 1), np.nan, np.float32),
        "text",
    ],
)
def test_what_is_no_sound_is_refused(thing: object) -> None:
    mark = SpreadSpectrum(Config(), key(1))
    with pytest.raises(MakarError, match="sounds float32"):
        mark.stamp(thing)
    with pytest.raises(MakarError, match="sounds float32"):
        mark.detect(thing)


def test_only_the_beginning_of_a_long_sound_is_looked_at() -> None:
    mark = SpreadSpectrum(Config(speeds=()), key(1))
    start = mark.stamp(hiss(1.0, np.random.default_rng(6)))
    long = np.concatenate([start, np.zeros((MOST, 1), np.float32)])
    assert mark.detect(long).p_value < 1e-6  # type: ignore[operator]


def test_the_registry_knows_it() -> None:
    assert registry.load("watermarks", "spread_spectrum") is SpreadSpectrum
    assert SpreadSpectrum.automatic == 1
