"""Texts of exactly known entropy, from probabilistic regular grammars.

    small    simple English sentences, a few words each
    golden   symbols a and b where no b follows b, a fair coin wherever there is a choice: 2/3 bit a symbol
    even     symbols a and b where runs of b have even length, likewise: 2/3 bit a symbol

A grammar is a finite automaton. Each state offers choices (text, probability, next state) whose texts are prefix-free,
so that a text tells every choice that was made and its probability is their product. A document is a fixed number of
returns to the first state. With Q the transitions between the other states, visits v and the expected bits H and
symbols L of one round are

    v = (I - Q^T)^-1 e_0,     H = sum_s v_s h_s,     L = sum_s v_s l_s            (Kemeny & Snell 1960, section 3.2)

where h_s is the entropy of the choice in s and l_s its mean length. Documents being independent rounds, H / L is the
number of bits a symbol, and no model's total bits over total symbols lies below it except by luck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from makar.core.errors import MakarError, did_you_mean
from makar.data.loaded import Loaded


@dataclass(frozen=True)
class Options:
    """How many documents, how many rounds each (0: what suits the grammar), and from which seed."""

    n: int = 1000
    rounds: int = 0
    seed: int = 0


Grammar = dict[str, list[tuple[str, float, str]]]
"""The first state is where a round begins and ends."""


@dataclass(frozen=True)
class _Entry:
    grammar: Grammar
    rounds: int


_SMALL: Grammar = {
    "sentence": [("the ", 0.5, "adjective"), ("a ", 0.3, "adjective"), ("she ", 0.1, "verb"), ("we ", 0.1, "verb")],
    "adjective": [("", 0.5, "noun"), ("old ", 0.25, "noun"), ("red ", 0.15, "noun"), ("quiet ", 0.1, "noun")],
    "noun": [("cat ", 0.4, "verb"), ("dog ", 0.3, "verb"), ("bird ", 0.2, "verb"), ("maker ", 0.1, "verb")],
    "verb": [("sings", 0.25, "end"), ("sleeps", 0.25, "end"), ("sees ", 0.3, "object"), ("hears ", 0.2, "object")],
    "object": [("the sea", 0.5, "end"), ("the moon", 0.3, "end"), ("nobody", 0.2, "end")],
    "end": [(". ", 0.8, "sentence"), (", and ", 0.2, "sentence")],
}
_GOLDEN: Grammar = {"free": [("a", 0.5, "free"), ("b", 0.5, "bound")], "bound": [("a", 1.0, "free")]}
_EVEN: Grammar = {"free": [("a", 0.5, "free"), ("bb", 0.5, "free")]}

_ENTRIES = {"small": _Entry(_SMALL, 20), "golden": _Entry(_GOLDEN, 128), "even": _Entry(_EVEN, 128)}
NAMES = tuple(_ENTRIES)


def _entry(name: str) -> _Entry:
    if name not in _ENTRIES:
        raise MakarError(f"there is no grammar '{name}'{did_you_mean(name, NAMES)}")
    return _ENTRIES[name]


def grammar(name: str) -> Grammar:
    """The automaton of a name. Raises MakarError for a name that is none."""
    return _entry(name).grammar


def per_round(rules: Grammar) -> tuple[float, float]:
    """Expected bits and expected symbols of one round, exactly."""
    states = {state: i for i, state in enumerate(rules)}
    inner = np.zeros((len(rules), len(rules)))
    bits, symbols = np.zeros(len(rules)), np.zeros(len(rules))
    for state, choices in rules.items():
        i = states[state]
        for text, probability, after in choices:
            bits[i] -= probability * math.log2(probability)
            symbols[i] += probability * len(text)
            if states[after] != 0:
                inner[i, states[after]] += probability
    start = np.eye(len(rules))[0]
    visits = np.linalg.solve(np.eye(len(rules)) - inner.T, start)
    return float(visits @ bits), float(visits @ symbols)


def entropy_bits_per_symbol(name: str) -> float:
    """Exact entropy of the grammar's texts, bits a symbol."""
    bits, symbols = per_round(grammar(name))
    return bits / symbols


def sample(name: str, n: int, rounds: int = 0, seed: int = 0) -> list[str]:
    """Documents of `rounds` rounds each; the same for the same seed."""
    entry = _entry(name)
    first = next(iter(entry.grammar))
    random = np.random.Generator(np.random.Philox(seed))
    tables = {
        state: (np.cumsum([p for _, p, _ in choices])[:-1].tolist(), [(text, after) for text, _, after in choices])
        for state, choices in entry.grammar.items()
    }
    return [_document(tables, first, rounds or entry.rounds, random) for _ in range(n)]


def _document(
    tables: dict[str, tuple[list[float], list[tuple[str, str]]]], first: str, rounds: int, random: np.random.Generator
) -> str:
    parts: list[str] = []
    state = first
    while rounds:
        bounds, choices = tables[state]
        u = random.random() if bounds else 0.0
        text, state = choices[sum(u >= bound for bound in bounds)]
        parts.append(text)
        rounds -= state == first
    return "".join(parts)


def log2_probability(name: str, text: str) -> float:
    """Bits (negative) of a document under the grammar, for tests; -inf for what the grammar cannot make."""
    rules = grammar(name)
    state, place, total = next(iter(rules)), 0, 0.0
    while place < len(text):
        fitting = [c for c in rules[state] if text.startswith(c[0], place) and c[0]]
        silent = [c for c in rules[state] if not c[0]]
        found = fitting or silent
        if not found:
            return -math.inf
        piece, probability, state = found[0]
        place, total = place + len(piece), total + math.log2(probability)
    return total


def load(argument: str, options: Options) -> Loaded:
    """Documents drawn from the grammar that `argument` names."""
    entry = _entry(argument)
    if options.n < 2 or options.rounds < 0:
        raise MakarError(f"n is {options.n} and rounds {options.rounds}; at least 2 documents of 1 round are needed")
    bits = entropy_bits_per_symbol(argument)
    rounds = options.rounds or entry.rounds
    return Loaded(
        name=f"grammar:{argument}",
        modality="text",
        source=f"drawn by makar from a known grammar, {rounds} rounds a document, seed {options.seed}",
        things=sample(argument, options.n, rounds, options.seed),
        licence="CC0-1.0",
        attribution="makar",
        origin="synthetic",
        entropy=bits * math.log(2.0),
        notes=[f"the grammar is known: its entropy is {bits:.4f} bits a symbol"],
    )
