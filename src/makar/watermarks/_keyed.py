"""What the marks in text share: keyed bits, chance that a key bends, and the search for it in a text.

A context is the last h symbols. It and the secret key make a seed by keyed BLAKE2b (RFC 7693, section 2.9), and the
seed and a candidate v make 64 bits by the v-th step of SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom
number generators", figure 17), all in integers: one hash for a context, some ten operations for a candidate, the same
bits on every machine. Who knows all the bits of one context still knows nothing of another's.

Nothing is marked before h symbols have been drawn: what follows one prompt would else be much the same text every time.
"""

from __future__ import annotations

import hashlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.model import Model, PredictsNext
from makar.core.noise import Noise
from makar.core.sampler import Sampler
from makar.core.spaces import Tokens
from makar.core.watermark import Detection, Watermark

KEY = 32  # bytes
SMALL = 512  # symbols: a vocabulary of at most so many is one of bytes or characters
LEAST = 16  # symbols scored below which nothing is said
MOST = 1 << 18  # characters of a text that are looked at

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # SplitMix64's increment and multipliers, as int64
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64)


def keyed_bits(key: bytes, purpose: bytes, contexts: Tensor, symbols: Tensor) -> Tensor:
    """64 pseudo-random bits in an int64 for every context (N, h) and each of its symbols (N or 1, K): (N, K)."""
    rows = contexts.cpu().numpy().astype("<i4")
    seeds = b"".join(hashlib.blake2b(row, digest_size=8, key=key, person=purpose).digest() for row in rows)
    seed = torch.from_numpy(np.frombuffer(seeds, dtype="<i8").astype(np.int64)).to(contexts.device)
    z = seed.unsqueeze(1) + (symbols + 1) * _GOLDEN  # wraps modulo 2^64; the masks make the shifts logical
    z = (z ^ (z >> 30 & (1 << 34) - 1)) * _FIRST
    z = (z ^ (z >> 27 & (1 << 37) - 1)) * _SECOND
    return z ^ (z >> 31 & (1 << 33) - 1)


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """P(X >= successes) for X ~ Binomial(trials, chance), summed term by term; never less than the smallest float."""
    if successes <= 0:
        return 1.0
    k = torch.arange(successes, trials + 1, dtype=torch.float64)
    n = torch.tensor(float(trials), dtype=torch.float64)
    ways = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    log = ways + k * np.log(chance) + (n - k) * np.log1p(-chance)
    return min(1.0, max(sys.float_info.min, float(log.logsumexp(0).exp())))


class KeyedNoise(Noise):
    """Chance whose choices are bent where there is a context; all else is drawn from `plain` as it stands."""

    def __init__(self, plain: Noise, context: int, bend: Callable[[Tensor, Tensor], Tensor]) -> None:
        """`bend` takes logits (B, V) and the symbols so far (B, t), t >= `context`, and returns logits (B, V)."""
        self._plain = plain
        self._context = context
        self._bend = bend
        self._prompt = sys.maxsize  # symbols that were there when the first was drawn

    @property
    def batch(self) -> int:
        return self._plain.batch

    def uniform(self, *shape: int) -> Tensor:
        return self._plain.uniform(*shape)

    def normal(self, *shape: int) -> Tensor:
        return self._plain.normal(*shape)

    def integers(self, high: int, *shape: int) -> Tensor:
        return self._plain.integers(high, *shape)

    def choice(self, logits: Tensor, given: Tensor | None = None) -> Tensor:
        if given is not None and logits.ndim == 2:
            self._prompt = min(self._prompt, given.shape[1])
            if given.shape[1] >= self._prompt + self._context:
                logits = self._bend(logits.double(), given.to(logits.device))
        return self._plain.choice(logits, given)


@dataclass(frozen=True)
class Count:
    """What was counted in a text: `successes` in `trials` that succeed with probability `chance` where no mark is."""

    successes: int
    trials: int
    chance: float
    symbols: int
    evidence: str  # a sentence


class TextMark(Watermark, ABC):
    """A mark that bends the choice of the next symbol by a key and the h symbols before it."""

    modality = "text"
    needs_model = True  # its codec, to read the text as the sampler did
    purpose: ClassVar[bytes]
    """Keeps the bits of one kind of mark apart from those of another under the same key; at most 16 bytes."""

    contexts: ClassVar[tuple[int, int]]
    """The usual h for small vocabularies (bytes, characters) and for large ones (byte pairs)."""

    def __init__(self, config: Any, key: bytes, model: Model | None = None, codec: Codec | None = None) -> None:
        super().__init__(config, key, model, codec)
        if len(key) != KEY:
            raise MakarError(
                f"a watermark's key has {len(key)} bytes; it must have {KEY}: make one with makar keys init"
            )
        space = codec.space if codec is not None else None if model is None else model.space
        self._space = space if isinstance(space, Tokens) else None
        small = self._space is None or self._space.vocab <= SMALL
        self.context: int = config.context or self.contexts[0 if small else 1]

    @abstractmethod
    def bend(self, logits: Tensor, given: Tensor) -> Tensor:
        """Logits float64 (B, V) with the mark in them, after the symbols int64 (B, t), t >= h."""

    @abstractmethod
    def count(self, windows: Tensor) -> Count:
        """What speaks for the mark in windows (N, h + 1) of h symbols and the one that follows, in reading order."""

    def bits(self, contexts: Tensor, symbols: Tensor) -> Tensor:
        """The key's 64 bits for each context (N, h) and its symbols (N or 1, K): int64 (N, K)."""
        return keyed_bits(self.key, self.purpose, contexts, symbols)

    def whole(self, windows: Tensor) -> Tensor:
        """Which windows (N, n) hold symbols of one document only, and neither its marker nor padding."""
        marker = -1 if self._space is None or self._space.start is None else self._space.start
        return ((windows >= 0) & (windows != marker)).all(1)

    def noise(self, noise: Noise) -> Noise:
        return KeyedNoise(noise, self.context, self.bend)

    def obstacle(self, sampler: Sampler | None, shape: tuple[int, ...] | None) -> str | None:
        name = f"the watermark {type(self).__name__.lower()!r}"
        if self.model is None or not isinstance(self.model, PredictsNext) or self._space is None:
            kind = "there is no model" if self.model is None else f"{type(self.model).__name__} does not draw so"
            return f"{name} bends the choice of each next symbol of a text, and {kind}"
        if self.codec is not None and self.codec.things != "text":
            return f"{name} is for text, and this model makes {self.codec.things}"
        needed = 2 * self.context + LEAST
        if self.model.length < needed:
            return f"items of {self.model.length} symbols are too short for {name}, which needs at least {needed}"
        if sampler is not None and not _leaves_to_chance(sampler, self._space.vocab):
            return (
                f"the sampler {type(sampler).__name__} leaves no symbol to chance (a beam, a temperature of 0, a top k "
                f"of 1), so {name} has nothing to bend; draw by ancestral sampling"
            )
        return None

    def detect(self, thing: Any) -> Detection:
        """Look for the mark in a text, which is encoded anew by the model's codec.

        Where the codec writes a text in more than one way (byte pairs), symbols that were drawn in another way than it
        would write them, and those whose context holds such, carry no evidence any more; likewise h + 1 symbols for
        each that was altered. They dilute the mark and never raise a false alarm.

        Raises MakarError where `thing` is not a str or there is no codec.
        """
        name = type(self).__name__.lower()
        count = self.count(self._windows(thing))
        if count.symbols < LEAST:
            why = f"{count.symbols} symbols of the text can be scored, and at least {LEAST} are needed to judge it"
            return Detection(name, None, why)
        rest = f"; only the first {MOST} characters were looked at" if len(thing) > MOST else ""
        return Detection(name, binomial_tail(count.successes, count.trials, count.chance), count.evidence + rest)

    def _windows(self, text: Any) -> Tensor:
        """Every run of h + 1 symbols of the text, int64 (N, h + 1), but for those with a marker in them."""
        if not isinstance(text, str):
            raise MakarError(f"a text watermark is looked for in a str; given is {type(text).__name__}")
        if self.codec is None or self._space is None:
            raise MakarError("a text watermark is found by the codec of the model that made the text; load its bundle")
        text = text[:MOST].encode("utf-8", errors="replace").decode("utf-8")  # a lone surrogate has no bytes
        symbols = self.codec.encode([text]).flatten()  # a long text goes on from row to row
        if len(symbols) <= self.context:
            return symbols.new_empty(0, self.context + 1)
        windows = symbols.unfold(0, self.context + 1, 1)
        return windows[self.whole(windows)]


def first_occurrences(rows: Tensor) -> Tensor:
    """Index of the first of all equal rows (N, n), in order."""
    _, index = np.unique(rows.cpu().numpy(), axis=0, return_index=True)
    return torch.from_numpy(np.sort(index))


class _Coin(PredictsNext):
    """Holds every symbol equally likely: what a sampler is given to see how it draws."""

    def __init__(self, vocab: int, length: int) -> None:
        self._vocab = vocab
        self._length = length

    @property
    def length(self) -> int:
        return self._length

    @property
    def end(self) -> int:
        return 0  # so that items may be as long as the sampler is set to

    def next(self, prefix: Tensor, cache: Any, condition: Tensor | None = None) -> tuple[Tensor, Any]:
        return torch.zeros(len(prefix), self._vocab), None

    def finish(self, symbols: Tensor, noise: Noise) -> Tensor:
        return symbols


class _Witness(Noise):
    """Remembers whether it was asked to choose between symbols, given those before."""

    def __init__(self) -> None:
        self.asked = False

    @property
    def batch(self) -> int:
        return 1

    def uniform(self, *shape: int) -> Tensor:
        return torch.full((1, *shape), 0.5)

    def normal(self, *shape: int) -> Tensor:
        return torch.zeros(1, *shape)

    def choice(self, logits: Tensor, given: Tensor | None = None) -> Tensor:
        self.asked |= given is not None and int((logits > -torch.inf).sum()) > 1
        return super().choice(logits, given)


def _leaves_to_chance(sampler: Sampler, vocab: int) -> bool:
    """Whether the sampler, drawing one symbol from a fair coin of `vocab` sides, leaves which to its noise."""
    witness = _Witness()
    prompt: tuple[int, ...] = getattr(sampler.config, "prompt", ())
    next(iter(sampler.partials(_Coin(vocab, len(prompt) + 1), witness)))
    return witness.asked
