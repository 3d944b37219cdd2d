"""Handwritten digits, 1,797 pictures of 8 x 8 with 17 levels of grey, that come with scikit-learn.

E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository 1998,
https://doi.org/10.24432/C50P49: its test part. A pixel counts the ink (0..16) in a 4 x 4 block of a 32 x 32 bitmap.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from makar.core.errors import MakarError
from makar.data.loaded import Loaded


@dataclass(frozen=True)
class Options:
    """None."""


def _table() -> np.ndarray:
    """Float64 (1797, 65): the pixels of each digit, then its class.

    The file is read where it lies: to import `sklearn.datasets` takes three seconds, to read it one fiftieth.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise MakarError("scikit-learn, which holds the digits, is not installed; run: pip install scikit-learn")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise MakarError(f"this scikit-learn has no {path}; install another version of it")
    return np.loadtxt(path, delimiter=",")


def load(argument: str, options: Options) -> Loaded:
    """All digits with their classes; 500 are held out unless said otherwise."""
    if argument:
        raise MakarError(f"the source 'digits' takes no argument, but was given '{argument}'")
    table = _table()
    pictures = table[:, :64].reshape(-1, 8, 8, 1).astype(np.uint8)
    return Loaded(
        name="digits",
        modality="pictures",
        source="UCI Optical Recognition of Handwritten Digits via scikit-learn",
        things=list(pictures),
        labels=table[:, 64].astype(np.int64),
        classes=tuple(str(digit) for digit in range(10)),
        levels=17,
        licence="CC-BY-4.0",
        attribution=(
            "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, "
            "UCI Machine Learning Repository, https://doi.org/10.24432/C50P49"
        ),
        held_out=500,
        origin="public",
    )
