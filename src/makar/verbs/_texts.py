"""Texts: which codec suits documents, how much must be drawn, and where what was drawn is cut.

A text that a model draws ends where its document ends. One that has not ended when as many symbols were drawn as the
model sees at a time is cut behind its last whole sentence or line. Where a length was asked for, in characters and with
the prompt among them, a text is drawn on until it ends or has that many, and cut there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from makar.core.codec import Codec
from makar.core.spaces import Tokens

_MUCH = 200_000  # characters in all, from which on byte pairs can be learnt
_SHORT = 255  # characters that all but one in 200 short items have at most
_WORDS = 6  # words an item from which on it is language, if nearly all of it is letters
_LETTERS = 0.85
_SAMPLED = 2000  # documents looked at
_BYTES = 4  # of a character at most, in UTF-8: as many symbols can a character take

_END = re.compile(r"""[.!?…]+["'”’»)\]]*(?=\s|$)|[。！？｡।॥؟]+["'”’»」』）]*|\n+""")


def codec_for(documents: Sequence[str]) -> str:
    """The codec for documents: single symbols where they are short items other than language (molecules, names), or
    where there is little of them; else byte pairs."""
    if sum(map(len, documents)) < _MUCH:
        return "symbols"
    lengths = np.fromiter(map(len, documents), dtype=np.int64)
    short = float(np.quantile(lengths, 0.995)) <= _SHORT
    return "symbols" if short and not _language(documents) else "bpe"


def _language(documents: Sequence[str]) -> bool:
    """Whether items are sentences rather than codes: several words each, nearly all letters."""
    count = min(len(documents), _SAMPLED)
    some = [documents[i * len(documents) // count] for i in range(count)]
    words = sum(len(document.split()) for document in some) / count
    text = "".join(some)
    letters = sum(c.isalpha() or c.isspace() for c in text) / max(1, len(text))
    return words >= _WORDS and letters >= _LETTERS


def limit(codec: Codec, prompt: str, length: int | None) -> int:
    """Symbols to draw at most, the prompt's among them, for a text of `length` characters.

    Without a length, as many as a window has, and half a window at least behind the prompt; 0 says a window.
    """
    assert isinstance(codec.space, Tokens), "a text is symbols"
    begun = len(codec.prompt(prompt))
    if length is None:
        least = begun + codec.space.length // 2
        return least if least > codec.space.length else 0
    return begun + _BYTES * max(0, length - len(prompt)) + 1


def lacking(codec: Codec, symbols: Tensor, length: int) -> int:
    """How many characters the shortest of the rows int64 (B, t) still lacks of `length`."""
    return length - min(map(len, codec.decode(symbols)), default=length)


def ended(codec: Codec, x: Tensor) -> Tensor:
    """Which rows int64 (B, T) hold the end of their document, bool (B,)."""
    assert isinstance(codec.space, Tokens), "a text is symbols"
    found: Tensor = ((x < 0) | (x == codec.space.start))[:, len(codec.prompt()) :].any(1)
    return found


def texts(codec: Codec, x: Tensor, prompt: str = "", length: int | None = None) -> list[str]:
    """What rows drawn, int64 (B, T), say."""
    found = codec.decode(x)
    if length is not None:
        return [text[:length] for text in found]
    whole = ended(codec, x) if x.shape[1] else torch.ones(len(x), dtype=torch.bool)
    return [text if done else cut(text, len(prompt)) for text, done in zip(found, whole.tolist(), strict=True)]


def cut(text: str, least: int = 0) -> str:
    """A text without the beginning of a sentence, a line or a word that its end cuts off, if half of it at least is
    left behind its first `least` characters."""
    half = least + (len(text) - least) // 2
    ends = [m.end() for m in _END.finditer(text, least)]
    if not ends or ends[-1] < half:
        ends = [m.start() for m in re.finditer(r"\s+", text[least:])]
        ends = [least + end for end in ends]
    return text[: ends[-1]] if ends and ends[-1] >= max(half, 1) else text
