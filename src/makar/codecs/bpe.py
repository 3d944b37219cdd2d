"""Documents as byte pairs: byte-level byte-pair encoding (Sennrich et al. 2016; on bytes, Radford et al. 2019).

Beginning with the 256 bytes, the most frequent pair of neighbouring symbols within a word becomes a new symbol, again
and again until the vocabulary is full. Every byte stays a symbol, so any text can be written. The last symbol of the
vocabulary is not a string: it begins a document. Documents are laid end to end and cut into rows of `length` symbols.

The merges are learnt and applied by the `tokenizers` library.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from torch import Tensor

from makar.codecs._documents import only_document, pack, utf8_bytes
from makar.core.codec import Codec
from makar.core.errors import MakarError, MissingExtra
from makar.core.spaces import Tokens


@dataclass(frozen=True)
class Config:
    vocab: int = 2048  # symbols at most, the 256 bytes and the one that begins a document among them
    length: int = 256  # symbols a row


class BPE(Codec):
    """Documents (str) to rows of byte-pair symbols and back. Raises MissingExtra where `tokenizers` is absent."""

    Config: TypeAlias = Config
    config: Config
    things = "text"

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
    def _begin(self) -> int:
        if self._tokenizer is None:
            raise MakarError("codec bpe has learnt nothing yet; fit it to documents first")
        return int(self._tokenizer.get_vocab_size())

    @property
    def space(self) -> Tokens:
        return Tokens(self._begin + 1, self.config.length, self._begin)

    def fit(self, things: Sequence[str]) -> Self:
        library = self._library
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=self.config.vocab - 1,
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(things, trainer)
        self._tokenizer = tokenizer
        return self

    def encode(self, things: Sequence[str]) -> Tensor:
        marker = self._begin
        documents = self._tokenizer.encode_batch(list(things))
        return pack([np.array(d.ids, dtype=np.int64) for d in documents], marker, self.config.length)

    def decode(self, x: Tensor) -> list[str]:
        rows = [only_document(row, self._begin).tolist() for row in x.cpu().numpy()]
        texts: list[str] = self._tokenizer.decode_batch(rows, skip_special_tokens=False)
        return texts

    def nats(self, things: Sequence[str]) -> float:
        return 0.0

    def units(self, things: Sequence[str]) -> int:
        return utf8_bytes(things)

    def state(self) -> dict[str, Any]:
        return {"tokenizer": json.loads(self._tokenizer.to_str())}

    def restore(self, state: dict[str, Any]) -> Self:
        self._tokenizer = self._library.Tokenizer.from_str(json.dumps(state["tokenizer"]))
        return self

    def prompt(self) -> list[int]:
        return [self._begin]
