"""Errors that are for people: one sentence that names what was given, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MakarError(Exception):
    """A mistake that the user can mend. The command line prints its one sentence and exits with 2."""


class CapabilityError(MakarError):
    """The model was asked for something that its mathematics does not have (a GAN's likelihood, say)."""


class MissingExtra(MakarError):
    """A part needs a library that is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed; run: pip install 'makar[{extra}]'")


class NonFinite(MakarError):
    """A loss or gradient was not finite; the step was not taken and the weights are as they were."""


def plain(text: str) -> str:
    """Text from elsewhere on one line: what does not print (line ends, terminal codes, marks that turn the direction of
    writing, lone surrogates) is written as an escape, so that a name can neither hide nor speak for us."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A clause such as ` (did you mean 'vae'?)`, or the list of what there is when nothing is near."""
    known = sorted(known)
    near = difflib.get_close_matches(given, known, n=1)
    if near:
        return f" (did you mean '{near[0]}'?)"
    return f"; there is: {', '.join(known)}" if known else ""
