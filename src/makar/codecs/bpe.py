"""Documents as byte pairs: byte-level byte-pair encoding (Sennrich et al. 2016; on bytes, Radford et al. 2019).

Beginning with the 256 bytes, the most frequent pair of neighbouring symbols within a word becomes a new symbol, again
and again until the vocabulary is full. Every byte stays a symbol, so any text can be written. The last symbol of the
vocabulary is not a string: it is the marker that parts documents (`_documents`: a row a document where they are short,
else laid end to end and cut).

The merges are learnt and applied by the `tokenizers` library.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from makar.codecs._documents import Documents, Form, readable
from makar.core.errors import MakarError, MissingExtra


@dataclass(frozen=True)
class Config:
    vocab: int = 2048  # symbols at most, the 256 bytes and the one that begins a document among them
    length: int = 256  # symbols a row, at most
    rows: Form = "auto"  # one document each, or documents packed; auto: as the documents' lengths say


class BPE(Documents):
    """Documents (str) to rows of byte-pair symbols and back. Raises MissingExtra where `tokenizers` is absent."""

    Config: TypeAlias = Config
    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        try:
            import tokenizers
        except ImportError:
            raise MissingExtra("tokenizers", "text") from None
        if config.vocab < 257:
            raise MakarError(
                f"codec bpe: vocab is {config.vocab}; it must hold the 256 bytes and one marker, so >= 257"
            )
        self._library = tokenizers
        self._tokenizer: Any = None

    @property
    def marker(self) -> int:
        if self._tokenizer is None:
            raise MakarError("codec bpe has learnt nothing yet; fit it to documents first")
        return int(self._tokenizer.get_vocab_size())

    def learn(self, documents: Sequence[str]) -> None:
        library = self._library
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=self.config.vocab - 1,
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(documents, trainer)
        self._take(tokenizer)

    def _take(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.__dict__.pop("_strings", None)

    @cached_property
    def _strings(self) -> list[bytes]:
        """The bytes that each symbol stands for."""
        byte = {character: value for value, character in _written_as().items()}
        vocabulary = self._tokenizer.get_vocab()
        return [bytes(byte[c] for c in token) for token in sorted(vocabulary, key=vocabulary.__getitem__)]

    def symbols(self, documents: Sequence[str]) -> list[np.ndarray]:
        if self._tokenizer is None:
            raise MakarError("codec bpe has learnt nothing yet; fit it to documents first")
        return [np.array(d.ids, dtype=np.int64) for d in self._tokenizer.encode_batch(list(documents))]

    def text(self, symbols: np.ndarray) -> str:
        return readable(b"".join(self._strings[s] for s in symbols))

    def learnt(self) -> dict[str, Any]:
        return {"tokenizer": json.loads(self._tokenizer.to_str())}

    def recall(self, state: dict[str, Any]) -> None:
        self._take(self._library.Tokenizer.from_str(json.dumps(state["tokenizer"])))


def _written_as() -> dict[int, str]:
    """The character that the library writes for each byte: itself where it can be seen, else one from U+0100 on
    (Radford et al. 2019, `bytes_to_unicode`)."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in set(seen)]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}
