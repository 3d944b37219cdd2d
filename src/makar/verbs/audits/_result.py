"""What every audit returns: figures with intervals, a finding in one sentence, the thresholds it used, what it cost."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, ParamSpec, get_args

from makar.core.errors import MakarError
from makar.core.score import Score

Finding = Literal["alarm", "none", "not measurable"]
P = ParamSpec("P")


@dataclass(frozen=True)
class Result:
    """One audit's outcome. A figure that could not be measured is left out, and `why` or a caveat says so."""

    name: str
    finding: Finding
    why: str  # one sentence
    figures: tuple[Score, ...] = ()
    thresholds: dict[str, float] = field(default_factory=dict)  # what the finding was decided by
    details: dict[str, Any] = field(default_factory=dict)  # plain JSON data: what was flagged, how it was measured
    cpu_seconds: float = 0.0

    def __post_init__(self) -> None:
        bare = [f.name for f in self.figures if not all(map(math.isfinite, (f.value, f.low, f.high)))]
        if bare:
            raise ValueError(f"a figure without a value or an interval was reported: {bare[0]}")

    def figure(self, start: str) -> Score:
        """The first figure whose name starts so. Raises KeyError where there is none."""
        for found in self.figures:
            if found.name.startswith(start):
                return found
        raise KeyError(start)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"figures": [f.to_json() for f in self.figures]}

    @staticmethod
    def from_json(plain: dict[str, Any]) -> Result:
        """The inverse of `to_json`. Raises MakarError for what is no result."""
        try:
            figures = tuple(Score(**(f | {"caveats": tuple(f["caveats"])})) for f in plain["figures"])
            if plain["finding"] not in get_args(Finding):
                raise ValueError(f"there is no finding '{plain['finding']}'")
            return Result(**(plain | {"figures": figures}))
        except (KeyError, TypeError, ValueError) as error:
            raise MakarError(f"this is no audit's result ({error}); run the audit again") from None


def timed(audit: Callable[P, Result]) -> Callable[P, Result]:
    """The audit, with the CPU seconds that it took in its result."""

    @functools.wraps(audit)
    def run(*args: P.args, **kwargs: P.kwargs) -> Result:
        begun = time.process_time()
        result = audit(*args, **kwargs)
        return replace(result, cpu_seconds=time.process_time() - begun)

    return run


def beyond_measure(name: str, why: str, *figures: Score, **details: Any) -> Result:
    """The result of an audit that cannot say anything here."""
    return Result(name, "not measurable", why, tuple(figures), details=details)
